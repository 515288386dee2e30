"""What one node takes of the providers' rates, beat by beat."""

from dataclasses import replace

import pytest

from notifier.domain.report import NodeReport, read_report
from notifier.ports import StoreUnavailableError
from notifier.services.budget import Budget
from notifier.services.membership import Membership
from tests.fake_roster import FakeDatabase, FakeRoster
from tests.fake_shares import FakeShares
from tests.unit.services.world import LIMITS, World


class Nodes:
    """One database, and each node a world of its own."""

    def __init__(self, count, **limits):
        self.limits = limits or {"videos": LIMITS}
        first = World(shared=True)
        self.clock, self.crew = first.clock, first.crew
        self.database = FakeDatabase(self.clock.now)
        self.shares = FakeShares(self.database)
        self.worlds = [self._world() for _ in range(count)]
        self.rosters = [FakeRoster(self.database) for _ in range(count)]
        self.budgets = [self._budget(world) for world in self.worlds]

    def _budget(self, world):
        plain = {"shares": self.shares, "crew": self.crew, "clock": self.clock}
        return Budget(poller=world.poller, tempo=lambda: 1.25, **plain)

    def _world(self):
        world = World(shared=True)
        world.configure(**self.limits)
        return world

    async def join(self, *numbers):
        for number in numbers:
            await self.rosters[number].join(f"node_{number}", f"host {number}", "1.0")

    async def beat(self, *numbers):
        for number in numbers:
            roll = await self.rosters[number].beat(self.budgets[number].report())
            self.budgets[number].seen(roll)
            await self.crew.run()

    def share(self, number, provider="videos"):
        return self.worlds[number].poller.channel(provider).share_of_rate


@pytest.fixture
async def two():
    nodes = Nodes(2)
    await nodes.join(0, 1)
    return nodes


async def test_a_node_polls_nothing_before_it_has_a_share():
    """Who joins begins with nothing, and alone it has all of the rate."""
    nodes = Nodes(1)
    world = nodes.worlds[0]
    await world.watch()
    assert world.provider.asked == []
    await nodes.join(0)
    await nodes.beat(0)
    assert nodes.share(0) == 10.0
    await world.crew.advance(0.11)
    assert len(world.provider.asked) == 1


async def test_what_one_lowers_another_takes(two):
    """In its next beat; together they never have more than the rate."""
    await two.beat(0)
    assert (two.share(0), two.share(1)) == (5.0, 0.0)
    assert two.worlds[0].poller.shares() == {"videos": 5.0}
    await two.beat(1)
    assert (two.share(0), two.share(1)) == (5.0, 5.0)


async def test_a_node_alone_gives_up_half_when_another_joins(two):
    """And gets it back once the other has gone."""
    await two.rosters[1].leave()
    await two.beat(0)
    assert two.share(0) == 10.0
    await two.join(1)
    await two.beat(1)
    assert two.share(1) == 0.0
    await two.beat(0)
    await two.beat(1)
    assert (two.share(0), two.share(1)) == (5.0, 5.0)
    await two.rosters[1].leave()
    await two.beat(0)
    assert two.share(0) == 10.0


async def test_nothing_is_asked_for_when_nothing_changes(two):
    """A steady state costs the database nothing."""
    await two.beat(0, 1, 0, 1)
    asked = len(two.shares.asked)
    await two.beat(0, 1, 0, 1)
    assert len(two.shares.asked) == asked


async def test_a_dead_node_wants_nothing_and_keeps_its_share_until_it_is_buried(two):
    """It may only be asleep."""
    await two.beat(0, 1)
    two.clock.move_to(two.clock.monotonic() + 9)
    await two.beat(0)
    assert two.share(0) == 5.0
    assert await two.rosters[0].bury("node_1")
    await two.beat(0)
    assert two.share(0) == 10.0


async def test_a_lowered_share_stays_lowered_when_nobody_answers(two):
    """Less than the database thinks is right, and the next beat asks again."""
    await two.rosters[1].leave()
    await two.beat(0)
    await two.join(1)
    two.shares.lost = True
    await two.beat(0)
    assert two.share(0) == 5.0
    two.shares.lost = True
    await two.beat(1)
    assert two.share(1) == 0.0
    await two.beat(1)
    assert two.share(1) == 5.0


async def test_what_was_lowered_is_told_until_the_others_know(two):
    """Else nobody could take it, ever."""
    await two.rosters[1].leave()
    await two.beat(0)
    await two.join(1)
    roll = await two.rosters[0].beat(two.budgets[0].report())
    two.database.down = True
    two.budgets[0].seen(roll)
    await two.crew.run()
    two.database.down = False
    assert two.share(0) == 5.0
    await two.beat(1, 0, 1)
    assert two.share(1) == 5.0


async def test_one_question_at_a_time(two):
    """A database that is slow to answer is not asked again meanwhile."""
    for _ in range(2):
        two.budgets[0].seen(await two.rosters[0].beat(two.budgets[0].report()))
    await two.crew.run()
    assert len(two.shares.asked) == 1


async def test_a_buried_node_has_no_share(two):
    """Until it has joined again."""
    await two.beat(0, 1)
    two.budgets[0].bereaved()
    assert two.share(0) == 0.0
    await two.beat(0)
    assert two.share(0) == 5.0


async def test_a_node_that_was_buried_while_it_asked_takes_nothing(two):
    """Its row is gone."""
    roll = await two.rosters[0].beat(two.budgets[0].report())
    await two.rosters[0].leave()
    two.budgets[0].seen(roll)
    await two.crew.run()
    assert two.share(0) == 0.0


async def test_an_answer_that_comes_after_the_burial_gives_nothing(two):
    """What it was given was taken away meanwhile."""
    taking = two.shares.take

    async def late(node_id, wishes):
        taken = await taking(node_id, wishes)
        two.budgets[0].bereaved()
        return taken

    two.shares.take = late
    await two.beat(0)
    assert two.share(0) == 0.0


async def test_a_database_that_is_away_changes_no_share(two):
    """Whether this node may go on at all, its lease says."""
    await two.beat(0, 1)
    roll = await two.rosters[0].beat(two.budgets[0].report())
    await two.rosters[1].leave()
    two.database.down = True
    with pytest.raises(StoreUnavailableError):
        await two.shares.take("node_0", {})
    two.budgets[0].seen(roll)
    await two.crew.run()
    assert two.share(0) == 5.0


async def test_a_removed_provider_leaves_its_share_to_the_others(two):
    """And has one again, from nothing, when it is back."""
    await two.beat(0, 1)
    two.worlds[0].configure(other=LIMITS)
    await two.beat(0)
    assert two.shares.rates["videos"]["node_0"] == 0.0
    two.worlds[0].configure(videos=LIMITS)
    await two.beat(0)
    assert two.share(0) == 5.0


async def test_a_lower_rate_counts_at_once_and_a_higher_one_with_the_next_beat(two):
    """After a reload."""
    await two.beat(0, 1)
    for world in two.worlds:
        world.configure(videos=replace(LIMITS, rate=4.0))
    await two.beat(0, 1)
    assert (two.share(0), two.share(1)) == (0.0, 2.0)  # what the other had was already more than there is
    await two.beat(0)
    assert two.share(0) == 2.0
    for world in two.worlds:
        world.configure(videos=replace(LIMITS, rate=20.0))
    await two.beat(0, 1)
    assert (two.share(0), two.share(1)) == (10.0, 10.0)


async def test_a_report_says_how_the_node_fares(two):
    """Its tasks, its polls, its lag and what it wants."""
    world = two.worlds[0]
    for number in range(30):
        await world.accept(f"vid_{number}")
    await world.crew.advance(2)
    assert World().poller.shares() == {}
    assert read_report(two.budgets[0].report()) == NodeReport(30, 1.2, 2.0, {"videos": 15.0})


async def test_a_node_knows_how_long_it_may_go_on_without_the_database(two):
    """For its metrics: less with each second without an answer, and nothing once others may take over."""
    node = Membership(
        roster=two.rosters[0],
        holders=(),
        name="host",
        version="1.0",
        clock=two.clock,
        chance=two.worlds[0].chance,
        crew=two.crew,
    )
    assert node.lease_left() == 0.0
    await node.start()
    assert node.lease_left() == 6.5
    two.clock.move_to(two.clock.monotonic() + 6)
    assert node.lease_left() == 0.5
    two.clock.move_to(two.clock.monotonic() + 6)
    assert (node.lease_left(), node.holds()) == (0.0, False)
