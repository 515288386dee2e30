"""Several nodes on one database, in simulated time: each with a clock of its own that goes on while it is stopped."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from random import Random

from notifier.domain.lease import Roll
from notifier.ports import StoreUnavailableError
from notifier.services.membership import Membership
from tests.fake_roster import FakeDatabase, FakeRoster
from tests.fakes import START, FakeChance, FakeClock, FakeCrew

STEP = 0.25
WORK_EVERY = 1.0


class Desk:
    """A holder that writes to every task of its shards about once a second, each write some time after its fence was
    captured: `shards` is what it works on. `broken`: its store does not let it load anything;
    `slow`: what it learned takes a minute to save."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self.shards: set[int] = set()
        self.broken = self.slow = False

    async def adopt(self, shards: Collection[int]) -> None:
        await self._node.takes_a_while()
        if self._node.cluster.database.down or self.broken:
            raise StoreUnavailableError("connection refused")
        self.shards |= set(shards)

    async def disown(self, shards: Collection[int], *, save: bool) -> None:
        if save:
            await self._node.takes_a_while()
            if self.slow:
                await self._node.crew.sleep(60.0)
        self.shards -= set(shards)


class Node:
    """One run of a daemon. `running` is False while it is stopped (SIGSTOP), `gone` once it has left or died. `heard`
    are the rolls that it was told of, `bereaved` the ids under which it joined after each loss of everything."""

    def __init__(self, cluster: "Cluster", name: str, *, live: bool) -> None:
        self.cluster, self.name = cluster, name
        self.clock = FakeClock()
        self.clock.move_to(cluster.monotonic())
        self.crew = FakeCrew(self.clock)
        self.desk = Desk(self)
        self.heard: list[Roll] = []
        self.bereaved: list[str | None] = []
        self.roster = FakeRoster(cluster.database, self.takes_a_while)
        self.running, self.gone, self.running_since = True, False, cluster.time
        self.membership = Membership(
            roster=self.roster,
            holders=[self.desk],
            name=name,
            version="1.2.3",
            clock=self.clock,
            chance=NodeChance(name),
            crew=self.crew,
            report=lambda: f'{{"tasks":{len(self.desk.shards)}}}',
            told=[self.heard.append],
            bereaved=[self._mourn],
        )
        cluster.database.woken.append(self._hear)
        if live:
            self.crew.spawn(self._live())

    def _mourn(self) -> None:
        self.crew.later(1.0, lambda: self.bereaved.append(self.membership.node))

    def _hear(self) -> None:
        if self.running and not self.gone and self.cluster.news:
            self.membership.wake()

    async def takes_a_while(self) -> None:
        if (seconds := self.cluster.delay()) > 0:
            await self.crew.sleep(seconds)

    async def _live(self) -> None:
        while True:
            try:
                await self.membership.start()
                break
            except StoreUnavailableError:  # as a service manager does: again
                await self.crew.sleep(1.0)
        self._write()

    def _write(self) -> None:
        if not self.gone:
            self.crew.spawn(self._write_all(dict(self.roster.fences), self.roster.node))
            self.crew.later(WORK_EVERY, self._write)

    async def _write_all(self, fences: Mapping[int, int], node: str | None) -> None:
        shards = self.desk.shards & fences.keys()
        await self.takes_a_while()
        if not self.cluster.database.down:
            for n in shards:
                self.cluster.written(n, node, fences[n])

    def works_on(self) -> set[int]:
        return self.desk.shards if self.running and not self.gone and self.membership.holds() else set()

    def stop(self) -> None:
        self.running = False

    async def resume(self) -> None:
        """Its clock went on meanwhile: everything that was due is late."""
        self.running, self.running_since = True, self.cluster.time
        self.clock.move_to(self.cluster.monotonic())
        await self.crew.run()

    async def die(self) -> None:
        self.gone = True
        await self.crew.aclose()

    def leave(self) -> None:
        """An orderly stop, which takes its time."""
        self.crew.later(0.0, lambda: self.crew.spawn(self._leave()))

    async def _leave(self) -> None:
        try:
            await self.membership.retire(3.0)
            await self.membership.leave()
        except StoreUnavailableError:
            pass
        self.gone = True


class NodeChance(FakeChance):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def new_id(self, prefix: str) -> str:
        return super().new_id(f"{prefix}{self._name}_")


class Cluster:
    """`time` is true time; `news`: nodes wake each other; `slow` is the longest that a call takes one way."""

    def __init__(self, seed: int = 0, *, slow: float = 0.0, news: bool = True) -> None:
        self.time, self.skew = 0.0, 0.0
        self.news, self.slow = news, slow
        self.database = FakeDatabase(lambda: START + timedelta(seconds=self.time + self.skew))
        self.nodes: list[Node] = []
        self.up_since = 0.0
        self.covered: dict[int, float] = dict.fromkeys(self.database.shards, 0.0)
        self.worked_twice: set[int] = set()
        self._last: dict[int, tuple[int, str | None]] = {}
        self._random = Random(seed)
        self._born = 0

    def monotonic(self) -> float:
        return 1000.0 + self.time

    def delay(self) -> float:
        return self._random.random() * self.slow

    def written(self, n: int, node: str | None, fence: int) -> None:
        """A write reaches the database: it counts if the fence holds, and then nobody else's may count beside it."""
        lease = self.database.shards[n]
        if (lease.owner, lease.fence) != (node, fence):
            return
        before = self._last.get(n, (-1, None))
        assert before[0] < fence or before == (fence, node), f"shard {n}: {before} wrote, and then {(fence, node)}"
        self._last[n] = fence, node

    @property
    def alive(self) -> list[Node]:
        return [node for node in self.nodes if not node.gone]

    async def start(self, *, live: bool = True) -> Node:
        """Another node; unless it is to `live`, its test starts it."""
        self._born += 1
        node = Node(self, f"n{self._born}", live=live)
        self.nodes.append(node)
        await node.crew.run()
        return node

    def outage(self, *, down: bool) -> None:
        self.database.down = down
        self.up_since = self.time

    async def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.time += STEP
            for node in self.alive:
                if node.running:
                    await node.crew.advance(self.monotonic() - node.clock.monotonic())
            self._look()

    def _look(self) -> None:
        seen: set[int] = set()
        for node in self.alive:
            mine = node.works_on()
            self.worked_twice |= seen & mine
            seen |= mine
        self.covered |= dict.fromkeys(seen, self.time)

    def longest_gap(self) -> float:
        """For how long a shard has rested now, counted from when there was a node and a database that could help."""
        running = [node.running_since for node in self.alive if node.running]
        if self.database.down or not running:
            return 0.0
        return self.time - max(min(self.covered.values()), self.up_since, min(running))

    async def aclose(self) -> None:
        for node in self.nodes:
            await node.crew.aclose()
