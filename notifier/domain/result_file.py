"""A result file: what a completed task made, saved before its URL expires."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from notifier.domain.moment import rfc3339_or_none

FileState: TypeAlias = Literal["pending", "saved", "unsaved", "deleted"]
"""`unsaved` was given up; `deleted` was saved, and its retention is over."""
MakeLink: TypeAlias = Callable[[int], str]
"""The signed link to the file of that number."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_LONGEST = 80


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


def file_members(file: ResultFile, link: MakeLink | None = None) -> dict[str, Any]:
    """A file as events and views show it; of a saved one also the link that `link` makes for its number."""
    linked = {"link": link(file.n)} if link is not None and file.state == "saved" else {}
    return {
        "url": file.url,
        "location": file.location,
        "size": file.size,
        "sha256": file.sha256,
        "content_type": file.content_type,
        "saved_at": rfc3339_or_none(file.saved_at),
        "error": file.error,
        **linked,
    }


def download_name(task_id: str, n: int, location: str | None) -> str:
    """What to call a saved file where it is downloaded to: a plain name in ASCII for any task id, with the ending of
    its location. Task ids that are written alike after that are told apart by a digest."""
    kept = _UNSAFE.sub("_", task_id)[:_LONGEST].lstrip(".-") or "task"
    if kept != task_id:
        kept = f"{kept}-{hashlib.sha256(task_id.encode('utf-8', 'replace')).hexdigest()[:10]}"
    ending = _ENDING.search(location or "")
    return f"{kept}-{n}{ending[0] if ending else '.bin'}"
