"""Files of tasks: planned with an end, kept try by try."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import (
    BindParameter,
    Connection,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from notifier.adapters.stores.rows import Params, file_of, file_params
from notifier.adapters.stores.schema import SAVED, UNSETTLED, files, tasks
from notifier.domain.result_file import ResultFile
from notifier.domain.task import End, Task
from notifier.ports import Outdated

_INSERT = insert(files)
_OF = select(files).where(files.c.task_key.in_(bindparam("keys", expanding=True))).order_by(files.c.task_key, files.c.n)
_KEEP = update(files).where(files.c.task_key == bindparam("wanted"), files.c.n == bindparam("number"), UNSETTLED)
_LEFT = select(func.count()).select_from(files).where(files.c.task_key == bindparam("wanted"), UNSETTLED)
_UNSETTLED = select(files.c.task_key, func.min(files.c.next_try_at)).where(UNSETTLED).group_by(files.c.task_key)
_OUTDATED = (
    select(files.c.task_key, files.c.n, files.c.location, files.c.saved_at)
    .where(SAVED, files.c.saved_at < bindparam("before"))
    .order_by(files.c.saved_at, files.c.task_key, files.c.n)
    .limit(bindparam("most"))
)
_SINCE: BindParameter[datetime] = bindparam("since", type_=files.c.saved_at.type)
_BEHIND = _OUTDATED.where(
    files.c.saved_at >= _SINCE,
    or_(
        files.c.saved_at > _SINCE,
        tuple_(files.c.task_key, files.c.n) > tuple_(bindparam("wanted"), bindparam("number")),
    ),
)
_ONE = (files.c.task_key == bindparam("wanted")) & (files.c.n == bindparam("number"))
_FORGET = update(files).where(_ONE, SAVED).values(state="deleted", location=None)
_ORPHANED = ~exists().where(tasks.c.key == files.c.task_key)
_DROP = delete(files).where(_ONE, files.c.state == "deleted", _ORPHANED)
_CLEAN = delete(files).where(files.c.task_key.in_(bindparam("keys", expanding=True)), _ORPHANED)
_CLEAN_BUT_SAVED = _CLEAN.where(~SAVED)


def plan(connection: Connection, ended: Sequence[tuple[Task, End]]) -> None:
    """Keep what is to be saved of ended tasks."""
    params = [
        {"task_key": task.key, "created_at": end.at, **file_params(file)} for task, end in ended for file in end.files
    ]
    if params:
        connection.execute(_INSERT, params)


def of(connection: Connection, keys: Collection[int]) -> Mapping[int, tuple[ResultFile, ...]]:
    """The files of these tasks, in their order; a task without any is missing."""
    found: dict[int, tuple[ResultFile, ...]] = {}
    if keys:
        for row in connection.execute(_OF, {"keys": list(keys)}):
            found[row.task_key] = (*found.get(row.task_key, ()), file_of(row))
    return found


def with_files(connection: Connection, task: Task) -> Task:
    """An ended task as its files are now."""
    if task.end is None:
        return task
    return replace(task, end=replace(task.end, files=of(connection, [task.key]).get(task.key, ())))


def keep(connection: Connection, task: Task, changed: Collection[int]) -> bool:
    """Keep what became of those of these files that were pending; whether there were any."""
    if task.end is None:
        return False
    files = [file for file in task.end.files if file.n in changed]
    params = [{"wanted": task.key, "number": file.n, **file_params(file)} for file in files]
    return sum(connection.execute(_KEEP, one).rowcount for one in params) > 0


def left(connection: Connection, key: int) -> int:
    """How many files of a task are pending."""
    return connection.execute(_LEFT, {"wanted": key}).scalar_one()


def unsettled(connection: Connection) -> dict[int, datetime]:
    """The tasks with pending files, and when the next of these is due."""
    return {row[0]: row[1] for row in connection.execute(_UNSETTLED)}


def outdated(connection: Connection, before: datetime, most: int, behind: Outdated | None) -> list[Outdated]:
    params: Params = {"before": before, "most": most}
    if behind is None:
        return [Outdated(*row) for row in connection.execute(_OUTDATED, params)]
    last = {"since": behind.saved_at, "wanted": behind.task_key, "number": behind.n}
    return [Outdated(*row) for row in connection.execute(_BEHIND, params | last)]


def forget(connection: Connection, file: Outdated, why: str) -> None:
    """A file that no task has any more leaves nothing."""
    one = {"wanted": file.task_key, "number": file.n}
    connection.execute(_FORGET, {**one, "error": why})
    connection.execute(_DROP, one)


def clean(connection: Connection, keys: Collection[int], *, keep_saved: bool) -> None:
    """Forget the files of those tasks that are gone."""
    connection.execute(_CLEAN_BUT_SAVED if keep_saved else _CLEAN, {"keys": list(keys)})
