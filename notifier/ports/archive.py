"""Keeping what a task made: its files, fetched from the provider's URLs before those expire."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

UnsavedReason: TypeAlias = Literal["expired", "refused", "too_large", "broken", "store"]
"""`expired`: the URL is dead (400, 401, 403, 404, 410), a fresh one may live. `refused`: by the address guard, the URL
itself or where it redirects to. `too_large`: more than `archive.max_size`. `store`: the file cannot be kept (disk full,
a bucket that refuses); later it may work. `broken`: everything else; later it may work."""


@dataclass(frozen=True, slots=True)
class SaveOrder:
    """`name` is the file's, `/` between its folders, without its extension: that comes from the content. `provider` is
    whose credentials may go along, to its own origins only."""

    url: str
    name: str
    provider: str


@dataclass(frozen=True, slots=True)
class Saved:
    """`location` is the URL of the file (`file:///…`, `s3://…`), which `open` and `remove` take; `size` is in bytes,
    `sha256` in hex."""

    location: str
    size: int
    sha256: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Unsaved:
    """`message` is told to receivers: it names a host at most, never a path or a query string of the file's URL, nor
    what a refused name leads to."""

    reason: UnsavedReason
    message: str


class ArchiveUnavailableError(Exception):
    """A saved file cannot be read or removed now; the message says why and what to do."""


class FileGoneError(ArchiveUnavailableError):
    """There is no file of ours at this location (any more)."""


class ElsewhereError(ArchiveUnavailableError):
    """This location is in another archive: what became of its file cannot be known here."""


class Archive(Protocol):
    async def save(self, order: SaveOrder) -> Saved | Unsaved:
        """One try within `archive.timeout`, resumed as long as there is progress; never raises for what others do.
        What is saved survives a power cut, and takes the place of a file of the same name."""
        ...

    def open(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes [start, stop) of a saved file, in chunks; ArchiveUnavailableError out of the iteration, also when
        the file ends before `stop`. FileGoneError and ElsewhereError come before the first chunk."""
        ...

    async def remove(self, location: str) -> None:
        """Nothing happens if it is gone already; ArchiveUnavailableError if it cannot be removed now, as
        ElsewhereError if it is not for this archive to remove."""
        ...
