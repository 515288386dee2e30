"""What the intake is made of: the services it calls and the questions it asks of the daemon around it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from notifier.adapters.api.caller import Caller
from notifier.domain.link import Links
from notifier.domain.report import Standing
from notifier.domain.signature import Ed25519Key
from notifier.ports import Archive, Catalog, Clock, Counts, Space, Timetable
from notifier.services.dispatcher import Dispatcher
from notifier.services.endpoints import Endpoints
from notifier.services.poller import Poller
from notifier.services.registrar import Registrar


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The file was read again and applies. The numbers are its declared watches; `needs_restart` names settings that
    changed and stay as they were until then."""

    added: int = 0
    changed: int = 0
    cancelled: int = 0
    needs_restart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReloadRefused:
    """The file is wrong and nothing changed; each error is one line for people."""

    errors: tuple[str, ...]


ReloadResult: TypeAlias = Reloaded | ReloadRefused


@dataclass(frozen=True, slots=True)
class PausedProvider:
    """A provider that is paused: it will not be asked for so many seconds."""

    reason: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Readiness:
    """`checks` says "ok", or what is wrong, for each part; a paused provider alone is no reason for `ready` to be
    false, and neither is a `poll_lag` (for how many seconds the due task that waits longest has waited): the rate may
    be too low for the tasks."""

    ready: bool
    checks: Mapping[str, str]
    paused: Mapping[str, PausedProvider] = field(default_factory=dict)
    poll_lag: float = 0.0


@dataclass(frozen=True, slots=True)
class LastReload:
    """When the configuration was last read, at the start or for a reload, and whether it took effect."""

    successful: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes that share the database, as this one's latest beat found them, and how many shards are nobody's; `age`
    is how long ago that was, in seconds."""

    nodes: tuple[Standing, ...]
    unowned: int
    age: float


@dataclass(frozen=True, slots=True)
class Status:
    """How the daemon is doing, for people. `uptime` is in seconds, `polls` a second over the last minute; `counts` is
    None when the store cannot be read now; `open_circuits` are callback URLs that keep failing; `cluster` is None where
    the database has no room for other nodes."""

    version: str
    started_at: datetime
    uptime: float
    readiness: Readiness
    polls: float
    counts: Counts | None
    open_circuits: int
    space: Space
    last_reload: LastReload
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True)
class ApiParts:
    """`tokens` are bearer tokens by their owner, none when no token is needed, and another mapping only when they
    change; `hosts` are the names that a Host header may have beside those of this machine, None when any will do;
    `usual_interval` is a provider's own interval in seconds, None for one that is not configured; `render_metrics`
    gives a body and its content type; `public_keys` another sequence only when they change; `archive` is where saved
    files are, None while nothing is saved; `links` makes and proves the links to them, None without a public URL."""

    registrar: Registrar
    endpoints: Endpoints
    dispatcher: Dispatcher
    poller: Poller
    timetable: Timetable
    catalog: Catalog
    clock: Clock
    tokens: Callable[[], Mapping[Caller, str]]
    hosts: Callable[[], Collection[str] | None]
    usual_interval: Callable[[str], float | None]
    reload: Callable[[], Awaitable[ReloadResult]]
    readiness: Callable[[], Awaitable[Readiness]]
    status: Callable[[], Awaitable[Status]]
    render_metrics: Callable[[], Awaitable[tuple[bytes, str]]]
    public_keys: Callable[[], Sequence[Ed25519Key]]
    archive: Callable[[], Archive | None]
    links: Callable[[], Links | None]
    stopping: Callable[[], bool]
    version: str
