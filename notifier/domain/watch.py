"""A watch: our promise to tell one callback URL how one task ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

WatchState: TypeAlias = Literal["watching", "completed", "failed", "abandoned", "cancelled"]
Source: TypeAlias = Literal["intake", "config"]

WATCH_STATES: tuple[WatchState, ...] = ("watching", "completed", "failed", "abandoned", "cancelled")


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody asks for: checked, and with the provider's defaults applied.

    `id` is the watch's id if it turns out to be new. `interval` is None when the watch follows the provider's own
    (`usual_interval`, seconds, both). `metadata` is JSON text, returned untouched in the event.
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


@dataclass(frozen=True, slots=True)
class Watch:
    """One promise. (provider, task_id, callback_url) is unique among the watches that were not cancelled."""

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
