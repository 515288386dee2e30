"""Whatever happens to nodes and their database, in whatever order: one node's writes count for a task, somebody works
on each of them, and in the end everybody has a fair part."""

import asyncio
import os
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from notifier.domain.shard import SHARDS
from tests.unit.services.cluster import Cluster

RELIEF_SECONDS = 20.0
MOST_NODES = 4
EXAMPLES = int(os.environ.get("NOTIFIER_MODEL_EXAMPLES", "8"))

which = st.integers(0, MOST_NODES - 1)
seconds = st.sampled_from([0.25, 1.0, 3.0, 9.0, 14.0])


class ClusterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()

    @initialize(seed=st.integers(0, 1000), slow=st.sampled_from([0.0, 0.2, 0.8]), news=st.booleans())
    def begin(self, seed, slow, news):
        self.cluster = Cluster(seed, slow=slow, news=news)
        self.skewed = False
        self.ask(self.cluster.start())

    def ask(self, work):
        return self.loop.run_until_complete(work)

    def node(self, number, *, running=True):
        nodes = [node for node in self.cluster.alive if node.running == running]
        return nodes[number % len(nodes)] if nodes else None

    @precondition(lambda self: len(self.cluster.alive) < MOST_NODES)
    @rule()
    def another_node(self):
        self.ask(self.cluster.start())

    @rule(number=which)
    def crash(self, number):
        if (node := self.node(number)) is not None:
            self.ask(node.die())

    @rule(number=which)
    def pause(self, number):
        if (node := self.node(number)) is not None:
            node.stop()

    @rule(number=which)
    def wake_up(self, number):
        if (node := self.node(number, running=False)) is not None:
            self.ask(node.resume())

    @rule(number=which)
    def orderly_stop(self, number):
        if (node := self.node(number)) is not None:
            node.leave()

    @rule(number=which, answers=st.integers(1, 3))
    def lost_answers(self, number, answers):
        if (node := self.node(number)) is not None:
            node.roster.lose(answers)

    @rule()
    def database_away_or_back(self):
        self.cluster.outage(down=not self.cluster.database.down)

    @rule(by=st.sampled_from([-3600.0, -5.0, 5.0, 3600.0]))
    def failover_to_another_clock(self, by):
        self.cluster.skew += by
        self.skewed = True

    @rule(long=seconds)
    def time_passes(self, long):
        while long > 0:
            self.ask(self.cluster.passes(min(long, 1.0)))
            self.look()
            long -= 1.0

    @invariant()
    def look(self):
        if hasattr(self, "cluster"):
            assert self.cluster.longest_gap() <= RELIEF_SECONDS, f"nobody works on a shard, at {self.cluster.time}"
            assert self.skewed or not self.cluster.worked_twice, "two nodes work on one shard"

    def teardown(self):
        try:
            self.ask(self.recovery())
        finally:
            self.ask(self.cluster.aclose())
            self.loop.close()

    async def recovery(self):
        """When nothing happens any more, all parts are fair soon, and from then on nothing moves."""
        cluster = self.cluster
        cluster.outage(down=False)
        for node in cluster.alive:
            node.roster.lose(0)
            if not node.running:
                await node.resume()
        await cluster.start()
        await cluster.passes(RELIEF_SECONDS)
        fences = {n: lease.fence for n, lease in cluster.database.shards.items()}
        await cluster.passes(5.0)
        assert {n: lease.fence for n, lease in cluster.database.shards.items()} == fences, "shards still move"
        parts = Counter({node.roster.node: 0 for node in cluster.alive})
        parts.update(lease.owner for lease in cluster.database.shards.values())
        assert sum(parts.values()) == SHARDS
        assert max(parts.values()) - min(parts.values()) <= 1, parts
        for node in cluster.alive:
            assert node.desk.shards == cluster.database.owned(node.roster.node) == set(node.roster.fences)


def test_whatever_happens_to_nodes():
    """Crashes, pauses, orderly stops, lost answers, outages and other clocks of the database, in any order."""
    limits = settings(
        max_examples=EXAMPLES,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(ClusterMachine, settings=limits)
