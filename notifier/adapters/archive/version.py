"""Whether two answers speak of the same file, so that one can go on where the other broke (RFC 9110, section 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_DIGITS = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Version:
    """`etag` only if it is a strong one: a weak one holds for other bytes too. `total`: of the whole file, in bytes."""

    etag: str | None
    modified: str | None
    total: int | None

    @property
    def mark(self) -> str | None:
        """For If-Range: then a file that has changed comes as a whole."""
        return self.etag or self.modified

    @property
    def recognisable(self) -> bool:
        """A file of which nothing of this is known can only be fetched anew."""
        return self.mark is not None or self.total is not None

    def goes_on(self, other: "Version") -> bool:
        """Whether a part that says `other` can be one of this file: nothing that both say differs, and both say
        something. A date is of the second, so an entity tag goes before it."""
        if self.total is not None and other.total is not None and self.total != other.total:
            return False
        for mine, its in ((self.etag, other.etag), (self.modified, other.modified)):
            if mine is not None and its is not None:
                return mine == its
        return self.total is not None and self.total == other.total


@dataclass(frozen=True, slots=True)
class Part:
    """What a 206 brings: the bytes [start, stop)."""

    start: int
    stop: int
    version: Version


def whole(headers: Mapping[str, str]) -> Version:
    """Of a 200."""
    return Version(*_marks(headers), total=announced(headers))


def part(headers: Mapping[str, str]) -> Part | None:
    """Of a 206; None when it does not say clearly which part it is, and of how much."""
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None:
        return None
    start, stop, total = int(found[1]), int(found[2]) + 1, int(found[3])
    if not start < stop <= total or announced(headers) not in {None, stop - start}:
        return None
    return Part(start, stop, Version(*_marks(headers), total=total))


def announced(headers: Mapping[str, str]) -> int | None:
    """The Content-Length, where it counts: not beside Transfer-Encoding (RFC 9112, section 6.3)."""
    text = headers.get("content-length", "").strip()
    if "transfer-encoding" in headers or not _DIGITS.fullmatch(text):
        return None
    return int(text)


def _marks(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    etag = headers.get("etag", "").strip()
    strong = len(etag) > 2 and etag.startswith('"') and etag.endswith('"')
    return etag if strong else None, headers.get("last-modified", "").strip() or None
