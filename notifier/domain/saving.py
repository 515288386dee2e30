"""Saving results: which files a completed task made, what each try makes of one, and what is told of it."""

import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta

from notifier.domain.answer import Completed
from notifier.domain.event import TaskEvent
from notifier.domain.result_file import ResultFile
from notifier.domain.task import End, Task
from notifier.domain.watch import NO_VARIABLES

FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 600.0
SPREAD = 0.2
LONGEST_FOLDER = 80
"""Characters of a task id that become a folder's name; file systems take 255 bytes."""
SWITCHED_OFF = "archiving is switched off"
RETENTION_OVER = "deleted, as archive.retention was over"

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


def planned(task: Task) -> Task:
    """The task with the files that are to be saved of its end, in the folder of its own: none unless it completed with
    something to fetch. Their names are finished by `named`."""
    end = task.end
    if end is None or end.state != "completed" or end.files:
        return task
    place = f"{task.provider}/{folder_of(task.task_id, task.variables)}"
    files = tuple(
        ResultFile(n, url, place, next_try_at=end.at) for n, url in enumerate(_sources(end.urls, end.downloads))
    )
    return with_files(task, files)


def named(task: Task, watch_id: str) -> Task:
    """The task with its files called after its first watch: no name holds a word of the remote's."""
    if task.end is None or not task.end.files:
        return task
    return with_files(
        task, tuple(replace(file, name=f"{file.name}/{watch_id}-{file.n}") for file in task.end.files)
    )


def folder_of(task_id: str, variables: str) -> str:
    """A name that every file system and bucket takes, another for each task."""
    folder = _UNFIT.sub("_", task_id)[:LONGEST_FOLDER]
    folder = "_" + folder[1:] if folder.startswith(".") else folder
    if folder == task_id and variables == NO_VARIABLES:
        return folder
    digest = hashlib.sha256(f"{task_id}\0{variables}".encode()).hexdigest()
    return f"{folder}-{digest[:10]}"


def with_files(task: Task, files: tuple[ResultFile, ...]) -> Task:
    return replace(task, end=replace(_end_of(task), files=files))


def with_file(task: Task, file: ResultFile) -> Task:
    return with_files(task, tuple(file if one.n == file.n else one for one in _end_of(task).files))


def renewed(task: Task, answer: Completed, now: datetime) -> Task:
    """The task with the URLs that its provider names now, also for the files that are still to be saved. What the
    answer no longer names keeps its URL."""
    sources = _sources(answer.urls, answer.downloads)
    if not sources:
        return task
    end = _end_of(task)
    files = tuple(
        replace(file, url=sources[file.n]) if file.state == "pending" and file.n < len(sources) else file
        for file in end.files
    )
    urls = replace(end, urls=answer.urls, downloads=answer.downloads, expires_at=answer.expires_at)
    fresh = replace(urls, refreshed_at=now, refresh_error=None, files=files)
    return replace(task, status=answer.status, response=answer.response, end=fresh)


# What a try makes of a file


def next_due(task: Task, now: datetime) -> ResultFile | None:
    """The first file that is to be tried now."""
    return next((file for file in pending(task) if until_next_try(file, now) <= 0), None)


def until_next_try(file: ResultFile, now: datetime) -> float:
    """Seconds."""
    return 0.0 if file.next_try_at is None else seconds_until_try(file.next_try_at, now)


def pending(task: Task) -> tuple[ResultFile, ...]:
    """The files whose saving is not settled yet."""
    return () if task.end is None else tuple(file for file in task.end.files if file.state == "pending")


def seconds_until_try(at: datetime, now: datetime) -> float:
    """How long to wait for a try that was set down for then. None waits for longer than the longest backoff, unless the
    clock was wrong when it was written down: such a time has come."""
    seconds = (at - now).total_seconds()
    return seconds if 0 < seconds <= LONGEST_WAIT_SECONDS * (1 + SPREAD) else 0.0


def kept(file: ResultFile, *, location: str, size: int, sha256: str, content_type: str, now: datetime) -> ResultFile:
    return replace(
        file,
        state="saved",
        location=location,
        size=size,
        sha256=sha256,
        content_type=content_type,
        saved_at=now,
        error=None,
        tries=file.tries + 1,
        next_try_at=None,
    )


def missed(file: ResultFile, error: str, *, now: datetime, give_up: bool, wait: float) -> ResultFile:
    """One try failed: there is another one in `wait` seconds, unless it is time to give up."""
    if give_up:
        return dropped(replace(file, tries=file.tries + 1), error)
    return replace(file, error=error, tries=file.tries + 1, next_try_at=now + timedelta(seconds=wait))


def dropped(file: ResultFile, error: str) -> ResultFile:
    """It is not tried any more."""
    return replace(file, state="unsaved", error=error, next_try_at=None)


def switched_off(task: Task) -> Task:
    """Whatever was still to be saved is not."""
    files = () if task.end is None else task.end.files
    return with_files(task, tuple(dropped(file, SWITCHED_OFF) if file.state == "pending" else file for file in files))


def due_now(task: Task, now: datetime) -> Task:
    """The task with all that is still to be saved due, however long that was to wait."""
    due = {file.n: replace(file, next_try_at=now) for file in pending(task)}
    return with_files(task, tuple(due.get(file.n, file) for file in _end_of(task).files))


def changed_files(before: Task, after: Task) -> frozenset[int]:
    """The numbers of the files that are not as they were."""
    pairs = zip(_end_of(before).files, _end_of(after).files, strict=True)
    return frozenset(new.n for old, new in pairs if old != new)


def wait_after(tries: int, spread: float) -> float:
    """Seconds from the `tries`-th failed try in a row (from 1) to the next one: 5 s, doubling up to ten minutes, moved
    by up to 20 % by `spread` in [-1, 1]."""
    return min(FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 30), LONGEST_WAIT_SECONDS) * (1 + SPREAD * spread)


def news_of(end: End) -> TaskEvent:
    """The event that tells of the files' saving, when that is settled."""
    return "result.saved" if any(file.state in ("saved", "deleted") for file in end.files) else "result.unsaved"


def _sources(urls: tuple[str, ...], downloads: tuple[str, ...]) -> tuple[str, ...]:
    return urls or downloads


def _end_of(task: Task) -> End:
    if task.end is None:
        raise ValueError("a task that goes on has no files")
    return task.end
