"""Deliveries: owed with an end, settled attempt by attempt."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy import insert as insert_into

from notifier.adapters.stores.rows import (
    attempt_params,
    delivery_of,
    delivery_params,
    progress_params,
)
from notifier.adapters.stores.schema import HELD, PENDING, attempts, deliveries
from notifier.domain.delivery import Attempt, Delivery, new_delivery
from notifier.domain.delivery import redeliver as redelivered
from notifier.domain.task import Task
from notifier.domain.watch import Watch
from notifier.ports import Announce, Waiting

_INSERT = insert_into(deliveries)
_INSERT_ATTEMPT = insert_into(attempts)
BY_ID = select(deliveries).where(deliveries.c.id == bindparam("wanted"))
_LOCKED_BY_ID = BY_ID.with_for_update()
_WAITING = (
    select(deliveries.c.id, deliveries.c.callback_url, deliveries.c.next_attempt_at)
    .where(PENDING, ~HELD)
    .order_by(deliveries.c.next_attempt_at)
)
_MADE = (
    select(deliveries.c.id, deliveries.c.attempts)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.seq)  # every node locks in the same order
    .with_for_update()
)
_PROGRESS = update(deliveries).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.attempts == bindparam("attempts_before")
)


def owe(
    connection: Connection, ended: Iterable[tuple[Task, Watch]], announce: Announce, now: datetime
) -> list[Delivery]:
    """Keep what each ended task owes to a watch that ended with it, due `now`."""
    owed = [made for task, watch in ended if (made := owed_by(task, watch, announce, now)) is not None]
    insert(connection, owed)
    return owed


def owed_by(task: Task, watch: Watch, announce: Announce, now: datetime) -> Delivery | None:
    event = announce(task, watch)
    if event is None:
        return None
    return new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=now)


def insert(connection: Connection, owed: Sequence[Delivery]) -> None:
    if owed:
        connection.execute(_INSERT, [delivery_params(delivery) for delivery in owed])


def waiting(connection: Connection) -> list[Waiting]:
    return [Waiting(*row) for row in connection.execute(_WAITING)]


def delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(BY_ID, {"wanted": delivery_id}).one_or_none()
    return None if row is None else delivery_of(row, row.body)


def settle(connection: Connection, settled: Sequence[tuple[Delivery, Attempt]]) -> list[bool]:
    """Whether each was kept."""
    ids = [delivery.id for delivery, _ in settled]
    made: dict[str, int] = {row.id: row.attempts for row in connection.execute(_MADE, {"ids": ids})}
    kept = []
    for delivery, _ in settled:
        kept.append(made.get(delivery.id) == delivery.attempts - 1)
        if kept[-1]:
            made[delivery.id] = delivery.attempts
    _keep(connection, [one for one, new in zip(settled, kept, strict=True) if new])
    return kept


def _keep(connection: Connection, settled: Sequence[tuple[Delivery, Attempt]]) -> None:
    if not settled:
        return
    progress = [
        {"wanted": delivery.id, "attempts_before": delivery.attempts - 1, **progress_params(delivery)}
        for delivery, _ in settled
    ]
    connection.execute(_PROGRESS, progress)
    attempts = [
        attempt_params(attempt, delivery_id=delivery.id, number=delivery.attempts) for delivery, attempt in settled
    ]
    connection.execute(_INSERT_ATTEMPT, attempts)


def redeliver(connection: Connection, delivery_id: str, now: datetime) -> Delivery | None:
    row = connection.execute(_LOCKED_BY_ID, {"wanted": delivery_id}).one_or_none()
    again = None if row is None else redelivered(delivery_of(row, row.body), now=now)
    if again is not None:
        progress = {"wanted": again.id, "attempts_before": again.attempts, **progress_params(again)}
        connection.execute(_PROGRESS, progress)
    return again
