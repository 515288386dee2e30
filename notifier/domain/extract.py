"""What expressions find in an answer, as values that can be kept: whatever an answer holds, nothing here raises."""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urljoin

from notifier.domain.answer import MAX_URL_CHARACTERS, TaskError, clean_text
from notifier.domain.description import ErrorPaths, Expressions

MAX_URLS = 1000
MAX_TEXTS = 5 * MAX_URLS
"""Texts that one expression found and that are looked at: what 1 MiB can hold would keep all else waiting."""
MAX_DEPTH = 100
"""Lists inside each other; what is deeper is not looked at."""
NO_REASON = "the provider gave no reason"
_NO_ERROR = frozenset({"", "0", "200", "none", "null", "ok", "success", "no error"})
"""What APIs send for an error where there is none, in lower case."""

_MILLISECONDS_FROM = 1e11
"""Seconds reach this in the year 5138, milliseconds did in 1973."""
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")


def first(paths: Expressions, document: Any) -> Any:
    """The first value that is not null."""
    for path in paths:
        found = path.find(document)
        if found is not None:
            return found
    return None


def word_at(paths: Expressions, document: Any) -> str | None:
    """A status word, a code or a name. Whole numbers are whole however they are written; true and false are no words,
    but an expression can make words of them."""
    found = first(paths, document)
    return clean_text(int(found) if isinstance(found, float) and found.is_integer() else found)


def urls_at(paths: Expressions, document: Any, base_url: str) -> tuple[str, ...]:
    """The http(s) URLs, each once; a reference that begins with a slash is resolved against `base_url` (RFC 3986,
    section 5.2). The first expression that finds any decides."""
    for path in paths:
        found: dict[str, None] = {}
        for text in dict.fromkeys(islice(_texts(path.find(document), 0), MAX_TEXTS)):
            if (url := _url(text, base_url)) is not None:
                found[url] = None
            if len(found) == MAX_URLS:
                break
        if found:
            return tuple(found)
    return ()


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < MAX_DEPTH:
        for item in value:
            yield from _texts(item, depth + 1)


def _url(text: str, base_url: str) -> str | None:
    url = clean_text(text.strip(), MAX_URL_CHARACTERS) or ""
    if url[:8].lower().startswith(("http://", "https://")):
        return url
    if not url.startswith("/"):
        return None
    try:
        return urljoin(base_url, url)
    except ValueError:
        return None


def error_at(paths: ErrorPaths, document: Any) -> TaskError | None:
    """What the answer says went wrong; None when it says nothing: null, false, 0, nothing but spaces, or an object or
    list of such. Where a message is described, a code alone is no error, for many APIs send one with each success."""
    return _error(paths, document, frozenset({""}))


def error_in_success(paths: ErrorPaths, document: Any) -> TaskError | None:
    """The same of an answer that says that the task is completed: words for no error are none either."""
    return _error(paths, document, _NO_ERROR)


def _error(paths: ErrorPaths, document: Any, none: Collection[str]) -> TaskError | None:
    if not paths.message:
        there = not _blank(first(paths.code, document), none)
        return TaskError(word_at(paths.code, document), NO_REASON) if there else None
    found = [value for path in paths.message if not _blank(value := path.find(document), none)]
    if not found:
        return None
    message = next((text for value in found if (text := clean_text(value))), None) or _as_json(found[-1])
    return TaskError(word_at(paths.code, document), message or NO_REASON)


def reason_at(paths: ErrorPaths, document: Any) -> TaskError:
    """Of a task that failed, also when the answer gives none."""
    return error_at(paths, document) or TaskError(word_at(paths.code, document), NO_REASON)


def _blank(value: Any, none: Collection[str], depth: int = 0) -> bool:
    """`none` are the texts that say nothing, in lower case; a number may be one."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth >= MAX_DEPTH or all(_blank(item, none, depth + 1) for item in value)
    return not value or (not isinstance(value, bool) and f"{value}".strip().lower().removesuffix(".0") in none)


def _as_json(value: Any) -> str | None:
    if not isinstance(value, dict | list):
        return None
    try:
        return clean_text(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return None


def number_at(paths: Expressions, document: Any) -> float | None:
    """A finite number, also one that is written as text."""
    found = first(paths, document)
    if isinstance(found, str) and _NUMBER.fullmatch(found.strip()):
        found = float(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        number = float(found)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def progress_at(paths: Expressions, document: Any) -> float | None:
    """Of 0 … 1: a fraction as it is, and whole numbers, numbers over 1 and `50%` as per cent."""
    found = first(paths, document)
    if found is None:
        return None
    if isinstance(found, str):
        text, percent = found.strip().removesuffix("%"), found.strip().endswith("%")
        number = float(text) if _NUMBER.fullmatch(text) else None
        whole = percent or "." not in text
    else:
        number, whole = number_at(paths, document), isinstance(found, int)
    if number is None:
        return None
    return min(max(number / 100 if whole or number > 1 else number, 0.0), 1.0)


def moment_at(paths: Expressions, document: Any) -> datetime | None:
    """Epoch seconds, epoch milliseconds, or RFC 3339 (UTC where it names no zone)."""
    number, found = number_at(paths, document), first(paths, document)
    try:
        if number is not None:
            return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
        if not isinstance(found, str):
            return None
        moment = datetime.fromisoformat(found.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def placeholders(names: Iterable[str], document: Any) -> dict[str, str]:
    """The values of `answer.a.b`: dotted paths of keys and indices that lead to a text or a number."""
    found = {name: clean_text(_walk(name.split(".")[1:], document)) for name in names if name.startswith("answer.")}
    return {name: value for name, value in found.items() if value is not None}


def _walk(steps: Sequence[str], value: Any) -> Any:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    return value
