"""Deliveries: owed with an end, settled attempt by attempt. Who may attempt one stands in its row (`lessee`)."""

from collections.abc import Sequence
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
_PROGRESS = update(deliveries).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.attempts == bindparam("attempts_before")
)
_SETTLE = _PROGRESS.where(OURS)
_KEPT_BEFORE = select(deliveries.c.id).where(
    deliveries.c.id == bindparam("wanted"), deliveries.c.attempts == bindparam("number"), OURS
)


def owe(
    connection: Connection, ended: Sequence[tuple[Task, Watch]], announce: Announce, now: datetime, lessee: Lessee
) -> list[Delivery]:
    """Keep what each ended task owes to a watch that ended with it, due `now`."""
    owed = [
        new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=now)
        for task, watch in ended
        if (event := announce(task, watch)) is not None
    ]
    return insert(connection, owed, lessee)


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


def settle(connection: Connection, settled: Delivery, attempt: Attempt, lessee: Lessee) -> Settlement:
    number, stays = settled.attempts, keeps(settled, attempt)
    progress = {"wanted": settled.id, "attempts_before": number - 1, "lessee": lessee.node, **progress_params(settled)}
    if connection.execute(_SETTLE, {**progress, "leased_by": lessee.node if stays else None}).rowcount == 0:
        return _kept_before(connection, settled, lessee)
    connection.execute(_INSERT_ATTEMPT, attempt_params(attempt, delivery_id=settled.id, number=number))
    return "kept" if stays or lessee.sole else "freed"


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
