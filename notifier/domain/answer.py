"""What a provider's answer to one poll means.

`interpret()` is the table every provider shares: HTTP status first, then the JSON body. What the body's words mean is
the provider family's own knowledge and comes in as a function.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Never, TypeAlias, assert_never

from notifier.domain.retry_after import parse_retry_after

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


Meaning: TypeAlias = Running | Completed | Failed
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


def interpret(
    *,
    http_status: int,
    retry_after: str | None,
    body: bytes,
    truncated: bool,
    task_id: str,
    now: datetime,
    read: Callable[[Mapping[str, Any], str | None], Meaning],
) -> Answer:
    """What one HTTP answer to a poll for `task_id` means.

    `retry_after` is the header as it came, `truncated` says that the body went on past MAX_ANSWER_BYTES, and
    `read(document, response)` turns the JSON object of a 2xx answer into its meaning.
    """
    if 200 <= http_status < 300:
        return _interpret_body(body, truncated, task_id, read)
    wait = parse_retry_after(retry_after, now)
    if http_status == 429 or (http_status == 503 and wait is not None):
        return Throttled(None if wait is None else min(max(wait, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS))
    if http_status in (401, 403):
        return Unauthorized(http_status)
    if 400 <= http_status < 500:
        document = None if truncated else parse_object(body)
        response = None if document is None else response_text(body)
        return Missed(refused=http_status != 404, message=f"HTTP {http_status}", response=response)
    if 300 <= http_status < 400:
        return Unavailable(f"HTTP {http_status}: redirects are not followed; check base_url")
    return Unavailable(f"HTTP {http_status}")


def _interpret_body(
    body: bytes, truncated: bool, task_id: str, read: Callable[[Mapping[str, Any], str | None], Meaning]
) -> Meaning | Unavailable:
    if truncated:
        return Unavailable("the answer is larger than 1 MiB")
    document = parse_object(body)
    if document is None:
        return Unavailable("the answer is not a JSON object")
    if document.get("id") is not None and str(document["id"]) != task_id:
        return Unavailable("the answer is about another task: its id is not ours")
    return read(document, response_text(body))


def parse_object(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object in `body` (RFC 8259: UTF-8, no NaN or Infinity), or None when it is anything else."""
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return None
    return document if isinstance(document, dict) else None


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def response_text(body: bytes) -> str | None:
    """The answer's own JSON text, to be passed on byte for byte; None when it is over MAX_RESPONSE_BYTES."""
    return None if len(body) > MAX_RESPONSE_BYTES else body.decode("utf-8-sig").strip()


def clean_text(value: object, longest: int = MAX_WORD_CHARACTERS) -> str | None:
    """A scalar out of a provider's answer as text that can be stored and sent on; None for anything else.

    JSON may carry lone surrogates and NUL, which neither UTF-8 nor databases take; what is longer is cut.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).encode("utf-8", "replace").decode().replace("\x00", "")
    return text[:longest]
