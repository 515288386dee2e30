"""Fences: that only the owner's writes of a task count, however late they come. PostgreSQL's only, but for `UNFENCED`.

What a node holds is looked up when a write is asked for, and proved in its transaction: the shard's row is locked as
shared, so that nobody claims the shard before the commit.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sqlalchemy import Connection, bindparam, select

from notifier.adapters.stores.schema import shards
from notifier.domain.shard import shard_of
from notifier.ports import Known, LeaseLostError

T = TypeVar("T")

_PROVE = (
    select(shards.c.n, shards.c.owner, shards.c.fence)
    .where(shards.c.n.in_(bindparam("wanted", expanding=True)))
    .order_by(shards.c.n)  # every node locks in the same order
    .with_for_update(read=True)
)


@dataclass(frozen=True, slots=True)
class Held:
    """The shards that a node holds, with their fences, at one moment."""

    node: str | None = None
    fences: Mapping[int, int] = field(default_factory=dict)


class Fences(Protocol):
    def now(self) -> Held:
        """To be asked when a write is, in the event loop."""
        ...

    def lost(self, connection: Connection, wanted: Iterable[tuple[int, Held]]) -> Collection[int]:
        """Those of the tasks (by key) that were not this node's when `now()` was asked, or are not in this transaction;
        the others stay so until it is over."""
        ...


class Unfenced:
    """Nobody else writes to this store."""

    _ALL = Held()

    def now(self) -> Held:
        return self._ALL

    def lost(self, connection: Connection, wanted: Iterable[tuple[int, Held]]) -> Collection[int]:
        return ()


class Leases:
    """What this node has claimed; its roster says when."""

    def __init__(self) -> None:
        self._held = Held()

    def begin(self, node: str | None) -> None:
        """Under this id nothing is held yet."""
        self._held = Held(node)

    def grant(self, fences: Mapping[int, int]) -> None:
        self._held = Held(self._held.node, {**self._held.fences, **fences})

    def drop(self, released: Collection[int]) -> None:
        left = {n: fence for n, fence in self._held.fences.items() if n not in released}
        self._held = Held(self._held.node, left)

    def now(self) -> Held:
        return self._held

    def lost(self, connection: Connection, wanted: Iterable[tuple[int, Held]]) -> Collection[int]:
        claims = {(key, held.node, held.fences.get(shard_of(key))) for key, held in wanted}
        numbers = {shard_of(key) for key, _, fence in claims if fence is not None}
        rows = connection.execute(_PROVE, {"wanted": sorted(numbers)}).all() if numbers else ()
        true = {(row.n, row.owner, row.fence) for row in rows}
        return {key for key, node, fence in claims if (shard_of(key), node, fence) not in true}


UNFENCED = Unfenced()


def prove(fences: Fences, connection: Connection, wanted: Iterable[tuple[int, Held]]) -> None:
    """LeaseLostError if any of the tasks is not this node's."""
    if lost := fences.lost(connection, wanted):
        raise LeaseLostError(f"{len(lost)} tasks are not this node's")


def proven(fences: Fences, key: int, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """The same work, done only if this task is and stays this node's."""
    held = fences.now()

    def owned(connection: Connection) -> T:
        prove(fences, connection, [(key, held)])
        return work(connection)

    return owned


def knowing(fences: Fences, known: Known) -> Callable[[Connection], Known]:
    """In a transaction: what is known of this node's tasks. Of others it only thinks that it knows something."""
    held = fences.now()

    def ours(connection: Connection) -> Known:
        return lambda key: None if fences.lost(connection, [(key, held)]) else known(key)

    return ours
