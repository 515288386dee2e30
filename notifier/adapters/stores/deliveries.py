"""Deliveries: owed with an end, settled attempt by attempt."""

from collections.abc import Sequence
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
_PROGRESS = update(deliveries).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.attempts == bindparam("attempts_before")
)


def owe(
    connection: Connection, ended: Sequence[tuple[Task, Watch]], announce: Announce, now: datetime
) -> list[Delivery]:
    """Keep what each ended task owes to a watch that ended with it, due `now`."""
    owed = [
        new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=now)
        for task, watch in ended
        if (event := announce(task, watch)) is not None
    ]
    insert(connection, owed)
    return owed


def insert(connection: Connection, owed: Sequence[Delivery]) -> None:
    if owed:
        connection.execute(_INSERT, [delivery_params(delivery) for delivery in owed])


def waiting(connection: Connection) -> list[Waiting]:
    return [Waiting(*row) for row in connection.execute(_WAITING)]


def delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(BY_ID, {"wanted": delivery_id}).one_or_none()
    return None if row is None else delivery_of(row, row.body)


def settle(connection: Connection, settled: Delivery, attempt: Attempt) -> bool:
    number = settled.attempts
    progress = {"wanted": settled.id, "attempts_before": number - 1, **progress_params(settled)}
    if connection.execute(_PROGRESS, progress).rowcount == 0:
        return False
    connection.execute(_INSERT_ATTEMPT, attempt_params(attempt, delivery_id=settled.id, number=number))
    return True


def redeliver(connection: Connection, delivery_id: str, now: datetime) -> Delivery | None:
    row = connection.execute(_LOCKED_BY_ID, {"wanted": delivery_id}).one_or_none()
    again = None if row is None else redelivered(delivery_of(row, row.body), now=now)
    if again is not None:
        progress = {"wanted": again.id, "attempts_before": again.attempts, **progress_params(again)}
        connection.execute(_PROGRESS, progress)
    return again
