"""Completed tasks and their files: what is settled releases what was held, and owes what is news."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, select, update

from notifier.adapters.stores import deliveries, files, tasks
from notifier.adapters.stores.lessee import Lessee, leased_by, offered
from notifier.adapters.stores.rows import AnyRow, Params, delivery_of, renewed_params, watch_of
from notifier.adapters.stores.schema import ABOUT_THE_END, HELD, watches
from notifier.adapters.stores.schema import deliveries as deliveries_table
from notifier.adapters.stores.schema import tasks as tasks_table
from notifier.domain.delivery import Delivery, new_delivery
from notifier.domain.event import Event
from notifier.domain.shard import shard_of
from notifier.domain.task import Task
from notifier.ports import Retell, Unsettled, Waiting

_TASK = select(tasks_table).where(tasks_table.c.key == bindparam("wanted"))
_LOCKED = _TASK.with_for_update()
_RENEW = update(tasks_table).where(tasks_table.c.key == bindparam("wanted"))
_HELD = (
    select(deliveries_table.c.id, deliveries_table.c.callback_url, deliveries_table.c.held_until, watches.c.task_key)
    .join_from(deliveries_table, watches)
    .where(HELD)
)
_OWNER = (
    select(tasks_table)
    .select_from(tasks_table.join(watches).join(deliveries_table, deliveries_table.c.watch_id == watches.c.id))
    .where(deliveries_table.c.id == bindparam("wanted"))
    .with_for_update(of=tasks_table)
)
_TASK_OF_HELD = (
    select(watches.c.task_key)
    .join_from(deliveries_table, watches)
    .where(deliveries_table.c.id == bindparam("wanted"), HELD)
)
_ONE_HELD = select(deliveries_table).where(deliveries_table.c.id == bindparam("wanted"), HELD).with_for_update()
_WATCH = select(watches).where(watches.c.id == bindparam("wanted"))
_COMPLETED = (
    select(watches, deliveries_table.c.id.label("held"))
    .select_from(
        watches.outerjoin(deliveries_table, and_(deliveries_table.c.watch_id == watches.c.id, ABOUT_THE_END, HELD))
    )
    .where(watches.c.task_key == bindparam("wanted"), watches.c.state == "completed")
    .order_by(watches.c.seq)
)
_RELEASE = update(deliveries_table).where(deliveries_table.c.id == bindparam("wanted"), HELD)


def unsettled(connection: Connection, shards: Collection[int] | None) -> Unsettled:
    """Of these shards; None: of all."""
    rows = connection.execute(_HELD).all()
    held = [Waiting(*row[:3]) for row in rows if shards is None or shard_of(row.task_key) in shards]
    tasks = {key: at for key, at in files.unsettled(connection).items() if shards is None or shard_of(key) in shards}
    return Unsettled(tasks, held)


def result(connection: Connection, key: int) -> Task | None:
    row = connection.execute(_TASK, {"wanted": key}).one_or_none()
    return None if row is None else _ended(connection, row)


def _ended(connection: Connection, row: AnyRow) -> Task | None:
    task = tasks.ended(row)
    return None if task is None else files.with_files(connection, task)


def keep(
    connection: Connection, task: Task, changed: Collection[int], now: datetime, retell: Retell, *, lessee: Lessee
) -> list[Delivery]:
    row = connection.execute(_LOCKED, {"wanted": task.key}).one_or_none()
    if row is None or not files.keep(connection, task, changed):
        return []
    if task.end is not None and _newer(task.end.refreshed_at, row.refreshed_at):
        connection.execute(_RENEW, {"wanted": task.key, **renewed_params(task, task.end)})
    if files.left(connection, task.key):
        return []
    return _tell(connection, task.key, now, retell, lessee=lessee)


def _newer(asked: datetime | None, before: datetime | None) -> bool:
    return asked is not None and (before is None or asked > before)


def _tell(connection: Connection, key: int, now: datetime, retell: Retell, *, lessee: Lessee) -> list[Delivery]:
    """The files are settled: everybody hears of them, in the event that was held or in another."""
    task = result(connection, key)
    if task is None:
        return []
    told: list[Delivery] = []
    for row in connection.execute(_COMPLETED, {"wanted": key}).all():
        watch = watch_of(row, task)
        event = retell(task, watch, row.held)
        if event is None:
            continue
        if row.held is None:
            news = new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=now)
            told += deliveries.insert(connection, [news], lessee)
        else:
            told.append(_release(connection, event, now, lessee))
    return told


def task_of_held(connection: Connection, delivery_id: str) -> int | None:
    """The key of the task that a held delivery is about."""
    return connection.execute(_TASK_OF_HELD, {"wanted": delivery_id}).scalar_one_or_none()


def release(
    connection: Connection, delivery_id: str, now: datetime, retell: Retell, *, lessee: Lessee
) -> Delivery | None:
    row = connection.execute(_OWNER, {"wanted": delivery_id}).one_or_none()
    held = connection.execute(_ONE_HELD, {"wanted": delivery_id}).one_or_none()
    task = None if row is None or held is None else _ended(connection, row)
    if task is None or held is None:
        return None
    watch = connection.execute(_WATCH, {"wanted": held.watch_id}).one()
    event = retell(task, watch_of(watch, task), delivery_id)
    return None if event is None else _release(connection, event, now, lessee)


def _release(connection: Connection, event: Event, now: datetime, lessee: Lessee) -> Delivery:
    """The same delivery, made anew: its id and its kind stay."""
    anew: Params = {
        "body": event.body,
        "urls_at": event.urls_at,
        "urls_expire_at": event.urls_expire_at,
        "links_expire_at": event.links_expire_at,
        "held_until": None,
        "next_attempt_at": now,
    }
    row = connection.execute(deliveries.BY_ID, {"wanted": event.id}).one()
    (released,) = offered([replace(delivery_of(row, row.body), **anew)], lessee)
    connection.execute(_RELEASE, {"wanted": event.id, "leased_by": leased_by(released, lessee), **anew})
    return released
