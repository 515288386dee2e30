"""How the daemon is doing, as the intake tells it."""

from typing import Literal

from pydantic import Field

from notifier.adapters.api.shapes import Answer, Moment
from notifier.domain.delivery import DeliveryState
from notifier.domain.watch import WatchState


class Health(Answer):
    status: Literal["ok"]


class PausedProvider(Answer):
    reason: str
    seconds_left: float


class Readiness(Answer):
    """Which parts work ("ok", or what is wrong), and which providers are paused."""

    ready: bool
    checks: dict[str, str]
    paused: dict[str, PausedProvider]
    poll_lag_seconds: float = Field(description="For how long the due task that waits longest has waited for its turn.")


class OldestPending(Answer):
    """The pending delivery that was owed first."""

    id: str
    created_at: Moment
    age_seconds: float


class StoreSize(Answer):
    bytes: int
    free_bytes: int | None = Field(description="On its disk; null where that is not known.")


class LastReload(Answer):
    """At the start, or for a reload."""

    successful: bool
    at: Moment


class Node(Answer):
    """One daemon of those that share the database. Times are the database's."""

    name: str
    this: bool = Field(description="Whether it is the one that answers.")
    version: str
    alive: bool = Field(description="False once it was silent for so long that others take over what it holds.")
    started_at: Moment
    seen_at: Moment
    shards: int = Field(description="Of the 256 parts into which tasks are divided.")
    tasks: int
    polls_per_second: float = Field(description="Over the last minute.")
    poll_lag_seconds: float


class Cluster(Answer):
    """All of them, as the latest beat of the one that answers found them."""

    nodes: list[Node]
    unowned_shards: int = Field(description="Their tasks are polled by nobody until a node takes them, in seconds.")
    age_seconds: float = Field(description="How long ago that beat was; more than a few seconds: the store is away.")


class Status(Readiness):
    """How the daemon is doing. Counts are null while the store cannot be read."""

    version: str
    started_at: Moment
    uptime_seconds: float
    polls_per_second: float = Field(description="Over the last minute.")
    watches: dict[WatchState, int] | None
    deliveries: dict[DeliveryState, int] | None
    oldest_pending: OldestPending | None
    open_circuits: int = Field(description="Callback URLs that keep failing, whose deliveries wait behind a probe.")
    store: StoreSize
    last_reload: LastReload
    cluster: Cluster | None = Field(description="Null where the store serves one daemon.")
