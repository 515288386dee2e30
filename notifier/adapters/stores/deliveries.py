"""Deliveries: owed with an end, settled attempt by attempt. Who may attempt one stands in its row (`lessee`)."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy import insert as insert_into

from notifier.adapters.stores.lessee import Lessee, leased_by, offered
from notifier.adapters.stores.rows import (
    attempt_params,
    delivery_of,
    delivery_params,
    progress_params,
)
from notifier.adapters.stores.schema import HELD, PENDING, attempts, deliveries
from notifier.domain.delivery import Attempt, Delivery, keeps, new_delivery
from notifier.domain.delivery import redeliver as redelivered
from notifier.domain.task import Task
from notifier.domain.watch import Watch
from notifier.ports import Announce, Settlement, Waiting

_INSERT = insert_into(deliveries)
_INSERT_ATTEMPT = insert_into(attempts)
BY_ID = select(deliveries).where(deliveries.c.id == bindparam("wanted"))
_LOCKED_BY_ID = BY_ID.with_for_update()
WAITING = select(deliveries.c.id, deliveries.c.callback_url, deliveries.c.next_attempt_at).where(PENDING, ~HELD)
_WAITING = WAITING.order_by(deliveries.c.next_attempt_at)
OURS = deliveries.c.leased_by.is_not_distinct_from(bindparam("lessee"))
"""Of a delivery that this node may attempt."""
_MADE = (
    select(deliveries.c.id, deliveries.c.attempts)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)), OURS)
    .order_by(deliveries.c.seq)  # every node locks in the same order
    .with_for_update()
)
_PROGRESS = update(deliveries).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.attempts == bindparam("attempts_before")
)
_KEPT_BEFORE = select(deliveries.c.id).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.attempts == bindparam("number"), OURS
)


def owe(
    connection: Connection, ended: Iterable[tuple[Task, Watch]], announce: Announce, now: datetime, lessee: Lessee
) -> list[Delivery]:
    """Keep what each ended task owes to a watch that ended with it, due `now`."""
    owed = [made for task, watch in ended if (made := owed_by(task, watch, announce, now)) is not None]
    return insert(connection, owed, lessee)


def owed_by(task: Task, watch: Watch, announce: Announce, now: datetime) -> Delivery | None:
    event = announce(task, watch)
    if event is None:
        return None
    return new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=now)


def insert(connection: Connection, owed: Sequence[Delivery], lessee: Lessee) -> list[Delivery]:
    """The same deliveries, each with the word whether it is ours."""
    owed = offered(owed, lessee)
    if owed:
        connection.execute(_INSERT, [{**delivery_params(one), "leased_by": leased_by(one, lessee)} for one in owed])
    return owed


def waiting(connection: Connection) -> list[Waiting]:
    return [Waiting(*row) for row in connection.execute(_WAITING)]


def delivery(connection: Connection, delivery_id: str) -> Delivery | None:
    row = connection.execute(BY_ID, {"wanted": delivery_id}).one_or_none()
    return None if row is None else delivery_of(row, row.body)


def settle(
    connection: Connection, settled: Sequence[tuple[Delivery, Attempt]], lessee: Lessee
) -> list[Settlement]:
    """What became of each."""
    ids = [delivery.id for delivery, _ in settled]
    made: dict[str, int] = {
        row.id: row.attempts for row in connection.execute(_MADE, {"ids": ids, "lessee": lessee.node})
    }
    new = []
    for delivery, _ in settled:
        new.append(made.get(delivery.id) == delivery.attempts - 1)
        if new[-1]:
            made[delivery.id] = delivery.attempts
    _keep(connection, [one for one, fresh in zip(settled, new, strict=True) if fresh], lessee)
    return [
        _became(delivery, attempt, lessee) if fresh else _kept_before(connection, delivery, lessee)
        for (delivery, attempt), fresh in zip(settled, new, strict=True)
    ]


def _became(delivery: Delivery, attempt: Attempt, lessee: Lessee) -> Settlement:
    return "kept" if lessee.sole or keeps(delivery, attempt) else "freed"


def _keep(connection: Connection, settled: Sequence[tuple[Delivery, Attempt]], lessee: Lessee) -> None:
    if not settled:
        return
    progress = [
        {
            "wanted": delivery.id,
            "attempts_before": delivery.attempts - 1,
            "leased_by": lessee.node if keeps(delivery, attempt) else None,
            **progress_params(delivery),
        }
        for delivery, attempt in settled
    ]
    connection.execute(_PROGRESS, progress)
    attempts = [
        attempt_params(attempt, delivery_id=delivery.id, number=delivery.attempts) for delivery, attempt in settled
    ]
    connection.execute(_INSERT_ATTEMPT, attempts)


def _kept_before(connection: Connection, settled: Delivery, lessee: Lessee) -> Settlement:
    this = {"wanted": settled.id, "number": settled.attempts, "lessee": lessee.node}
    return "lost" if connection.execute(_KEPT_BEFORE, this).one_or_none() is None else "known"


def redeliver(connection: Connection, delivery_id: str, now: datetime, lessee: Lessee) -> Delivery | None:
    row = connection.execute(_LOCKED_BY_ID, {"wanted": delivery_id}).one_or_none()
    again = None if row is None else redelivered(delivery_of(row, row.body), now=now)
    if again is None:
        return None
    (again,) = offered([again], lessee)
    progress = {"wanted": again.id, "attempts_before": again.attempts, **progress_params(again)}
    connection.execute(_PROGRESS, {**progress, "leased_by": leased_by(again, lessee)})
    return again
