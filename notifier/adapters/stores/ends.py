"""Ends of tasks: with them end their watches, and deliveries are owed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, bindparam, select, update

from notifier.adapters.stores import deliveries, files, tasks
from notifier.adapters.stores.lessee import Lessee
from notifier.adapters.stores.rows import AnyRow, watch_of
from notifier.adapters.stores.schema import WATCHING, watches
from notifier.domain.delivery import Delivery
from notifier.domain.saving import named
from notifier.domain.task import End, Task
from notifier.ports import Announce, Expired

_OPEN_WATCHES = (
    select(watches)
    .where(watches.c.task_key.in_(bindparam("keys", expanding=True)), WATCHING)
    .order_by(watches.c.task_key, watches.c.seq)
    .with_for_update()
)
_END_WATCH = update(watches).where(watches.c.seq == bindparam("wanted"))


@dataclass(frozen=True, slots=True)
class _Ending:
    """Watches that end with what `task` says of its end."""

    task: Task
    rows: Sequence[AnyRow]
    announce: Announce

    @property
    def how(self) -> End:
        return _end_of(self.task)


def end(
    connection: Connection, wanted: Sequence[tuple[Task, Announce]], lessee: Lessee
) -> list[Sequence[Delivery]]:
    """What each of the ends owes."""
    watched = tasks.lock(connection, [task.key for task, _ in wanted])
    ends: dict[int, tuple[Task, Announce]] = {}
    for task, announce in wanted:
        if tasks.goes_on(task, watched):
            ends.setdefault(task.key, (task, announce))
    if not ends:
        return [() for _ in wanted]
    tasks.close(connection, [(task, _end_of(task)) for task, _ in ends.values()])
    rows = _open_watches(connection, ends)
    endings = [
        _Ending(named(task, rows[key][0].id), rows[key], announce)
        for key, (task, announce) in ends.items()
        if key in rows
    ]
    files.plan(connection, [(one.task, one.how) for one in endings])
    owed = _end_watches(connection, endings, lessee)
    return [owed.pop(task.key, ()) if tasks.goes_on(task, watched) else () for task, _ in wanted]


def _end_of(task: Task) -> End:
    if task.end is None:
        raise ValueError("a task that goes on cannot be stored as ended")
    return task.end


def expire(
    connection: Connection,
    task: Task,
    now: datetime,
    announce: Announce,
    usual_intervals: Mapping[str, float],
    *,
    lessee: Lessee,
) -> Expired:
    if not tasks.goes_on(task, tasks.lock(connection, [task.key])):
        return Expired((), None)
    rows = _open_watches(connection, [task.key]).get(task.key, [])
    due = [row for row in rows if row.deadline_at <= now]
    over = End("abandoned", now, reason="deadline")
    if len(due) == len(rows):
        tasks.close(connection, [(task, over)])
    else:
        tasks.save(connection, [task])
    owed = _end_watches(connection, [_Ending(replace(task, end=over), due, announce)], lessee)
    return Expired(tuple(owed[task.key]), _reduced(connection, task, usual_intervals))


def _reduced(connection: Connection, task: Task, usual_intervals: Mapping[str, float]) -> Task | None:
    """The task as its caller knows it, on the terms of the watches that are left."""
    left = tasks.current(connection, [task.key], usual_intervals).get(task.key)
    return None if left is None else task.on_terms_of(left)


def _open_watches(connection: Connection, keys: Collection[int]) -> dict[int, list[AnyRow]]:
    """The watching watches of each of these tasks, in the order of their registration; a task without is missing."""
    found: dict[int, list[AnyRow]] = {}
    for row in connection.execute(_OPEN_WATCHES, {"keys": list(keys)}):
        found.setdefault(row.task_key, []).append(row)
    return found


def _end_watches(
    connection: Connection, endings: Sequence[_Ending], lessee: Lessee
) -> dict[int, Sequence[Delivery]]:
    """What is owed for each task, by its key."""
    ended = [
        {"wanted": row.seq, "state": one.how.state, "ended_at": one.how.at} for one in endings for row in one.rows
    ]
    if ended:
        connection.execute(_END_WATCH, ended)
    owed = {one.task.key: [made for row in one.rows if (made := _owed(one, row)) is not None] for one in endings}
    kept = iter(deliveries.insert(connection, [delivery for made in owed.values() for delivery in made], lessee))
    return {key: tuple(islice(kept, len(made))) for key, made in owed.items()}


def _owed(ending: _Ending, row: AnyRow) -> Delivery | None:
    watch = replace(watch_of(row, ending.task), state=ending.how.state, ended_at=ending.how.at)
    return deliveries.owed_by(ending.task, watch, ending.announce, ending.how.at)
