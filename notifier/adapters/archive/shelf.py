"""Where whole files are kept: what the back ends have in common."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from notifier.ports import ElsewhereError, FileGoneError

_STEP = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}")
"""Of a name. They are made of ids by our own rule, so one that does not match is not ours."""


class ShelfError(Exception):
    """The file cannot be kept; the message says why and what to do."""


class Shelf(Protocol):
    async def keep(self, partial: Path, name: str, content_type: str) -> str:
        """Take a file that is whole and on the platter; the answer is its location. All or nothing, and what is kept
        survives a power cut. ShelfError."""
        ...

    def open(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """As the Archive port's."""
        ...

    async def remove(self, location: str) -> None:
        """As the Archive port's."""
        ...


def steps(name: str) -> list[str]:
    """The folders and the file of a name; ValueError when it could lead anywhere else."""
    found = name.split("/")
    if not all(_STEP.fullmatch(step) for step in found):
        raise ValueError("not a name of this archive")
    return found


def name_in(location: str, root: str) -> str:
    """The name of the file at a location below `root` (which ends with a slash). FileGoneError when we never put one
    there, ElsewhereError when the location is of another archive."""
    if not location.startswith(root):
        saved = f"the file was saved in {_archive_of(location)}, which is not this archive"
        raise ElsewhereError(f"{saved} (archive.url was changed); set that back to read or delete it here")
    try:
        return "/".join(steps(location.removeprefix(root)))
    except ValueError:
        raise FileGoneError("the archive has no file at this location; nothing of ours is called so") from None


def _archive_of(location: str) -> str:
    """Without the three steps of a name, if it has so many."""
    root = location.rsplit("/", 3)[0]
    return root if "://" in root and not root.endswith("/") else location
