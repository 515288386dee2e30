"""Who should hold which shards, and who may act for how long."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.lease import (
    ABANDONED_SECONDS,
    BEAT_SECONDS,
    TTL_SECONDS,
    Lease,
    NodeRow,
    Plan,
    Pulse,
    Roll,
    abandoned,
    dead,
    free_since,
    plan,
)
from notifier.domain.shard import SHARDS

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)


def node(name, *, left=TTL_SECONDS, **changes):
    return replace(NodeRow(name, name, "1.2.3", NOW, NOW + timedelta(seconds=left), left > 0), **changes)


def roll(me, nodes, owners):
    """`owners` says whose each shard is; who is missing there is nobody's."""
    return Roll(me, NOW, tuple(nodes), {n: Lease(owners.get(n), 1) for n in range(SHARDS)})


def owned(owners, name):
    return {n for n, owner in owners.items() if owner == name}


def settle(names, owners):
    """What becomes of the owners when each of the nodes does what it should until nobody does anything; how many shards
    were handed over on the way."""
    owners, moved = dict(owners), 0
    for _ in range(10):
        before = dict(owners)
        for name in names:
            todo = plan(roll(name, map(node, names), owners), owned(owners, name))
            moved += len(todo.release)
            owners |= dict.fromkeys(todo.release)
            owners |= dict.fromkeys(todo.claim, name)
        if owners == before:
            return owners, moved
    raise AssertionError("this never comes to rest")


def sizes(owners):
    return Counter(owner for owner in owners.values() if owner is not None)


def test_the_first_node_takes_everything():
    """Nobody else is there: all shards are claimed at once, and none twice."""
    assert plan(roll("a", [node("a")], {}), ()) == Plan(claim=tuple(range(SHARDS)))
    assert plan(roll("a", [node("a")], dict.fromkeys(range(SHARDS), "a")), range(SHARDS)) == Plan()


@given(st.dictionaries(st.integers(0, SHARDS - 1), st.sampled_from("abcd")), st.integers(1, 4))
def test_parts_become_fair_and_no_more_moves_than_must(owners, count):
    """Whatever the parts were: in the end nobody has two more than another, and who had less than its part handed over
    nothing."""
    names = "abcd"[:count]
    owners = {n: owner for n, owner in owners.items() if owner in names}
    after, moved = settle(names, owners)
    parts = [sizes(after)[name] for name in names]
    assert sum(parts) == SHARDS
    assert max(parts) - min(parts) <= 1
    assert moved <= sum(max(sizes(owners)[name] - SHARDS // count, 0) for name in names)


def test_a_node_that_joins_gets_only_its_part():
    """Three quarters stay where they were when a fourth node comes; and when it goes, only its part moves."""
    three, _ = settle("abc", {})
    four, moved = settle("abcd", three)
    assert moved == sizes(four)["d"] == SHARDS // 4
    left = {n: owner for n, owner in four.items() if owner != "d"}
    after, moved = settle("abc", left)
    assert moved == 0
    assert all(after[n] == owner for n, owner in left.items())


def test_tasks_registered_together_are_spread():
    """Neighbouring shards go to different nodes, however the nodes came: of forty in a row nobody has half."""
    one, _ = settle("a", {})
    two, _ = settle("ab", one)
    three, _ = settle("abc", two)
    four, _ = settle("abcd", three)
    back, _ = settle("abc", {n: owner for n, owner in four.items() if owner != "d"})
    at_once, _ = settle("abc", {})
    for owners in (three, four, back, at_once):
        for start in range(SHARDS):
            some = Counter(owners[n % SHARDS] for n in range(start, start + 40))
            assert max(some.values()) < 20, (start, some)


def test_nodes_that_see_the_same_claim_different_shards():
    """Free shards are dealt: nobody claims what is another's by the same roll."""
    nodes, owners = [node(name) for name in "abc"], dict.fromkeys(range(0, SHARDS, 2), "a")
    claims = [set(plan(roll(name, nodes, owners), owned(owners, name)).claim) for name in "abc"]
    assert not claims[0]
    assert not claims[1] & claims[2]
    assert claims[1] | claims[2] == set(range(1, SHARDS, 2))


def test_a_silent_node_keeps_what_it_has_and_gets_no_more():
    """Who has missed two beats is not counted on: the others claim all that is free, and take nothing from it."""
    owners = dict.fromkeys(range(100), "a")
    todo = plan(roll("b", [node("a", left=4.0), node("b")], owners), ())
    assert set(todo.claim) == set(range(100, SHARDS))
    assert plan(roll("b", [node("a"), node("b")], owners), ()) != todo


def test_a_leaving_node_gets_nothing():
    """It lives, for its attempts in flight, and takes no more shards."""
    assert len(plan(roll("b", [node("a", leaving=True), node("b")], {}), ()).claim) == SHARDS


def test_what_another_should_have_claimed_is_taken_after_a_while():
    """A shard that has been nobody's for four seconds is anybody's, whose part it is not as well."""
    owners = dict.fromkeys(range(128), "a")
    seen = roll("a", [node("a"), node("b")], owners)
    free = free_since({}, seen, 10.0)
    assert abandoned(free, 10.0 + ABANDONED_SECONDS - 0.1) == set()
    later = free_since(free, seen, 12.0)
    assert abandoned(later, 10.0 + ABANDONED_SECONDS) == set(range(128, SHARDS))
    assert plan(seen, range(128)) == Plan()
    assert plan(seen, range(128), [200]) == Plan(claim=(200,))
    assert free_since(later, roll("a", [node("a")], dict.fromkeys(range(SHARDS), "a")), 13.0) == {}


def test_more_than_its_part_takes_nothing_more():
    """A node that has to hand over claims nothing, although it was left to anybody."""
    owners = dict.fromkeys(range(200), "a")
    todo = plan(roll("a", [node("a"), node("b")], owners), range(200), [250])
    assert len(todo.release) == 72
    assert todo.claim == ()


def test_a_claim_whose_answer_was_lost_is_made_again():
    """What is this node's, and is not worked on, is claimed; or handed over first, if it is more than its part."""
    owners = dict.fromkeys(range(SHARDS), "a")
    assert plan(roll("a", [node("a")], owners), range(250)) == Plan(claim=tuple(range(250, SHARDS)))
    todo = plan(roll("a", [node("a"), node("b")], owners), range(200))
    assert set(range(200, SHARDS)) < set(todo.release)
    assert len(todo.release) == SHARDS // 2
    assert todo.claim == ()


def test_what_is_anothers_is_lost():
    """A node that works on a shard that is not its own any more is told so."""
    owners = dict.fromkeys(range(128), "a") | dict.fromkeys(range(128, SHARDS), "b")
    assert plan(roll("a", [node("a"), node("b")], owners), range(130)).lost == (128, 129)


def test_the_dead_are_who_is_not_alive():
    """Never this node itself: it has just beaten."""
    nodes = [node("a", left=-1), node("b", left=-1), node("c")]
    assert [one.id for one in dead(roll("a", nodes, {}))] == ["b"]


def beat(pulse, sent, *, ahead=0.0, took=0.0, read=0.0):
    """Answered after so many seconds; the database, whose clock is so far ahead, looked at it so long after `sent`."""
    pulse.beat(sent, sent + took, NOW + timedelta(seconds=sent + read + ahead))


def test_a_pulse_holds_for_less_than_others_wait():
    """A beat's time less than the lease, from when the beat was sent."""
    pulse = Pulse()
    assert not pulse.holds(0.0)
    beat(pulse, 100.0)
    assert pulse.holds(100.0 + TTL_SECONDS - BEAT_SECONDS - 0.01)
    assert not pulse.holds(100.0 + TTL_SECONDS - BEAT_SECONDS)
    pulse.stop()
    assert not pulse.holds(100.0)


def test_only_a_steady_pulse_buries():
    """After three seconds of beats without a gap; a miss, or a pause of this node itself, begins anew."""
    pulse = Pulse()
    for at in (0.0, 1.5):
        beat(pulse, at)
        assert not pulse.steady()
    beat(pulse, 3.0)
    assert pulse.steady()
    pulse.miss()
    assert not pulse.steady()
    beat(pulse, 6.0)
    assert not pulse.steady()
    beat(pulse, 9.0)
    assert pulse.steady()
    beat(pulse, 12.5)
    assert not pulse.steady()


@pytest.mark.parametrize("ahead", [12.0, -12.0, 1.1])
def test_after_a_leap_of_the_database_s_clock_everybody_may_beat_first(ahead):
    """It was set, or another server with another clock took over: who was steady is so again after three seconds."""
    pulse = Pulse()
    for at in (0.0, 1.5, 3.0):
        beat(pulse, at)
    assert pulse.steady()
    for at in (4.5, 6.0):
        beat(pulse, at, ahead=ahead)
        assert not pulse.steady()
    beat(pulse, 7.5, ahead=ahead)
    assert pulse.steady()


def test_slow_answers_and_a_clock_that_drifts_are_no_leap():
    """Nobody knows when within a slow beat the database looked at its clock, and clocks are mended little by little."""
    pulse = Pulse()
    for at, took, read in ((0.0, 0.0, 0.0), (1.5, 2.9, 2.9), (4.4, 2.9, 0.0), (7.3, 0.0, 0.0)):
        beat(pulse, at, took=took, read=read, ahead=at * 0.2)
    assert pulse.steady()
    beat(pulse, 8.8, ahead=8.8 * 0.2)
    assert pulse.steady()
