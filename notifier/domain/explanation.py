"""Why an answer meant what it did, and what comes of it: sentences for the author of a provider's description.

What decided is read off the reading; the order of decisions is `reading`'s alone.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import assert_never

from notifier.domain.answer import (
    Answer,
    Completed,
    Failed,
    Missed,
    Running,
    Throttled,
    Unauthorized,
    Unavailable,
)
from notifier.domain.description import Description, Expressions, Rule
from notifier.domain.moment import rfc3339
from notifier.domain.quantity import format_duration
from notifier.domain.reading import Reading
from notifier.domain.task import MAX_BACKOFF_SECONDS, MISSES_BEFORE_END, POLLS_FOR_A_MISSING_URL, Task, advance

_NEVER = datetime.max.replace(tzinfo=UTC)


def decided_by(reading: Reading, http_status: int, description: Description) -> str:
    """What in the description, or in the table that all providers share, made the answer to a poll mean this."""
    shared = _decided_by_shared(reading, http_status, description.rules)
    return shared or _decided_by_words(reading.answer, description)


def decided_by_result(reading: Reading, http_status: int, description: Description) -> str:
    """The same of the answer to the second request, which has no status word."""
    rules = () if description.result is None else description.result.rules
    if (shared := _decided_by_shared(reading, http_status, rules)) is not None:
        return shared
    if isinstance(reading.answer, Failed):
        return "the answer says what went wrong (error), so that the success is a failure"
    return "the task had completed, and here is its result"


def _decided_by_shared(reading: Reading, http_status: int, rules: Sequence[Rule]) -> str | None:
    if reading.rule is not None:
        return f"rules[{reading.rule}]: {rule_text(rules[reading.rule])}"
    if not 200 <= http_status < 300:
        return f"HTTP {http_status} in the table of all providers, as no rule fits"
    return reading.answer.message if isinstance(reading.answer, Unavailable) else None


def _decided_by_words(answer: Answer, description: Description) -> str:
    match answer:
        case Running(status=None):
            return f"status ({_texts(description.status)}) finds no word, which is running"
        case Running(status=status, known=True):
            return f"the status word {status!r} is one of running"
        case Running(status=status):
            return f"the status word {status!r} is in none of the lists, which is running"
        case Failed(status=status) if status.strip().lower() in description.completed:
            return f"the status word {status!r} is one of completed, but the answer says what went wrong (error)"
        case Failed(status=status):
            return f"the status word {status!r} is one of failed"
        case Completed(status=status):
            return f"the status word {status!r} is one of completed"
        case _:
            return "no rule fits"


def rule_text(rule: Rule) -> str:
    """A rule as one writes it."""
    parts = []
    if rule.http:
        parts.append(f"http: [{', '.join(map(_statuses, rule.http))}]")
    if rule.when is not None:
        parts.append(f"when: {rule.when.text!r}")
    return f"{{{', '.join([*parts, f'outcome: {rule.outcome}'])}}}"


def _statuses(both: tuple[int, int]) -> str:
    low, high = both
    return str(low) if low == high else f"{low // 100}xx"


def _texts(expressions: Expressions) -> str:
    return ", ".join(repr(one.text) for one in expressions) or "nothing is described"


def findings(answer: Answer) -> Iterator[tuple[str, str]]:
    """What was found in an answer beside its meaning: names and values."""
    match answer:
        case Running():
            yield from _of_running(answer)
        case Completed():
            yield "status", answer.status
            yield from (("url", url) for url in answer.urls)
            yield from (("download", url) for url in answer.downloads)
            if answer.expires_at is not None:
                yield "expires", rfc3339(answer.expires_at)
        case Failed(status=status, error=error):
            yield "status", status
            yield from (() if error.code is None else (("error code", error.code),))
            yield "error", error.message
        case Missed(message=message) | Unavailable(message=message):
            yield "error", message
        case Throttled(retry_after=seconds):
            yield from (() if seconds is None else (("retry after", f"{seconds:g} s"),))
        case Unauthorized():
            pass
        case _:
            assert_never(answer)
    if isinstance(answer, Running | Completed | Failed) and answer.model is not None:
        yield "model", answer.model


def _of_running(answer: Running) -> Iterator[tuple[str, str]]:
    if answer.status is not None:
        yield "status", answer.status
    if answer.progress is not None:
        yield "progress", f"{answer.progress:.0%}"
    if answer.ask_again is not None:
        yield "ask again", f"in {answer.ask_again:g} s"


def what_follows(answer: Answer, *, interval: float, min_interval: float, not_found_grace: float) -> str:
    """What Notifier does after a task's first poll gave this answer; all are the provider's, in seconds."""
    usual, grace = format_duration(interval), format_duration(not_found_grace)
    doubling = f"after {usual}, then after pauses that double up to {format_duration(MAX_BACKOFF_SECONDS)}"
    match answer:
        case Running(ask_again=seconds):
            return f"the task is polled again {_when(seconds, usual, min_interval)}"
        case Completed() if not _ends(answer):
            again = f"it is polled {POLLS_FOR_A_MISSING_URL} more times for a URL"
            return f"{again}, at its interval ({usual}); then the task ends without one"
        case Completed():
            return "the task ends; its watches are told with task.completed"
        case Failed():
            return "the task ends; its watches are told with task.failed"
        case Missed(refused=refused):
            reason = "refused" if refused else "not_found"
            row = f"{MISSES_BEFORE_END} such answers in a row, the first of them at least {grace} ago"
            return f"the task is polled again at its interval; after {row}, it ends (task.abandoned, reason {reason})"
        case Throttled(retry_after=None):
            return f"no task of this provider is polled for a while: again {doubling}; no task ends by it"
        case Throttled(retry_after=seconds):
            return f"no task of this provider is polled for {seconds:g} s, as it says; no task ends by it"
        case Unauthorized():
            return f"check the key and auth: no task of this provider is polled but {doubling}; no task ends by it"
        case Unavailable():
            return f"the task is polled again {doubling}; it does not end by it"
        case _:
            assert_never(answer)


def _when(told: float | None, usual: str, least: float) -> str:
    if told is None:
        return f"at its interval ({usual})"
    return f"after {format_duration(max(told, least))}, as the answer says"


def _ends(answer: Completed) -> bool:
    """Whether a first poll with this answer ends its task."""
    task = Task(0, "", "", interval=1.0, deadline_at=_NEVER)
    return advance(task, answer, now=_NEVER, not_found_grace=0.0).task.end is not None
