"""What is kept: watches, tasks, their files, endpoints."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from notifier.domain.delivery import Delivery
from notifier.domain.endpoint import Endpoint, Overfull
from notifier.domain.event import Event
from notifier.domain.lifetimes import Life
from notifier.domain.task import Task
from notifier.domain.watch import Registration, Watch, WatchView
from notifier.ports.deliveries import Waiting

Announce: TypeAlias = Callable[[Task, Watch], Event | None]
"""The event that an ended task owes to a watch, or None when its endpoint does not want that type. Pure but for a new
id at each call; the store calls it inside its transaction, once for each watch that ends."""

Retell: TypeAlias = Callable[[Task, Watch, str | None], Event | None]
"""What a watch is told when there is news of its task's files: the event with this id anew, which was held for them, or
(without one) a second event, None when its endpoint does not want that. As pure as Announce, and called likewise."""

Known: TypeAlias = Callable[[int], Task | None]
"""What is known now of a followed task, by its key: newer than the store, which is not told of polls that changed
nothing. The store calls it inside its transaction, perhaps from another thread."""


StoreFault: TypeAlias = Literal[
    "full", "locked", "read-only", "damaged", "missing", "unreachable", "crowded", "failing"
]
"""What is the matter with a store, in a word that names no file; `failing` is everything else."""


class StoreUnavailableError(Exception):
    """The store did not take a write or a read (disk full, locked, gone). Nothing of it happened; try again later."""

    def __init__(self, message: str, fault: StoreFault = "failing") -> None:
        super().__init__(message)
        self.fault: StoreFault = fault


class TooManyListsError(StoreUnavailableError):
    """So many lists are being read that one more could only wait; nothing is the matter with the store."""


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


class WatchStore(Protocol):
    """Every call is one durable transaction (fsync before it returns); StoreUnavailableError when it is not.

    Callers, of this and of the other stores' ports, are told in the order of the commits: who hears that a task is to
    be polled does so before anybody hears of that task's end.
    """

    async def register(
        self, registrations: Sequence[Registration], now: datetime, announce: Announce
    ) -> Sequence[Registered]:
        """Accept each once, in order. (provider, task_id, variables, callback_url) with a watch that was not cancelled
        gives that watch unchanged. On a task known to be completed or failed the watch ends at once and its delivery is
        owed; on an abandoned or no longer watched task polling starts afresh."""
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
    """Where many nodes share the store, a task belongs to the node that holds its shard: `end` and `expire` raise
    LeaseLostError when that is not this one, as it was when they were called and still is in their transaction.

    What is known of a task counts for as long as it is watched as it was then: of one that was given up and is watched
    anew (`watched_since` says it) no call below changes anything."""

    async def watched(
        self, usual_intervals: Mapping[str, float], shards: Collection[int] | None = None
    ) -> Sequence[Task]:
        """Every task that somebody watches, of these shards (None: of all); a watch without an interval of its own
        counts with its provider's."""
        ...

    async def save(self, tasks: Sequence[Task]) -> None:
        """Keep what was learned of tasks that go on; one that has ended meanwhile is left as it is, and so is one that
        belongs to another node."""
        ...

    async def end(self, task: Task, announce: Announce) -> Sequence[Delivery]:
        """In one transaction: end the task, end all its watches that are watching, owe their deliveries, keep the files
        of the end, named after the first of the watches. Nothing, and no deliveries, if the task is not watched any
        more (compare-and-set)."""
        ...

    async def expire(self, task: Task, now: datetime, announce: Announce) -> Expired:
        """In one transaction: abandon the task's watches whose deadline is not after `now` (reason `deadline`), owe
        their deliveries, and end the task if no watch is left; what the task says of its polls is saved either way."""
        ...


class History(Protocol):
    async def lives(self) -> Sequence[Life]:
        """How long the latest tasks took that completed or failed, in the order of their ends: of each provider and
        model so many as say something about the next one. A task that was over at its first poll is not among them."""
        ...


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What waits for files: tasks (by key) with the time of their next try, and deliveries that are held, due then."""

    tasks: Mapping[int, datetime]
    held: Sequence[Waiting]


@dataclass(frozen=True, slots=True)
class Outdated:
    """A saved file whose retention is over: the `n`-th of a task."""

    task_key: int
    n: int
    location: str
    saved_at: datetime


class ResultStore(Protocol):
    """Files of completed tasks, and what is held or owed for them. Every write is one durable transaction, as the
    WatchStore's are, and told in the order of the commits. `keep` and `release` raise LeaseLostError as the TaskStore's
    writes do."""

    async def unsettled(self, shards: Collection[int] | None = None) -> Unsettled:
        """All of it, or what belongs to the tasks of these shards."""
        ...

    async def result(self, key: int) -> Task | None:
        """The task with its files; None: there is no such task, or not one that completed or failed."""
        ...

    async def keep(
        self, task: Task, changed: Collection[int], now: datetime, retell: Retell
    ) -> Sequence[Delivery]:
        """Keep those of the task's files that changed (by their numbers) as they now are, each only if it was pending
        (compare-and-set), and its URLs if they were asked for again. If this settled the last of them, the same
        transaction releases the deliveries that are held for them, due `now`, and owes to each other completed watch of
        the task the second event; those are the answer, to be attempted. It is empty
        while a file is pending, and when nothing was."""
        ...

    async def release(self, delivery_id: str, now: datetime, retell: Retell) -> Delivery | None:
        """Hold this delivery no longer, whatever became of the files: made anew with what is known of them, due `now`.
        None, and nothing, if it is not held (compare-and-set)."""
        ...

    async def outdated(self, before: datetime, most: int, behind: Outdated | None = None) -> Sequence[Outdated]:
        """Files that were saved before then, the oldest first; only those that come `behind` this one."""
        ...

    async def forget(self, file: Outdated, why: str) -> None:
        """It was deleted from the archive: its location is gone, its error says why."""
        ...


Alter: TypeAlias = Callable[[Endpoint], Endpoint | Overfull]
"""What becomes of an endpoint, or why nothing does. Pure, alters only terms and `updated_at`; the store calls it inside
its transaction, perhaps from another thread."""


class EndpointStore(Protocol):
    """Endpoints that were registered through the intake, one for each URL. Every write is one durable transaction, as
    the WatchStore's are, and told in the order of the commits."""

    async def endpoints(self) -> Sequence[Endpoint]:
        """All of them, in the order of their numbers."""
        ...

    async def add_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Give it a number and keep it, unless its URL has one: the answer is whichever has the URL from now on."""
        ...

    async def change_endpoint(self, endpoint_id: str, alter: Alter) -> Endpoint | Overfull | None:
        """Keep what `alter` makes of it, unless it refuses, and return that; None: there is no such endpoint."""
        ...

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        """Forget it; False if there is none."""
        ...
