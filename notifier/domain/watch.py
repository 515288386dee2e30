"""A watch: our promise to tell one callback URL how one task ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

WatchState: TypeAlias = Literal["watching", "completed", "failed", "abandoned", "cancelled"]
Source: TypeAlias = Literal["intake", "config"]

WATCH_STATES: tuple[WatchState, ...] = ("watching", "completed", "failed", "abandoned", "cancelled")

MAX_METADATA_BYTES = 4096
NO_VARIABLES = "{}"
MAX_TASK_ID_CHARACTERS = 512


def judge_task_id(task_id: str) -> str | None:
    """What is wrong with a task id, or None.

    Any printable text will do, for it is percent-encoded into the URL; `.` and `..` would change the path all the same
    (RFC 3986, section 5.2.4).
    """
    if not 1 <= len(task_id) <= MAX_TASK_ID_CHARACTERS:
        return f"must have 1 to {MAX_TASK_ID_CHARACTERS} characters"
    if task_id in (".", ".."):
        return "must not be a path segment that means another path"
    if any(char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in task_id):
        return "must not hold control characters or lone surrogates"
    return None


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Metadata as the JSON text that the event will carry, at most 4 KiB in UTF-8; ValueError says what is wrong."""
    try:
        text = json.dumps(metadata, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size = len(text.encode())
    except (ValueError, RecursionError):  # a UnicodeEncodeError is a ValueError
        raise ValueError("must be plain JSON: finite numbers, whole Unicode characters, not too deep") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"takes {size} bytes as JSON; at most {MAX_METADATA_BYTES} are kept")
    return text


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody asks for: checked, and with the provider's defaults applied.

    `id` is the watch's id if it turns out to be new. `interval` is None when the watch follows the provider's own
    (`usual_interval`, seconds, both). `metadata` is JSON text, returned untouched in the event. `variables` is JSON
    text too: what the provider's path needs beside the task id, by name.
    """

    id: str
    provider: str
    task_id: str
    callback_url: str
    interval: float | None
    usual_interval: float
    deadline: float
    metadata: str
    source: Source
    variables: str = NO_VARIABLES


@dataclass(frozen=True, slots=True)
class Watch:
    """One promise. (provider, task_id, variables, callback_url) is unique among the watches that were not cancelled."""

    id: str
    provider: str
    task_id: str
    callback_url: str
    state: WatchState
    interval: float | None
    registered_at: datetime
    deadline_at: datetime
    ended_at: datetime | None
    source: Source
    metadata: str
    variables: str = NO_VARIABLES


@dataclass(frozen=True, slots=True)
class DeliveryBrief:
    """What a watch shows of its delivery."""

    id: str
    state: str
    attempts: int
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class WatchView:
    """A watch as it is shown: with its task as last saved, and the delivery it led to.

    `task_key` finds what is newer in memory.
    """

    watch: Watch
    task_key: int
    status: str | None
    polls: int
    last_polled_at: datetime | None
    last_error: str | None
    delivery: DeliveryBrief | None
