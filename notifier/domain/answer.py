"""What a provider's answer to one poll can mean, for every provider. `reading` finds out which of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, assert_never

MAX_ANSWER_BYTES = 1024 * 1024
"""An answer over 1 MiB is no status report; it is not read to its end."""
MAX_RESPONSE_BYTES = 64 * 1024
"""The largest answer that is passed on in an event."""
MAX_PAUSE_SECONDS = 3600.0
"""The longest pause that a provider's Retry-After can impose."""
MIN_PAUSE_SECONDS = 1.0
"""`Retry-After: 0`, or a date that has passed, still pauses this long: who throttles is not asked again at once."""
MAX_WORD_CHARACTERS = 2048
MAX_URL_CHARACTERS = 64 * 1024
"""Presigned URLs are long, and one that is cut is worth nothing."""


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why the provider says that a task failed."""

    code: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Running:
    """Not over yet. `known` is false for a status word that the provider's documentation does not name."""

    status: str | None
    known: bool
    response: str | None = None
    progress: float | None = None  # 0 … 1
    ask_again: float | None = None  # in how many seconds, when the provider says so
    model: str | None = None  # what runs the task, when the provider says so


@dataclass(frozen=True, slots=True)
class Completed:
    """`downloads` is where the result can be had with our key, of an API that gives no URL; `final` says that no URL is
    to be expected, `expires_at` until when the URLs live."""

    status: str
    urls: tuple[str, ...]
    response: str | None = None
    expires_at: datetime | None = None
    downloads: tuple[str, ...] = ()
    final: bool = False
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    status: str
    error: TaskError
    response: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """The provider does not know the task (404, `refused` false) or will not talk about it (another 4xx)."""

    refused: bool
    message: str
    response: str | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """The provider wants fewer requests; `retry_after` is what it told us, in seconds, at most an hour."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The key is wrong or the account may not ask (401, 403)."""

    http_status: int


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No usable answer: 5xx, 3xx, time-out, network error, not JSON, too large, or about another task."""

    message: str


Answer: TypeAlias = Running | Completed | Failed | Missed | Throttled | Unauthorized | Unavailable


OUTCOMES = ("running", "completed", "failed", "not_found", "refused", "throttled", "unauthorized", "unavailable")


def outcome_name(answer: Answer) -> str:
    """The outcome's name in logs and metrics: a closed set of words."""
    match answer:
        case Running():
            return "running"
        case Completed():
            return "completed"
        case Failed():
            return "failed"
        case Missed(refused=refused):
            return "refused" if refused else "not_found"
        case Throttled():
            return "throttled"
        case Unauthorized():
            return "unauthorized"
        case Unavailable():
            return "unavailable"
        case _:
            assert_never(answer)


def clean_text(value: object, longest: int = MAX_WORD_CHARACTERS) -> str | None:
    """A scalar out of a provider's answer as text that can be stored and sent on; None for anything else.

    JSON may carry lone surrogates and NUL, which neither UTF-8 nor databases take; what is longer is cut.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\x00", "")[:longest]
