"""A result file: what a completed task made, saved before its URL expires."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from notifier.domain.moment import rfc3339_or_none

FileState: TypeAlias = Literal["pending", "saved", "unsaved", "deleted"]
"""`unsaved` was given up; `deleted` was saved, and its retention is over."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """The `n`-th result (from 0) of a task, to be saved under `name` plus an ending for its type.

    `location` is a file:// URL or a bucket's, `size` in bytes, `sha256` in hex, `error` why the last try failed.
    """

    n: int
    url: str
    name: str
    state: FileState = "pending"
    location: str | None = None
    size: int | None = None
    sha256: str | None = None
    content_type: str | None = None
    saved_at: datetime | None = None
    error: str | None = None
    tries: int = 0
    next_try_at: datetime | None = None


def file_members(file: ResultFile) -> dict[str, Any]:
    """A file as events and views show it."""
    return {
        "url": file.url,
        "location": file.location,
        "size": file.size,
        "sha256": file.sha256,
        "content_type": file.content_type,
        "saved_at": rfc3339_or_none(file.saved_at),
        "error": file.error,
    }
