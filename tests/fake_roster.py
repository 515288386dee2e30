"""A database's nodes and leases in memory: what the port promises, and no more.

Each node has a `FakeRoster` of its own over the one `FakeDatabase`, which keeps the database's clock.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from notifier.domain.lease import TTL_SECONDS, Lease, NodeRow, Roll
from notifier.domain.shard import SHARDS, shard_of
from notifier.ports import Buried, LeaseLostError, StoreUnavailableError

TTL = timedelta(seconds=TTL_SECONDS)


async def at_once() -> None:
    """A way that takes no time."""


@dataclass
class FakeDatabase:
    """`down`: nobody reaches it. `woken` is called at each change that wakes the others."""

    now: Callable[[], datetime]
    down: bool = False
    nodes: dict[str, NodeRow] = field(default_factory=dict)
    shards: dict[int, Lease] = field(default_factory=lambda: {n: Lease(None, 0) for n in range(SHARDS)})
    woken: list[Callable[[], None]] = field(default_factory=list)

    def wake(self) -> None:
        for call in self.woken:
            call()

    def alive(self, node: NodeRow) -> bool:
        return self.now() < node.alive_until <= self.now() + 2 * TTL

    def roll(self, me: str) -> Roll:
        nodes = tuple(replace(node, alive=self.alive(node)) for node in self.nodes.values())
        return Roll(me, self.now(), nodes, dict(self.shards))

    def free(self, shards: Collection[int]) -> None:
        for n in shards:
            self.shards[n] = Lease(None, self.shards[n].fence + 1)

    def owned(self, node_id: str | None) -> set[int]:
        return {n for n, lease in self.shards.items() if lease.owner == node_id}


class FakeRoster:
    """`down` makes every call raise StoreUnavailableError; `lose(n)` does what the next n ask and loses the answers.
    Each call takes the `way` to the database and back. `down_to_join` fails joins alone, `forget_joins` so many of them
    leave no row; `most_at_once` is how many beats were under way at the same time.

    `fences` is what the node's writes would be checked against."""

    def __init__(self, database: FakeDatabase, way: Callable[[], Awaitable[None]] = at_once) -> None:
        self._database = database
        self.down = False
        self.node: str | None = None
        self.fences: dict[int, int] = {}
        self.down_to_join = False
        self.forget_joins = 0
        self.most_at_once = 0
        self._under_way = 0
        self._lost = 0
        self._way = way

    def lose(self, answers: int) -> None:
        self._lost = answers

    def prove(self, key: int) -> None:
        """What each write of an owned task does in its transaction; LeaseLostError, and nothing is written."""
        n = shard_of(key)
        if n not in self.fences or self._database.shards[n] != Lease(self.node, self.fences[n]):
            raise LeaseLostError(n)

    async def join(self, node_id: str, name: str, version: str) -> None:
        await self._reach()
        if self.down_to_join:
            raise StoreUnavailableError("connection refused")
        self.node, self.fences = node_id, {}
        until = self._database.now() + TTL
        if self.forget_joins:
            self.forget_joins -= 1
        else:
            self._database.nodes[node_id] = NodeRow(node_id, name, version, self._database.now(), until, alive=True)
        self._database.wake()
        await self._answer()

    async def beat(self, report: str) -> Roll | Buried:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return await self._beat(report)
        finally:
            self._under_way -= 1

    async def _beat(self, report: str) -> Roll | Buried:
        await self._reach()
        mine = self._database.nodes.get(self.node or "")
        if mine is None:
            return Buried()
        self._database.nodes[mine.id] = replace(mine, alive_until=self._database.now() + TTL, report=report)
        roll = self._database.roll(mine.id)
        await self._answer()
        return roll

    async def bury(self, node_id: str) -> bool:
        await self._reach()
        node = self._database.nodes.get(node_id)
        dead = node is not None and not self._database.alive(node)
        if dead:
            self._remove(node_id)
        await self._answer()
        return dead

    async def claim(self, shards: Collection[int]) -> Collection[int]:
        await self._reach()
        me = self.node
        if me is None or me not in self._database.nodes:
            return ()
        got = {}
        for n in shards:
            lease = self._database.shards[n]
            if lease.owner is None:
                lease = self._database.shards[n] = Lease(me, lease.fence + 1)
            if lease.owner == me:
                got[n] = lease.fence
        await self._answer()
        self.fences |= got
        return got.keys()

    async def release(self, shards: Collection[int]) -> None:
        for n in shards:
            self.fences.pop(n, None)
        await self._reach()
        self._database.free({n for n in shards if self._database.shards[n].owner == self.node})
        self._database.wake()
        await self._answer()

    async def retire(self) -> None:
        self.fences = {}
        await self._reach()
        if (mine := self._database.nodes.get(self.node or "")) is not None:
            self._database.nodes[mine.id] = replace(mine, leaving=True)
            self._database.free(self._database.owned(mine.id))
        self._database.wake()
        await self._answer()

    async def leave(self) -> None:
        self.fences = {}
        await self._reach()
        if self.node is not None:
            self._remove(self.node)
        await self._answer()

    def _remove(self, node_id: str) -> None:
        self._database.nodes.pop(node_id, None)
        self._database.free(self._database.owned(node_id))
        self._database.wake()

    async def _reach(self) -> None:
        await self._way()
        if self.down or self._database.down:
            raise StoreUnavailableError("connection refused")

    async def _answer(self) -> None:
        await self._way()
        if self._lost:
            self._lost -= 1
            raise StoreUnavailableError("the connection was lost before the answer")
