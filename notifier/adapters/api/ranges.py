"""Which bytes of a file a request asks for: one range (RFC 9110, section 14), if the file is still the same."""

import re
from dataclasses import dataclass
from typing import TypeAlias

_RANGE = re.compile(r"[ \t]*bytes[ \t]*=[ \t]*([0-9]*)[ \t]*-[ \t]*([0-9]*)[ \t]*", re.ASCII | re.IGNORECASE)
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes [start, stop)."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """The file ends before the range begins."""


Wanted: TypeAlias = Part | Unsatisfiable | None
"""None: the whole file."""


def wanted_part(size: int, etag: str, asked: str | None, if_range: str | None) -> Wanted:
    """What of a file of `size` bytes is wanted, by its request's Range and If-Range. What is not understood is passed
    over, several ranges too, as the standard allows: then the whole file is the answer."""
    found = None if asked is None else _RANGE.fullmatch(asked)
    if found is None or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = found[1], found[2]
    if max(len(first), len(last)) > _MOST_DIGITS or not (first or last):
        return None
    return _from(int(first), last, size) if first else _ending(int(last), size)


def _from(start: int, last: str, size: int) -> Wanted:
    if last and int(last) < start:
        return None
    if start >= size:
        return Unsatisfiable()
    return Part(start, min(int(last) + 1, size) if last else size)


def _ending(length: int, size: int) -> Wanted:
    """The last `length` bytes; of an empty file there is only the whole."""
    if length == 0:
        return Unsatisfiable()
    return Part(max(size - length, 0), size) if size else None
