"""Many nodes on one database: who is there, and who owns which tasks.

A daemon on a database of its own has none of this: its tenure is `ALWAYS`, and nobody keeps a roster.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from notifier.domain.lease import Roll
from notifier.domain.share import Wish
from notifier.domain.task import Task


class LeaseLostError(Exception):
    """The task belongs to another node, or to nobody: nothing was written, and what is known of it here is to be
    forgotten. Its owner knows better."""


class Tenure(Protocol):
    """Whether this node may act for what it owns, by its own monotonic clock: asked before each poll, before each
    attempt, and before anything is claimed. Cheap."""

    @property
    def node(self) -> str | None:
        """The id under which this node is known now, for deliveries that it is to attempt; None: there are no others,
        or this node has not joined them. It changes when the node was buried and joins again."""
        ...

    def holds(self) -> bool:
        """False from the moment on at which others might take this node for dead, until a beat has been answered.
        Meanwhile what is in memory stays there."""
        ...


@dataclass(frozen=True, slots=True)
class Always:
    """The tenure of a daemon that shares its database with nobody."""

    node: None = None

    def holds(self) -> bool:
        return True


ALWAYS = Always()


@dataclass(frozen=True, slots=True)
class Buried:
    """Others took this node for dead: what it held is theirs."""


class Roster(Protocol):
    """The nodes of one database and their leases. Every write is one durable transaction on a connection that no other
    work stands in front of; StoreUnavailableError when it is not known to have happened. Asking again is always right.

    A node is alive for `TTL_SECONDS` after its latest beat, on the database's clock. What this object has claimed, its
    node's writes of owned tasks are checked against: until it is released, or the node is buried or joins again.
    """

    async def join(self, node_id: str, name: str, version: str) -> None:
        """This node is alive from now on, under an id that was never used before. Nothing is held yet, and nothing of
        what was held under an earlier id. Wakes the others."""
        ...

    async def beat(self, report: str) -> Roll | Buried:
        """Alive for another while; `report` is a JSON object for the others to see. The roll is read after the beat was
        written, in the same transaction. `Buried`: this node has no row any more, nothing was written."""
        ...

    async def bury(self, node_id: str) -> bool:
        """Remove a node that is not alive, if that is still so (compare-and-set, on the database's clock), and with it
        everything that it held: its shards are nobody's (fence + 1), so are the deliveries it was to attempt, and its
        shares of rates are gone. Wakes the others. False: it lives, or another node was quicker."""
        ...

    async def claim(self, shards: Collection[int]) -> Collection[int]:
        """Those of these shards that are this node's from now on: they were nobody's (fence + 1), or its own already
        (the answer to an earlier claim was lost). None, if this node is buried. A shard in which somebody's write is
        under way is left out."""
        ...

    async def release(self, shards: Collection[int]) -> None:
        """Those of these shards that are this node's are nobody's from now on (fence + 1). Wakes the others. From the
        call on none of them is held here, whatever comes of it."""
        ...

    async def retire(self) -> None:
        """This node is leaving: it takes no more shards, and those that it had are nobody's (fence + 1). It still
        lives, and with it its attempts in flight. Wakes the others."""
        ...

    async def leave(self) -> None:
        """This node goes away in order: everything it held is nobody's, and its row is gone. Wakes the others."""
        ...


class Holder(Protocol):
    """Who works on the tasks of the shards that this node holds."""

    async def adopt(self, shards: Collection[int]) -> None:
        """These shards are ours: load what they hold and work on it. StoreUnavailableError: they are disowned, and
        adopted again."""
        ...

    async def disown(self, shards: Collection[int], *, save: bool) -> None:
        """Work on these no more, and forget them. `save`: they are handed over and still ours; wait a little for what
        is in flight and keep in the store what was learned. Otherwise they are lost already. Never raises for what the
        store does."""
        ...


class Shares(Protocol):
    """What each node may take of each provider's rate."""

    async def take(self, node_id: str, wishes: Mapping[str, Wish]) -> Mapping[str, float] | Buried:
        """Make this node's shares what `granted()` says of what the others' shares leave, and return them (polls a
        second). One transaction, in which nobody else takes a share of these providers. `Buried`: the node has no row
        any more, nothing was written. StoreUnavailableError when it is not known to have happened: a node that goes by
        the least that it wished or had before is right, and so is asking again."""
        ...


@dataclass(frozen=True, slots=True)
class Changed:
    """The watches of these tasks (by key) have changed at another node."""

    keys: Collection[int]


@dataclass(frozen=True, slots=True)
class Gathered:
    """A node has come or gone, or shards are nobody's."""


@dataclass(frozen=True, slots=True)
class Readdressed:
    """Endpoints have changed, at another node or at this one."""


@dataclass(frozen=True, slots=True)
class Missed:
    """From now on news are heard; what was said before may not have been."""


News: TypeAlias = Changed | Gathered | Readdressed | Missed


class Wire(Protocol):
    """What nodes tell each other, with the commit of what they tell of. It is quick, and nothing can rely on it: what
    counts is in the store, and is looked for there as well."""

    def listen(self, heard: Callable[[News], None]) -> None:
        """Begin; `heard` is called in the event loop, and never for what this node told of tasks."""
        ...

    @property
    def deaf(self) -> bool:
        """Nothing is heard now: no connection, or one that carries no news."""
        ...


class SharedTasks(Protocol):
    """What other nodes do to tasks that are this node's to poll."""

    async def current(self, keys: Collection[int]) -> Mapping[int, Task]:
        """Those of these tasks that somebody watches, as they now are. Told in the order of the commits, as the
        WatchStore's writes are: what this node registered later is heard of later."""
        ...

    async def touched(self, seconds: float) -> Mapping[int, datetime]:
        """The tasks whose watches changed in so many seconds (on the database's clock) up to now, and when."""
        ...
