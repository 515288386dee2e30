"""One rate and many nodes that come, die and go while their load changes: simulated over minutes."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.lease import BEAT_SECONDS, TTL_SECONDS, NodeRow, Roll
from notifier.domain.pace import Line
from notifier.domain.share import Demand, granted, is_news, is_part
from notifier.ports import Buried
from notifier.services.budget import Budget
from tests.fakes import FakeClock

STEP = 0.05
WINDOW = 10.0
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Shared:
    """The database: who is there with which report, and their shares. `wake` calls nodes to their beats."""

    nodes: dict[str, str] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    wake: Callable[[], None] = lambda: None

    async def take(self, node_id, wishes):
        if node_id not in self.nodes:
            return Buried()
        for wish in wishes.values():
            others = sum(rate for node, rate in self.rates.items() if node != node_id)
            before, self.rates[node_id] = self.rates.get(node_id, 0.0), granted(wish, others)
            if is_news(before, self.rates[node_id], wish.rate):
                self.wake()
        return {"videos": self.rates[node_id]}

    def forget(self, node_id):
        self.nodes.pop(node_id)
        self.rates.pop(node_id, None)


class AtOnce:
    """The database answers before anything else happens."""

    def spawn(self, work):
        with pytest.raises(StopIteration):
            work.send(None)


class Node:
    """What of a node counts here: its line, with the same calls that its channel makes."""

    def __init__(self, name, rate, shared, now):
        self.name, self.rate, self.own = name, rate, 0.0
        self._shared = shared
        self.line = Line(concurrency=100_000, rate=rate, now=now)
        self._demand = Demand()
        self._now = now
        self.share("videos", 0.0)
        self.budget = Budget(shares=shared, poller=self, crew=AtOnce(), clock=FakeClock(), tempo=lambda: 0.0)
        self.beat_at = now
        self.arrivals, self._owed = 0.0, 0.0
        self._numbers = iter(range(1000, 10**9))
        self.waits = deque()
        self.tasks = {}
        """When each is due: those that come again, an interval of a second after their polls."""

    followed = ()

    def lag(self):
        return 0.0

    def rates(self):
        return {"videos": self.rate}

    def demand(self):
        line = self.line
        rationed = line.rationed(self._now)
        return {
            "videos": self._demand.note(
                self._now, taken=line.taken, waiting=line.waiting, rationed=rationed, share=self.own
            )
        }

    def share(self, provider, rate):
        self.own = rate
        self.line.change(concurrency=100_000, rate=rate, now=self._now, part=is_part(rate, self.rate))

    def due(self, now):
        self.line.join(next(self._numbers), now)

    async def step(self, now, alive):
        self._now = now
        self._owed += self.arrivals * STEP
        while self._owed >= 1:
            self._owed -= 1
            self.due(now)
        for task, at in self.tasks.items():
            if now >= at:
                self.line.join(task, now)
        polls = 0
        while (turn := self.line.take(now)) is not None:
            self.line.leave(turn.key)
            if turn.key in self.tasks:
                self.tasks[turn.key] = now + 1.0
            self.waits.append((now, now - turn.due))
            polls += 1
        if now >= self.beat_at:
            self.beat_at = now + BEAT_SECONDS
            self._shared.nodes[self.name] = self.budget.report()
            told = self._shared.nodes.items()
            rows = [NodeRow(name, "", "", NOW, NOW, name in alive, report=report) for name, report in told]
            self.budget.seen(Roll(self.name, NOW, tuple(rows), {}))
        return polls


class Cluster:
    """`load` polls a second are due, on nodes by their weights; what waits on one that goes waits elsewhere then."""

    def __init__(self, rate, seed=1):
        self.rate, self.now = rate, 1000.0
        self.shared = Shared(wake=self._wake)
        self.alive, self._buried_at, self._weights = {}, {}, {}
        self.polls, self.load = [], 0.0
        self._names = (f"node_{number}" for number in range(10**9))
        self._chance = random.Random(seed)

    def join(self, weight=1.0):
        name = next(self._names)
        self.shared.nodes[name] = "{}"
        node = self.alive[name] = Node(name, self.rate, self.shared, self.now)
        node.beat_at += self._chance.random() * BEAT_SECONDS
        self._weights[name] = weight
        self.busy(self.load)

    def leave(self, die=False):
        """The oldest one: in order, or it dies and is buried after a while."""
        if len(self.alive) > 1:
            name = next(iter(self.alive))
            orphans = self.alive.pop(name).line.waiting
            self._buried_at[name] = self.now + (TTL_SECONDS + BEAT_SECONDS if die else 0.0)
            self.busy(self.load)
            for number in range(orphans):
                list(self.alive.values())[number % len(self.alive)].due(self.now)

    def deal(self, tasks):
        """So many tasks of an interval of a second, to all nodes in turn; whoever had them before has them no more."""
        for node in self.alive.values():
            for task in range(tasks):
                node.line.drop(task)
            node.tasks.clear()
        nodes = list(self.alive.values())
        for task in range(tasks):
            nodes[task % len(nodes)].tasks[task] = self.now + self._chance.random()

    def _wake(self):
        for node in self.alive.values():
            node.beat_at = min(node.beat_at, self.now + 0.1)

    def busy(self, load):
        self.load = load
        total = sum(self._weights[name] for name in self.alive)
        for name, node in self.alive.items():
            node.arrivals = load * self._weights[name] / total

    async def run(self, seconds):
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            for name, at in list(self._buried_at.items()):
                if self.now >= at:
                    self.shared.forget(name)
                    del self._buried_at[name]
            for node in self.alive.values():
                node_polls = await node.step(self.now, self.alive)
                self.polls += [self.now] * node_polls
            assert sum(node.own for node in self.alive.values()) <= self.rate * (1 + 1e-9)

    def windows(self, since=1000.0):
        """How many polls there were in any ten seconds, within a step."""
        counts, steps = [], round((self.now - since) / STEP)
        per_step = [0] * (steps + 1)
        for at in self.polls:
            if at >= since:
                per_step[min(round((at - since) / STEP), steps)] += 1
        width = round(WINDOW / STEP)
        total = sum(per_step[1 : width + 1])
        for first in range(1, steps - width + 1):
            counts.append(total)
            total += per_step[first + width] - per_step[first]
        return [*counts, total]

def at_most(cluster, nodes):
    """Ten seconds' worth and a tenth; where a node's part is less than a poll a second, one poll of each more."""
    whole = WINDOW * cluster.rate
    return 1.1 * whole if cluster.rate >= nodes else whole + nodes


async def start(rate, nodes, load, *, seconds=20.0):
    cluster = Cluster(rate)
    for _ in range(nodes):
        cluster.join()
    cluster.busy(load * rate)
    await cluster.run(seconds)
    return cluster


async def test_nodes_together_keep_to_the_rate_and_use_it():
    """In any ten seconds, also while one joins and one leaves, and tasks wait everywhere."""
    cluster = await start(20.0, 3, load=1.5)
    began = cluster.now - WINDOW
    for change in (cluster.join, cluster.leave, cluster.leave, cluster.join):
        change()
        await cluster.run(12)
    windows = cluster.windows(began)
    assert 0.9 * 200 <= min(windows) <= max(windows) <= 1.1 * 200
    assert max(cluster.windows()) <= 1.1 * 200


async def test_the_rate_moves_to_nodes_that_join_with_the_tasks():
    """Two at once, which get two thirds of the tasks: the rate is lost to nobody for longer than a beat or so."""
    cluster = Cluster(30.0)
    cluster.join()
    cluster.deal(45)
    await cluster.run(15)
    began = cluster.now - WINDOW
    cluster.join()
    cluster.join()
    cluster.deal(45)
    await cluster.run(20)
    windows = cluster.windows(began)
    assert 0.88 * 300 <= min(windows) <= max(windows) <= 1.1 * 300
    assert min(windows[-100:]) >= 0.96 * 300
    counts = [node.own for node in cluster.alive.values()]
    assert max(counts) <= 1.2 * min(counts)


async def test_the_share_of_a_dead_node_is_nobodys_until_it_is_bereaved():
    """For it may only be asleep; then the others have all of the rate, soon."""
    cluster = await start(20.0, 2, load=2.0)
    cluster.leave(die=True)
    began = cluster.now
    await cluster.run(9)
    (left,) = cluster.alive.values()
    assert left.own == pytest.approx(10.0, rel=0.1)
    await cluster.run(24)
    assert left.own == 20.0
    assert max(cluster.windows(began - WINDOW)) <= 1.1 * 200
    assert min(cluster.windows(began + 12)) >= 0.9 * 200


async def test_idle_nodes_save_up_no_more_than_the_rate_allows_together():
    """All of them burst at the same moment."""
    cluster = await start(20.0, 5, load=0.0)
    cluster.busy(2000.0)
    await cluster.run(15)
    assert max(cluster.windows()) <= 1.1 * 200


async def test_shares_follow_the_load():
    """A node with three times the tasks has three times the share, and one without tasks leaves its own to them."""
    cluster = Cluster(20.0)
    for weight in (3.0, 1.0, 0.0):
        cluster.join(weight)
    cluster.busy(30.0)
    await cluster.run(40)
    assert [node.own for node in cluster.alive.values()] == pytest.approx([15.0, 5.0, 0.0], abs=1.5)
    cluster.busy(6.0)
    await cluster.run(60)
    assert min(node.own for node in cluster.alive.values()) > 3.0


async def test_when_the_rate_is_too_low_tasks_wait_equally_long_on_every_node():
    """Late but fair: whichever node a task is on, also after its work was spread anew."""
    cluster = await start(20.0, 2, load=1.3, seconds=30)
    cluster.join()
    await cluster.run(60)
    waits = [node.waits[-1][1] for node in cluster.alive.values()]
    assert min(waits) > 10
    assert max(waits) <= 1.25 * min(waits)


@pytest.mark.parametrize(("rate", "nodes"), [(0.2, 3), (1.0, 5)])
async def test_a_rate_too_small_for_all_starves_nobody(rate, nodes):
    """Each node's tasks have their turns, and together they are no more than the rate allows, and no fewer."""
    cluster = await start(rate, nodes, load=2.0, seconds=300)
    counts = [node.line.taken for node in cluster.alive.values()]
    assert max(counts) - min(counts) <= 0.25 * sum(counts) / nodes + 2
    assert 0.9 * 300 * rate - nodes <= sum(counts) <= 300 * rate + nodes
    assert max(cluster.windows()) <= at_most(cluster, nodes)


changes = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "die", "more", "less"]), st.floats(1, 15)), min_size=1, max_size=6
)


@given(st.sampled_from([1.0, 6.0, 20.0]), changes, st.integers(0, 99))
@settings(max_examples=12, deadline=None)
async def test_no_ten_seconds_see_more_polls_than_the_rate_allows(rate, sequence, seed):
    """Whoever comes, goes, dies, has more to do or less, and whenever its beats are."""
    cluster, most = Cluster(rate, seed), 2
    cluster.join()
    cluster.join()
    for change, seconds in sequence:
        match change:
            case "join" if len(cluster.alive) < 5:
                cluster.join()
            case "leave" | "die":
                cluster.leave(die=change == "die")
            case _:
                cluster.busy(rate * (2.0 if change == "more" else 0.5))
        most = max(most, len(cluster.alive))
        await cluster.run(seconds)
    await cluster.run(WINDOW)
    assert max(cluster.windows()) <= at_most(cluster, most)
