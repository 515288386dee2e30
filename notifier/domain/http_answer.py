"""An HTTP answer as it came, and what every provider means by the statuses that are not a 2xx."""

from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifier.domain.answer import (
    MAX_PAUSE_SECONDS,
    MAX_RESPONSE_BYTES,
    MIN_PAUSE_SECONDS,
    Answer,
    Missed,
    Throttled,
    Unauthorized,
    Unavailable,
)
from notifier.domain.expression import parse_json
from notifier.domain.retry_after import parse_retry_after


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """As it came. The names of `headers` are found in any case; `truncated`: the body went on past 1 MiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False


def by_status(heard: HttpAnswer, document: Any, now: datetime) -> Answer:
    """Every provider's table for an HTTP status that is not a 2xx."""
    status = heard.status
    wait = parse_retry_after(heard.headers.get("retry-after"), now)
    if status == 429 or (status == 503 and wait is not None):
        return throttled(wait)
    if status in (401, 403):
        return Unauthorized(status)
    if 400 <= status < 500:
        response = text_of(heard) if isinstance(document, dict) else None
        return Missed(refused=status != 404, message=f"HTTP {status}", response=response)
    if 300 <= status < 400:
        return Unavailable(f"HTTP {status}: redirects are not followed; check base_url")
    return Unavailable(f"HTTP {status}")


def parse_document(heard: HttpAnswer) -> Any:
    """The JSON object or array of the body; None for anything else, and for one that is too large."""
    if heard.truncated:
        return None
    try:
        document = parse_json(_text(heard))
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return None
    return document if isinstance(document, dict | list) else None


def throttled(wait: float | None) -> Throttled:
    return Throttled(None if wait is None else min(max(wait, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS))


def text_of(heard: HttpAnswer) -> str | None:
    """The answer's own JSON text, to be passed on byte for byte; None when it is over MAX_RESPONSE_BYTES."""
    return None if len(heard.body) > MAX_RESPONSE_BYTES else _text(heard).strip()


def _text(heard: HttpAnswer) -> str:
    """Without the mark that some put before UTF-8. UnicodeDecodeError when it is not that."""
    return heard.body.removeprefix(BOM_UTF8).decode()
