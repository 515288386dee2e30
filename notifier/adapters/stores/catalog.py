"""Reading for people. A cursor is the number of the last row on the page: rows are numbered as they come."""

import json

from sqlalchemy import Connection, bindparam, func, select

from notifier.adapters.stores.files import of as files_of
from notifier.adapters.stores.paging import one_page
from notifier.adapters.stores.rows import SHOWN_WATCH, Query, attempt_of, delivery_of, shown_watch
from notifier.adapters.stores.schema import PENDING, UNSETTLED, attempts, deliveries, files, tasks, watches
from notifier.domain.delivery import DELIVERY_STATES, DeliveryView
from notifier.domain.watch import WATCH_STATES, WatchView
from notifier.ports import Counts, DeliveryPage, Oldest, Page, Results, WatchPage

ATTEMPTS_SHOWN = 50

_WATCH = SHOWN_WATCH.where(watches.c.id == bindparam("wanted"))
_WATCHES = SHOWN_WATCH.order_by(watches.c.seq.desc())
_DELIVERY = select(deliveries).where(deliveries.c.id == bindparam("wanted"))
_LOG = (
    select(attempts)
    .where(attempts.c.delivery_id == bindparam("wanted"))
    .order_by(attempts.c.number.desc())
    .limit(ATTEMPTS_SHOWN)
)
_DELIVERIES = select(*(column for column in deliveries.c if column.name != "body")).order_by(deliveries.c.seq.desc())
_URLS = select(tasks.c.urls).where(tasks.c.key == bindparam("wanted"))
_WATCH_COUNTS = select(watches.c.state, func.count()).group_by(watches.c.state)
_OLDEST_PENDING = (
    select(deliveries.c.id, deliveries.c.created_at).where(PENDING).order_by(deliveries.c.seq).limit(1)
)
_DELIVERY_COUNTS = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)

_FILES_PENDING = select(func.count()).select_from(files).where(UNSETTLED)


def watch(connection: Connection, watch_id: str) -> WatchView | None:
    row = connection.execute(_WATCH, {"wanted": watch_id}).one_or_none()
    return None if row is None else shown_watch(row)


def watches_page(
    connection: Connection, page: Page, state: str | None, provider: str | None, task_id: str | None
) -> WatchPage:
    query = _WATCHES
    if state is not None:
        query = query.where(watches.c.state == state)
    if provider is not None:
        query = query.where(tasks.c.provider == provider)
    if task_id is not None:
        query = query.where(tasks.c.task_id == task_id)
    rows, cursor = one_page(connection, query, watches, page, few=task_id is not None)
    return WatchPage(tuple(shown_watch(row) for row in rows), cursor)


def delivery(connection: Connection, delivery_id: str) -> DeliveryView | None:
    row = connection.execute(_DELIVERY, {"wanted": delivery_id}).one_or_none()
    if row is None:
        return None
    log = connection.execute(_LOG, {"wanted": delivery_id}).all()
    return DeliveryView(delivery_of(row, row.body), tuple(attempt_of(tried) for tried in reversed(log)))


def deliveries_page(connection: Connection, page: Page, state: str | None, watch_id: str | None) -> DeliveryPage:
    """Lists do not read the bodies, which may be large: they are empty here."""
    query = _DELIVERIES
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if watch_id is not None:
        query = query.where(deliveries.c.watch_id == watch_id)
    rows, cursor = one_page(connection, query, deliveries, page, few=watch_id is not None)
    return DeliveryPage(tuple(DeliveryView(delivery_of(row, b"")) for row in rows), cursor)


def results(connection: Connection, task_key: int) -> Results:
    urls = connection.execute(_URLS, {"wanted": task_key}).scalar_one_or_none()
    saved = files_of(connection, [task_key]).get(task_key, ())
    return Results(() if urls is None else tuple(json.loads(urls)), saved)


def counts(connection: Connection) -> Counts:
    """Every state is named, also those in which there is nothing."""
    oldest = connection.execute(_OLDEST_PENDING).one_or_none()
    return Counts(
        oldest_pending=None if oldest is None else Oldest(oldest.id, oldest.created_at),
        watches=dict.fromkeys(WATCH_STATES, 0) | _count(connection, _WATCH_COUNTS),
        deliveries=dict.fromkeys(DELIVERY_STATES, 0) | _count(connection, _DELIVERY_COUNTS),
        files_pending=connection.execute(_FILES_PENDING).scalar_one(),
    )


def _count(connection: Connection, query: Query) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(query)}
