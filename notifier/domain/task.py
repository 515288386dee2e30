"""A task: the remote job, and what each poll's answer makes of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, assert_never

from notifier.domain.answer import (
    Answer,
    Completed,
    Failed,
    Missed,
    Running,
    TaskError,
    Throttled,
    Unauthorized,
    Unavailable,
)
from notifier.domain.result_file import ResultFile
from notifier.domain.watch import NO_VARIABLES

MISSES_BEFORE_END = 3
POLLS_FOR_A_MISSING_URL = 3
MAX_BACKOFF_SECONDS = 300.0
PHASE_SPREAD = 0.06
"""Consecutive polls of a task are one interval apart, give or take this part of it: crowds drift apart, and what the
machine adds stays within the promised ±10 %."""

EndState: TypeAlias = Literal["completed", "failed", "abandoned"]
Reason: TypeAlias = Literal["deadline", "not_found", "refused"]


@dataclass(frozen=True, slots=True)
class End:
    """How a task ended, as we learned it at `at`.

    `urls` live until `expires_at`, if that is known; `downloads` is where the result can be had with our key instead.
    `refreshed_at` is when the provider was asked for the URLs again, `refresh_error` why that led to none. `files` are
    the results that are saved, or are to be.
    """

    state: EndState
    at: datetime
    urls: tuple[str, ...] = ()
    error: TaskError | None = None
    reason: Reason | None = None
    expires_at: datetime | None = None
    downloads: tuple[str, ...] = ()
    refreshed_at: datetime | None = None
    refresh_error: str | None = None
    files: tuple[ResultFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One remote job that at least one watch is interested in.

    `interval` (seconds) and `deadline_at` are the smallest of its watches'. `misses` counts the unbroken row of
    404s and refusals since `missed_since`, `bare` the successes that named no result URL, `setbacks` the unbroken
    row of unavailable answers. `response` is the provider's last answer as JSON text. `variables` (a JSON object of
    strings, its keys sorted) are what the provider's path needs beside the task id. `watched_since` is when its first
    watch was registered, `seen_running_at` the last poll that found it running, `model` what runs it; `fixed` says that
    a watch asked for an interval of its own, which is kept.
    """

    key: int
    provider: str
    task_id: str
    interval: float
    deadline_at: datetime
    status: str | None = None
    response: str | None = None
    polls: int = 0
    last_polled_at: datetime | None = None
    last_error: str | None = None
    misses: int = 0
    missed_since: datetime | None = None
    bare: int = 0
    setbacks: int = 0
    end: End | None = None
    variables: str = NO_VARIABLES
    watched_since: datetime | None = None
    seen_running_at: datetime | None = None
    model: str | None = None
    fixed: bool = False

    def on_terms_of(self, other: "Task") -> "Task":
        """What is known of this one, polled as the watches ask that the other one goes by."""
        return replace(self, interval=other.interval, deadline_at=other.deadline_at, fixed=other.fixed)


@dataclass(frozen=True, slots=True)
class Step:
    """What one answer changed.

    `task` is the task afterwards; `changed` says that it differs in something a restart must not forget;
    `back_off` asks for the next poll later than the interval says.
    """

    task: Task
    changed: bool = False
    back_off: bool = False


def advance(task: Task, answer: Answer, *, now: datetime, not_found_grace: float) -> Step:
    """Apply one poll's answer to a task that has not ended. `not_found_grace` is in seconds.

    Only a final status, or a long enough row of misses, ends a task: one bad poll never does.
    """
    if task.end is not None:
        return Step(task)
    if isinstance(answer, Running | Completed | Failed):
        return _hear(task, answer, now)
    polled = replace(task, polls=task.polls + 1, last_polled_at=now)
    match answer:
        case Missed():
            return _miss(polled, answer, now, not_found_grace)
        case Throttled():
            return Step(replace(polled, last_error="the provider is throttling"))
        case Unauthorized(http_status=http_status):
            refused = f"HTTP {http_status}: the provider refuses our key; check its api_key"
            return Step(replace(polled, last_error=refused))
        case Unavailable(message=message):
            unbroken = replace(polled, misses=0, missed_since=None, setbacks=task.setbacks + 1, last_error=message)
            return Step(unbroken, changed=task.misses > 0, back_off=True)
        case _:
            assert_never(answer)


def _hear(task: Task, answer: Running | Completed | Failed, now: datetime) -> Step:
    """The provider told us about the task: every row of bad answers is broken."""
    heard = replace(
        task,
        polls=task.polls + 1,
        last_polled_at=now,
        status=answer.status,
        response=answer.response,
        model=answer.model or task.model,
        last_error=None,
        misses=0,
        missed_since=None,
        setbacks=0,
        seen_running_at=now if isinstance(answer, Running) else task.seen_running_at,
    )
    match answer:
        case Running():
            return Step(heard, changed=_differs(task, answer.status))
        case Completed():
            return _complete(heard, answer, now)
        case Failed(error=error):
            return Step(replace(heard, end=End("failed", now, error=error)), changed=True)
        case _:
            assert_never(answer)


def _differs(task: Task, status: str | None) -> bool:
    return status != task.status or task.misses > 0


def _complete(heard: Task, answer: Completed, now: datetime) -> Step:
    """A success without a result URL is asked for again a few times: some APIs fill the URL in late."""
    if not answer.urls and not answer.final and heard.bare < POLLS_FOR_A_MISSING_URL:
        return Step(replace(heard, bare=heard.bare + 1), changed=True)
    end = End("completed", now, urls=answer.urls, expires_at=answer.expires_at, downloads=answer.downloads)
    return Step(replace(heard, end=end), changed=True)


def _miss(task: Task, answer: Missed, now: datetime, grace: float) -> Step:
    since = task.missed_since or now
    missed = replace(
        task,
        misses=task.misses + 1,
        missed_since=since,
        setbacks=0,
        last_error=answer.message,
        response=answer.response or task.response,
    )
    if missed.misses >= MISSES_BEFORE_END and now - since >= timedelta(seconds=grace):
        reason: Reason = "refused" if answer.refused else "not_found"
        return Step(replace(missed, end=End("abandoned", now, reason=reason)), changed=True)
    return Step(missed, changed=True)


def rest_of_interval(task: Task, now: datetime) -> float:
    """Seconds that are left of an interval that began with the task's last poll."""
    if task.last_polled_at is None:
        return 0.0
    rest = task.interval - (now - task.last_polled_at).total_seconds()
    return min(max(rest, 0.0), task.interval)  # more than that only when the wall clock was set back


def heeded(task: Task, told: float, left: float, least: float) -> float | None:
    """Seconds to the next poll when the provider says to ask again in `told` seconds and `left` remain to the deadline;
    None: the interval says it, which a watch asked for and which is sooner. `least` is the shortest wait, and there is
    one look that long before the deadline."""
    if task.fixed and told > task.interval:
        return None
    return max(min(told, left - least), least)


def backoff(interval: float, failures: int, spread: float) -> float:
    """Seconds to wait after the `failures`-th bad answer in a row (from 1).

    Starts at the interval and doubles up to five minutes (or the interval, when that is longer); `spread` in [-1, 1]
    moves it by up to 20 %.
    """
    ceiling = max(interval, MAX_BACKOFF_SECONDS)
    doubled = interval * 2.0 ** min(failures - 1, 30)
    return min(doubled, ceiling) * (1 + 0.2 * spread)
