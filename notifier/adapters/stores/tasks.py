"""Tasks: what is polled, what polls taught us, and how they end.

Whoever changes a watch locks its task's row first, so that an end and a registration cannot pass each other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, TypeVar

from sqlalchemy import BigInteger, Connection, bindparam, func, insert, literal_column, select, update

from notifier.adapters.stores.database_clock import STARTED
from notifier.adapters.stores.rows import (
    ENDLESS,
    UNTOUCHED,
    AnyRow,
    Params,
    Query,
    Terms,
    end_params,
    learned_params,
    task_of,
)
from notifier.adapters.stores.schema import SHARD, WATCHED, WATCHING, tasks, watches
from notifier.domain.shard import SHARDS
from notifier.domain.task import End, Task
from notifier.ports import Known

PORTION = 1000
"""How many rows one statement asks for by name: SQLite takes 32,766 parameters, older builds 999 or so pairs."""
INTERVAL_AT_REST = 60.0
"""Seconds. Stands in for the interval of a provider that the configuration does not name: its tasks are not polled."""

T = TypeVar("T")
Name: TypeAlias = tuple[str, str, str]
"""A task's provider, its id there and its variables (canonical JSON text): what makes it this task and no other."""

_TERMS = (
    select(
        watches.c.task_key,
        func.min(watches.c.interval).label("own"),
        (func.count() - func.count(watches.c.interval)).label("followers"),
        func.min(watches.c.deadline_at).label("earliest"),
    )
    .where(WATCHING)
    .group_by(watches.c.task_key)
)


def _with_terms(terms: Query) -> Query:
    summed = terms.subquery()
    columns = (summed.c.own, summed.c.followers, summed.c.earliest)
    return select(tasks, *columns).select_from(summed.join(tasks, tasks.c.key == summed.c.task_key))


_WATCHED = _with_terms(_TERMS)
_OF_SHARDS = select(tasks.c.key).where(WATCHED, SHARD.in_(bindparam("shards", expanding=True)))
_WATCHED_OF = _with_terms(_TERMS.where(watches.c.task_key.in_(_OF_SHARDS)))
_CURRENT = _with_terms(_TERMS.where(watches.c.task_key.in_(bindparam("keys", expanding=True))))
_SINCE = literal_column(STARTED, BigInteger) - bindparam("microseconds", type_=BigInteger)
_TOUCHED = select(tasks.c.key, tasks.c.touched_at).where(tasks.c.touched_at > _SINCE)
_NAMED = (
    select(tasks)
    .where(
        tasks.c.provider == bindparam("of"),
        tasks.c.variables == bindparam("given"),
        tasks.c.task_id.in_(bindparam("ids", expanding=True)),
    )
    .order_by(tasks.c.key)  # every node locks in the same order
    .with_for_update()
)
_INSERT = insert(tasks).values(state="watching")
_POLLED = update(tasks).where(
    tasks.c.key == bindparam("wanted"),
    tasks.c.state == "watching",
    tasks.c.watched_since.is_not_distinct_from(bindparam("since", type_=tasks.c.watched_since.type)),
)
_RESTART = (
    update(tasks)
    .where(tasks.c.key == bindparam("wanted"))
    .values(state="watching", watched_since=bindparam("now"), **UNTOUCHED, **ENDLESS)
)
_REST = update(tasks).where(tasks.c.key == bindparam("wanted")).values(state="idle")
_LOCK = (
    select(tasks.c.key, tasks.c.watched_since)
    .where(tasks.c.key.in_(bindparam("keys", expanding=True)), tasks.c.state == "watching")
    .order_by(tasks.c.key)  # as above
    .with_for_update()
)


def watched(
    connection: Connection, usual_intervals: Mapping[str, float], shards: Collection[int] | None = None
) -> list[Task]:
    if shards is None or len(shards) == SHARDS:
        rows = connection.execute(_WATCHED).all()
    else:
        rows = connection.execute(_WATCHED_OF, {"shards": list(shards)}).all()
    return [task_of(row, _terms(row, usual_intervals)) for row in rows]


def current(connection: Connection, keys: Collection[int], usual_intervals: Mapping[str, float]) -> dict[int, Task]:
    """Those of the tasks that are still watched, as they now are, by key."""
    found = {}
    for portion in portions(list(keys)):
        for row in connection.execute(_CURRENT, {"keys": portion}):
            found[row.key] = task_of(row, _terms(row, usual_intervals))
    return found


def touched(connection: Connection, seconds: float) -> dict[int, datetime]:
    """The tasks whose watches changed in so many seconds until now, and when."""
    rows = connection.execute(_TOUCHED, {"microseconds": int(seconds * 1_000_000)})
    return {row.key: row.touched_at for row in rows}


def _terms(row: AnyRow, usual_intervals: Mapping[str, float]) -> Terms:
    own, usual = row.own, usual_intervals.get(row.provider, INTERVAL_AT_REST)
    if own is None:
        return Terms(usual, row.earliest)
    return Terms(min(own, usual) if row.followers else own, row.earliest, fixed=True)


def save(connection: Connection, learned: Sequence[Task]) -> None:
    if learned:
        connection.execute(_POLLED, [_polled(task) for task in learned])


def _polled(task: Task) -> Params:
    """What polls taught us of a task, for as long as it is watched as it was then."""
    return {"wanted": task.key, "since": task.watched_since, **learned_params(task)}


def catch_up(connection: Connection, keys: Collection[int], known: Known) -> None:
    """Save what is known of these beyond their rows. An end is not: it waits for a transaction of its own."""
    save(connection, [task for key in sorted(keys) if (task := known(key)) is not None and task.end is None])


def lock(connection: Connection, keys: Collection[int]) -> Mapping[int, datetime | None]:
    """Those of the tasks that are still watched, and since when; they stay so until the transaction is over."""
    return {
        row.key: row.watched_since
        for portion in portions(list(keys))
        for row in connection.execute(_LOCK, {"keys": portion})
    }


def goes_on(task: Task, watched: Mapping[int, datetime | None]) -> bool:
    """It is still watched, and was not given up and watched anew since: what is known of it says nothing of that."""
    return task.key in watched and watched[task.key] == task.watched_since


def close(connection: Connection, ended: Sequence[tuple[Task, End]]) -> None:
    """These are over, each as it is told."""
    connection.execute(_POLLED, [{**_polled(task), **end_params(how)} for task, how in ended])


# What registering needs


def find(connection: Connection, names: Collection[Name]) -> dict[Name, AnyRow]:
    """The rows of those tasks that are known, locked."""
    alike: dict[tuple[str, str], list[str]] = {}
    for provider, task_id, variables in names:
        alike.setdefault((provider, variables), []).append(task_id)
    return {
        (row.provider, row.task_id, row.variables): row
        for (provider, variables), ids in sorted(alike.items())
        for portion in portions(ids)
        for row in connection.execute(_NAMED, {"of": provider, "given": variables, "ids": portion})
    }


def create(connection: Connection, names: Collection[Name], now: datetime) -> dict[Name, AnyRow]:
    """New tasks, to be polled."""
    if not names:
        return {}
    columns = ("provider", "task_id", "variables")
    connection.execute(_INSERT, [dict(zip(columns, name, strict=True)) | {"watched_since": now} for name in names])
    return find(connection, names)


def restart(connection: Connection, keys: Collection[int], now: datetime) -> None:
    """Poll these afresh: nothing stays of what was known, so that nothing old can end them."""
    if keys:
        connection.execute(_RESTART, [{"wanted": key, "now": now} for key in keys])


def rest(connection: Connection, keys: Collection[int]) -> None:
    """Nobody watches these any more."""
    if keys:
        connection.execute(_REST, [{"wanted": key} for key in keys])


def ended(row: AnyRow) -> Task | None:
    """The task, if it is known to have completed or failed: nothing will change that."""
    if row.state not in ("completed", "failed"):
        return None
    return task_of(row, Terms(INTERVAL_AT_REST, row.ended_at))


def portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), PORTION):
        yield items[start : start + PORTION]
