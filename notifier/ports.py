"""What the services need from the world. A port belongs to its consumer; its docstrings are its specification.

Times are aware datetimes in UTC unless a name says monotonic; durations are seconds.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from notifier.domain.address import Refusal
from notifier.domain.answer import Answer
from notifier.domain.delivery import Attempt, Delivery, DeliveryView, Receipt
from notifier.domain.endpoint import Endpoint
from notifier.domain.event import Event
from notifier.domain.prefix import Prefix
from notifier.domain.task import Task
from notifier.domain.watch import Registration, Watch, WatchView

Announce: TypeAlias = Callable[[Task, Watch], Event | None]
"""The event that an ended task owes to a watch, or None when its endpoint does not want that type. Pure but for a new
id at each call; the store calls it inside its transaction, once for each watch that ends."""

Known: TypeAlias = Callable[[int], Task | None]
"""What is known now of a followed task, by its key: newer than the store, which is not told of polls that changed
nothing. The store calls it inside its transaction, perhaps from another thread."""


StoreFault: TypeAlias = Literal["full", "locked", "read-only", "damaged", "missing", "failing"]
"""What is the matter with a store, in a word that names no file; `failing` is everything else."""


class StoreUnavailableError(Exception):
    """The store did not take a write or a read (disk full, locked, gone). Nothing of it happened; try again later."""

    def __init__(self, message: str, fault: StoreFault = "failing") -> None:
        super().__init__(message)
        self.fault: StoreFault = fault


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, UTC; it may jump."""
        ...

    def settled(self) -> datetime:
        """The wall clock for what cannot be undone: it takes part in a jump ahead only when that has lasted a while."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...


class Chance(Protocol):
    def spread(self) -> float:
        """Evenly distributed in [-1, 1]."""
        ...

    def new_id(self, prefix: str) -> str:
        """An unguessable id, `prefix` first."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """So many unguessable bytes, for a secret."""
        ...


class Crew(Protocol):
    """Owner of everything that runs beside: nothing is started that nobody waits for at the stop."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside; an exception out of it is logged as our own fault."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call `call` once, in so many seconds; the answer cancels it."""
        ...


class Timetable(Protocol):
    """One interval job for each watched task; each firing calls the poller's `due(key, seconds_late)`."""

    def repeat(self, key: int, interval: float, *, delay: float) -> None:
        """Fire first in `delay` seconds, then one interval apart (±6 %); replaces the task's job if there is one."""
        ...

    def postpone(self, key: int, delay: float) -> None:
        """Fire next in `delay` seconds, and then by the interval again; nothing if there is no such job."""
        ...

    def drop(self, key: int) -> None:
        """No more firings; nothing if there is no such job."""
        ...

    def next_at(self, key: int) -> datetime | None: ...


class Alarms(Protocol):
    def ring(self, delivery_id: str, url: str, at: datetime) -> None:
        """Call the dispatcher's `due(delivery_id, url)` once at that time (at once when it has passed)."""
        ...


class Provider(Protocol):
    async def poll(self, task_id: str) -> Answer:
        """Ask once, within the provider's time-out; never raises for what the other side does."""
        ...


class Sender(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """One HTTP POST within the attempt's deadline, to an address that the guard allows; never raises for what
        the other side does."""
        ...


class Guard(Protocol):
    async def check(self, url: str) -> Refusal | None:
        """Whether `url` may be called as far as can be known now, name look-up included; None is yes."""
        ...


@dataclass(frozen=True, slots=True)
class Registered:
    """One registration's result. `task` is set while the task is to be polled; `owed` when the end is known already."""

    view: WatchView
    created: bool
    task: Task | None
    owed: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A watch that is gone, or that had ended. `task` is what remains to be polled for others; when nobody is left,
    `task_key` says which task to drop instead. Both None: it had ended, nothing changed."""

    task_key: int | None
    task: Task | None


@dataclass(frozen=True, slots=True)
class Declared:
    """What reconciling the file's watches did. `tasks` are to be followed as they now are, `dropped` are task keys."""

    added: tuple[Watch, ...] = ()
    changed: int = 0
    cancelled: int = 0
    tasks: tuple[Task, ...] = ()
    dropped: tuple[int, ...] = ()
    owed: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Expired:
    """A deadline that passed. `task` is what remains to be polled for watches with a later one."""

    owed: tuple[Delivery, ...]
    task: Task | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending delivery, as little of it as waiting needs."""

    id: str
    callback_url: str
    next_attempt_at: datetime


class WatchStore(Protocol):
    """Every call is one durable transaction (fsync before it returns); StoreUnavailableError when it is not.

    Callers, of this and of the other stores' ports, are told in the order of the commits: who hears that a task is to
    be polled does so before anybody hears of that task's end.
    """

    async def register(
        self, registrations: Sequence[Registration], now: datetime, announce: Announce
    ) -> Sequence[Registered]:
        """Accept each once, in order. (provider, task_id, callback_url) with a watch that was not cancelled gives that
        watch unchanged. On a task known to be completed or failed the watch ends at once and its delivery is owed; on
        an abandoned or no longer watched task polling starts afresh."""
        ...

    async def cancel(self, watch_id: str, now: datetime, known: Known) -> Cancelled | None:
        """Cancel a watch that is watching; one that had ended stays as it is. None: no such watch. What is `known` of
        its task is saved along, so that nothing that was shown goes backwards."""
        ...

    async def declare(
        self, registrations: Sequence[Registration], now: datetime, announce: Announce, known: Known
    ) -> Declared:
        """Make the declared watches of the configuration these: add what is new, change interval, deadline and metadata
        of what is watching, cancel what came from the configuration and is missing; what has ended stays ended. What is
        `known` of the tasks of cancelled watches is saved along."""
        ...


class TaskStore(Protocol):
    async def watched(self, usual_intervals: Mapping[str, float]) -> Sequence[Task]:
        """Every task that somebody watches; a watch without an interval of its own counts with its provider's."""
        ...

    async def save(self, tasks: Sequence[Task]) -> None:
        """Keep what was learned of tasks that go on; a task that has ended meanwhile is left as it is."""
        ...

    async def end(self, task: Task, announce: Announce) -> Sequence[Delivery]:
        """In one transaction: end the task, end all its watches that are watching, owe their deliveries. Nothing, and
        no deliveries, if the task is not watched any more (compare-and-set)."""
        ...

    async def expire(self, task: Task, now: datetime, announce: Announce) -> Expired:
        """In one transaction: abandon the task's watches whose deadline is not after `now` (reason `deadline`), owe
        their deliveries, and end the task if no watch is left; what the task says of its polls is saved either way."""
        ...


class DeliveryStore(Protocol):
    async def waiting(self) -> Sequence[Waiting]:
        """Every pending delivery, the earliest due first."""
        ...

    async def delivery(self, delivery_id: str) -> Delivery | None: ...

    async def settle(self, delivery: Delivery, attempt: Attempt) -> bool:
        """Keep one attempt and what it made of the delivery, in one transaction; False, and nothing, if that attempt
        was kept already or the delivery is gone (compare-and-set on the number of attempts)."""
        ...

    async def redeliver(self, delivery_id: str, now: datetime) -> Delivery | None:
        """Make a delivered or exhausted delivery pending again; None if it is pending or does not exist."""
        ...


class EndpointStore(Protocol):
    """Endpoints that were registered through the intake, one for each URL. Every write is one durable transaction, as
    the WatchStore's are, and told in the order of the commits."""

    async def endpoints(self) -> Sequence[Endpoint]:
        """All of them, in the order of their numbers."""
        ...

    async def add_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Give it a number and keep it, unless its URL has one: the answer is whichever has the URL from now on."""
        ...

    async def change_endpoint(self, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint | None:
        """Keep what `change` makes of it and return that; None: there is no such endpoint. `change` is pure, alters
        only terms and `updated_at`, and is called inside the transaction, perhaps from another thread."""
        ...

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        """Forget it; False if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most `limit`, newest first, older than `before` (a cursor from the page before).

    With `under`, only what goes to URLs that one of the prefixes covers. How much is looked through for it is bounded:
    such a page may be short, or empty, and have a next one."""

    limit: int = 50
    before: int | None = None
    under: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchPage:
    watches: tuple[WatchView, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    deliveries: tuple[DeliveryView, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class Oldest:
    """The pending delivery that was owed first, and since when."""

    id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """How many watches and deliveries are in each state."""

    watches: Mapping[str, int] = field(default_factory=dict)
    deliveries: Mapping[str, int] = field(default_factory=dict)
    oldest_pending: Oldest | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes: what the store takes, and what is free on its disk (None where that is not known)."""

    used: int
    free: int | None


class Catalog(Protocol):
    """Reading for people: nothing here changes anything."""

    async def watch(self, watch_id: str) -> WatchView | None: ...

    async def watches(
        self, page: Page, *, state: str | None = None, provider: str | None = None, task_id: str | None = None
    ) -> WatchPage: ...

    async def delivery_view(self, delivery_id: str) -> DeliveryView | None:
        """With its latest 50 attempts, oldest first."""
        ...

    async def deliveries(self, page: Page, *, state: str | None = None, watch_id: str | None = None) -> DeliveryPage:
        """Without their logs."""
        ...

    async def counts(self) -> Counts: ...


class Upkeep(Protocol):
    async def clean(self, before: datetime) -> int:
        """Delete watches that ended before then with their deliveries, and tasks that nobody watched since; returns how
        many watches. What is declared in the configuration stays, and so does what still owes a pending delivery."""
        ...

    async def ping(self) -> None:
        """Prove that the store takes a durable write, and that no damage to it is known."""
        ...

    def fault(self) -> StoreFault | None:
        """Why the latest write that was answered was refused; None: it was taken."""
        ...

    async def space(self) -> Space: ...


class PollMeter(Protocol):
    def polled(self, provider: str, outcome: str, *, duration: float, lag: float) -> None: ...

    def paused(self, provider: str, reason: str | None) -> None: ...  # None: the pause is over


class AttemptMeter(Protocol):
    def announced(self, event_type: str) -> None:
        """A task's end became one more event that is owed."""
        ...

    def attempted(self, outcome: str, *, duration: float) -> None: ...

    def delivered(self, latency: float) -> None:
        """Seconds from learning a task's end to the receiver's 2xx."""
        ...
