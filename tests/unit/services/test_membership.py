"""One node among others: what it does when they come, go, hang or take it for dead."""

import json

import pytest
from structlog.testing import capture_logs

from notifier.domain.shard import SHARDS
from notifier.ports import StoreUnavailableError
from notifier.services.membership import HAND_OVER_AT_ONCE
from tests.unit.services.cluster import Cluster


@pytest.fixture
async def cluster():
    cluster = Cluster()
    yield cluster
    await cluster.aclose()


def events(lines):
    return [line["event"] for line in lines]


async def test_the_first_node_takes_everything_at_once(cluster):
    """Before its start is over, so that a daemon that is ready polls."""
    with capture_logs() as lines:
        node = await cluster.start()
    assert len(node.desk.shards) == SHARDS
    assert node.membership.holds()
    assert set(node.membership.shards) == node.desk.shards
    assert events(lines) == ["node.joined", "shards.claimed"]
    assert node.membership.node == node.roster.node


async def test_whoever_joins_gets_its_part_in_tenths_of_seconds(cluster):
    """The others are woken and hand over; then nothing moves, and nothing is said, beat after beat."""
    first = await cluster.start()
    await cluster.passes(5.0)
    with capture_logs() as lines:
        second = await cluster.start()
        await cluster.passes(0.5)
    assert len(first.desk.shards) == len(second.desk.shards) == SHARDS // 2
    assert "shards.handed_over" in events(lines)
    with capture_logs() as lines:
        await cluster.passes(30.0)
    assert lines == []


async def test_a_dead_node_is_relieved_soon(cluster):
    """Within its lease, a beat and what its tasks take to load; who was buried is told, and by whom."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)
    await second.die()
    with capture_logs() as lines:
        await cluster.passes(10.0)
    assert len(first.desk.shards) == SHARDS
    (buried,) = [line for line in lines if line["event"] == "node.buried"]
    assert (buried["name"], buried["shards"], buried["by"]) == ("n2", SHARDS // 2, first.membership.node)


async def test_a_node_that_slept_forgets_everything_and_joins_again(cluster):
    """It wakes up dead: it works on nothing until it has another id, and then on its part again."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)
    before = second.membership.node
    second.stop()
    await cluster.passes(15.0)
    assert len(first.desk.shards) == SHARDS
    second.bereaved.clear()
    with capture_logs() as lines:
        await second.resume()
        assert second.works_on() == set()
        await cluster.passes(2.0)
    assert second.membership.node != before
    assert second.bereaved == [second.membership.node]
    assert len(second.desk.shards) == SHARDS // 2
    assert "node.relieved" in events(lines)


async def test_a_sleeper_that_nobody_replaced_goes_on(cluster):
    """Its row is still there: it keeps its id and its shards."""
    node = await cluster.start()
    name = node.membership.node
    node.stop()
    await cluster.passes(60.0)
    await node.resume()
    await cluster.passes(1.0)
    assert node.membership.node == name
    assert len(node.works_on()) == SHARDS


async def test_without_its_store_a_node_stands_still_and_goes_on_later(cluster):
    """Its lease lapses, which is said once; what it held is its own when the store is back, and nobody is buried."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)
    cluster.outage(down=True)
    with capture_logs() as lines:
        await cluster.passes(6.0)
        assert first.works_on()
        await cluster.passes(10.0)
    assert not first.works_on()
    assert not second.works_on()
    assert [line["event"] for line in lines if line["event"] != "shards.unsettled"] == ["node.lapsed"] * 2
    cluster.outage(down=False)
    with capture_logs() as lines:
        await cluster.passes(5.0)
    assert events(lines) == ["node.recovered"] * 2
    assert len(first.works_on()) == len(second.works_on()) == SHARDS // 2


async def test_a_store_that_says_nothing_is_none(cluster):
    """It neither answers nor refuses: the lease lapses as well, and that is said while it lasts, once."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)
    cluster.delay = lambda: 20.0
    with capture_logs() as lines:
        await cluster.passes(12.0)
    assert first.works_on() == second.works_on() == set()
    assert [line["event"] for line in lines] == ["node.lapsed"] * 2
    assert "not answered for" in lines[0]["error"]
    del cluster.delay
    with capture_logs() as lines:
        await cluster.passes(15.0)
    assert events(lines) == ["node.recovered"] * 2
    assert len(first.works_on()) == len(second.works_on()) == SHARDS // 2


async def test_after_an_outage_everybody_may_beat_first(cluster):
    """Nobody is buried by a node that has only just reached the store again itself."""
    nodes = [await cluster.start() for _ in range(3)]
    await cluster.passes(5.0)
    ids = [node.membership.node for node in nodes]
    for node in nodes:
        node.roster.down = True
    await cluster.passes(10.0)
    nodes[0].roster.down = False
    await cluster.passes(1.0)
    for node in nodes[1:]:
        node.roster.down = False
    await cluster.passes(5.0)
    assert [node.membership.node for node in nodes] == ids


@pytest.mark.parametrize("seconds", [12.0, 3600.0, -3600.0])
async def test_a_clock_that_was_set_buries_nobody_who_lives(cluster, seconds):
    """By the database's new clock every lease is over at once: each node beats before another one may judge, and who
    is really dead is relieved within the promised time."""
    nodes = [await cluster.start() for _ in range(3)]
    await cluster.passes(5.0)
    ids = [node.membership.node for node in nodes]
    await nodes[2].die()
    cluster.skew += seconds
    with capture_logs() as lines:
        await cluster.passes(20.0)
    assert [node.membership.node for node in nodes] == ids
    assert events(lines).count("node.buried") == 1
    assert len(nodes[0].desk.shards) == len(nodes[1].desk.shards) == SHARDS // 2
    assert not cluster.worked_twice


async def test_an_orderly_stop_hands_over_at_once(cluster):
    """The others have everything within tenths of seconds; the row goes with the leave, not before."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)
    await second.membership.retire(3.0)
    assert second.membership.holds()
    assert second.membership.node in cluster.database.nodes
    await cluster.passes(0.5)
    assert len(first.desk.shards) == SHARDS
    assert second.desk.shards == set()
    await cluster.passes(20.0)
    assert second.membership.holds()
    await second.membership.leave()
    assert not second.membership.holds()
    assert len(cluster.database.nodes) == 1
    await cluster.passes(5.0)
    assert second.desk.shards == set()


async def test_a_hand_over_that_takes_too_long_is_made_without_saving(cluster):
    """A store that hangs, or more tasks than can be saved in time: the shards are free all the same."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)
    second.desk.slow = True
    with capture_logs() as lines:
        second.crew.spawn(second.membership.retire(3.0))
        await cluster.passes(2.5)
        assert len(first.desk.shards) == SHARDS // 2
        await cluster.passes(1.0)
    assert len(first.desk.shards) == SHARDS
    (line,) = [line for line in lines if line["event"] == "shards.handed_over"]
    assert not line["saved"]


async def test_a_slow_hand_over_is_made_in_portions(cluster):
    """What a node learned takes a minute to save when another one joins: it hands over all the same, and between two
    portions it looks who is to be buried and what is nobody's."""
    first = await cluster.start()
    await cluster.passes(5.0)
    first.desk.slow = True
    second = await cluster.start()
    with capture_logs() as lines:
        await cluster.passes(16.0)
    assert len(first.desk.shards) == len(second.desk.shards) == SHARDS // 2
    assert not cluster.worked_twice
    portions = [HAND_OVER_AT_ONCE] * (SHARDS // 2 // HAND_OVER_AT_ONCE)
    for event in ("shards.unsaved", "shards.handed_over", "shards.claimed"):
        assert [line["shards"] for line in lines if line["event"] == event] == portions


async def test_a_beat_after_the_leave_says_nothing(cluster):
    """One that was under way finds its row gone, which is as it should be."""
    node = await cluster.start()
    await node.membership.retire(3.0)
    cluster.database.nodes.clear()
    with capture_logs() as lines:
        await cluster.passes(3.0)
    assert lines == []
    assert not node.membership.holds()


async def test_a_lost_answer_to_a_claim_is_no_lost_shard(cluster):
    """The next roll says whose the shards are."""
    first = await cluster.start()
    await cluster.passes(5.0)
    second = await cluster.start()
    second.roster.lose(2)
    await cluster.passes(5.0)
    assert len(first.desk.shards) == len(second.desk.shards) == SHARDS // 2
    assert second.desk.shards == set(second.roster.fences)


async def test_tasks_that_cannot_be_read_are_read_again(cluster):
    """A claim is good, and loading fails: said once, then tried with each roll until it succeeds."""
    node = await cluster.start()
    await node.die()
    await cluster.passes(9.0)
    other = await cluster.start()
    other.desk.broken = True
    with capture_logs() as lines:
        await cluster.passes(8.0)
        assert other.desk.shards == set()
        other.desk.broken = False
        await cluster.passes(2.0)
    assert len(other.desk.shards) == SHARDS
    assert [(line["event"], line["log_level"]) for line in lines if line["event"] == "shards.unread"][:2] == [
        ("shards.unread", "warning"),
        ("shards.unread", "debug"),
    ]


async def test_shards_that_the_database_gave_away_are_dropped(cluster):
    """A failover that lost the last commits, or a hand in the tables: what is not this node's is not worked on."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)
    moved = min(first.desk.shards)
    cluster.database.shards[moved] = cluster.database.shards[max(second.desk.shards)]
    with capture_logs() as lines:
        await cluster.passes(4.0)
    (lost,) = [line for line in lines if line["event"] == "shards.lost"]
    assert (lost["node"], lost["shards"]) == (first.membership.node, 1)
    assert len(first.desk.shards) == len(second.desk.shards) == SHARDS // 2


async def test_a_start_without_a_store_fails(cluster):
    """The caller says so and tries again, or gives up."""
    node = await cluster.start(live=False)
    cluster.outage(down=True)
    with pytest.raises(StoreUnavailableError):
        await node.membership.start()
    node.membership.wake()
    assert node.crew.awaited == 0


async def test_a_node_buried_while_it_joins_joins_again(cluster):
    """Its first beat found no row: the machine was suspended in between, say."""
    node = await cluster.start(live=False)
    node.roster.forget_joins = 1
    await node.membership.start()
    await cluster.passes(3.0)
    assert len(node.desk.shards) == SHARDS


async def test_a_rejoin_waits_for_the_store(cluster):
    """Buried, and then the store is away: it tries with what would be the next beat."""
    first = await cluster.start()
    await cluster.passes(5.0)
    await first.roster.leave()
    first.roster.down_to_join = True
    await cluster.passes(5.0)
    assert first.desk.shards == set()
    first.roster.down_to_join = False
    await cluster.passes(3.0)
    assert len(first.desk.shards) == SHARDS


async def test_a_slow_beat_is_not_overtaken(cluster):
    """One beat at a time; who is woken meanwhile looks as soon as that is over."""
    first = await cluster.start()
    await cluster.passes(5.0)
    cluster.slow = 3.0
    await cluster.passes(4.0)
    first.membership.wake()
    cluster.slow = 0.0
    await cluster.passes(5.0)
    assert first.roster.most_at_once == 1


async def test_others_are_shown_a_report_and_told_of_each_roll(cluster):
    """What the node says of itself stands in its row; who asked for it hears every roll."""
    node = await cluster.start()
    await cluster.passes(5.0)
    (row,) = cluster.database.nodes.values()
    assert json.loads(row.report) == {"tasks": SHARDS}
    assert len(node.heard) >= 4
    assert node.heard[-1].me == node.membership.node


async def test_a_node_that_another_has_buried_already_is_no_news(cluster):
    """Two find it dead by the same roll: one of them buries it, and says so."""
    first, second = await cluster.start(), await cluster.start()
    await cluster.passes(5.0)

    async def too_late(_):
        return False

    first.roster.bury = too_late
    await second.die()
    with capture_logs() as lines:
        await cluster.passes(12.0)
    assert lines == []


async def test_a_rejoin_that_takes_long_is_not_made_twice(cluster):
    """What would be the next beats finds it under way."""
    first = await cluster.start()
    await cluster.passes(5.0)
    await first.roster.leave()
    cluster.slow = 4.0
    await cluster.passes(20.0)
    cluster.slow = 0.0
    await cluster.passes(20.0)
    assert first.membership.node == "node_n1_2"
    assert len(first.desk.shards) == SHARDS


async def test_shards_in_which_others_still_write_are_claimed_later(cluster):
    """A claim that got nothing is no fault: the next roll tells what is free then."""
    node = await cluster.start(live=False)
    claim, node.roster.claim = node.roster.claim, nothing
    with capture_logs() as lines:
        await node.membership.start()
        assert node.desk.shards == set()
        node.roster.claim = claim
        await cluster.passes(1.0)
    assert len(node.desk.shards) == SHARDS
    assert events(lines) == ["node.joined", "shards.claimed"]


async def nothing(_):
    return ()
