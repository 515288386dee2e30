"""Retention, and the proof that writing works."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BindParameter, Connection, bindparam, delete, exists, select, update

from notifier.adapters.stores import files
from notifier.adapters.stores.schema import (
    DECLARED,
    OVER,
    PENDING,
    UNSETTLED,
    attempts,
    deliveries,
    pulse,
    tasks,
    watches,
)
from notifier.adapters.stores.schema import files as files_table

PORTION = 200
"""How many watches one transaction deletes: other writes wait for it some milliseconds at most."""

_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_OWING = exists().where(deliveries.c.watch_id == watches.c.id, PENDING)
_SAVING = exists().where(files_table.c.task_key == watches.c.task_key, UNSETTLED)
_OUTDATED = (
    select(watches.c.id, watches.c.task_key, watches.c.ended_at)
    .where(OVER, ~DECLARED, watches.c.ended_at < bindparam("before"), ~_OWING, ~_SAVING)
    .where(watches.c.ended_at >= bindparam("since"))
    .order_by(watches.c.ended_at)
    .limit(PORTION)
)
_LOCKED = select(deliveries.c.watch_id, deliveries.c.state).where(deliveries.c.watch_id.in_(_IDS)).with_for_update()
_DELETIONS = (
    delete(attempts).where(attempts.c.delivery_id.in_(select(deliveries.c.id).where(deliveries.c.watch_id.in_(_IDS)))),
    delete(deliveries).where(deliveries.c.watch_id.in_(_IDS)),
    delete(watches).where(watches.c.id.in_(_IDS)),
)
_DELETE_TASKS = delete(tasks).where(
    tasks.c.key.in_(bindparam("keys", expanding=True)),
    ~exists().where(watches.c.task_key == tasks.c.key),
)
_BEAT = update(pulse).values(beats=pulse.c.beats + 1)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """How many watches one portion deleted, and from which end on the next one looks; None: there is nothing more."""

    watches: int
    resume: datetime | None


def clean(connection: Connection, before: datetime, since: datetime, *, keep_files: bool) -> Cleaned:
    """Delete one portion, the longest ended first, of what ended from `since` until `before`."""
    rows = connection.execute(_OUTDATED, {"before": before, "since": since}).all()
    if not rows:
        return Cleaned(0, None)
    ids = _settled(connection, [row.id for row in rows])
    for deletion in _DELETIONS:
        connection.execute(deletion, {"ids": ids})
    keys = list({row.task_key for row in rows})
    connection.execute(_DELETE_TASKS, {"keys": keys})
    files.clean(connection, keys, keep_saved=keep_files)
    return Cleaned(len(ids), rows[-1].ended_at if len(rows) == PORTION else None)


def _settled(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Those of these watches that owe nothing, and will not before this transaction is over: another daemon may have
    been about to deliver again."""
    owing = {row.watch_id for row in connection.execute(_LOCKED, {"ids": ids}) if row.state == "pending"}
    return [each for each in ids if each not in owing]


def ping(connection: Connection) -> None:
    connection.execute(_BEAT)
