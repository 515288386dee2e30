"""Many lanes under one roof: limits for each and for all, and turns between them."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.pace import Lanes


def started(lanes, now=0.0):
    """Everybody who may start now, with their lanes."""
    return [(lane, turn.key) for lane, turn in iter(lambda: lanes.take(now), None)]


def test_lanes_take_turns():
    """A host with many deliveries does not stand before one with few."""
    lanes = Lanes(concurrency=9, per_lane=9)
    for key in range(3):
        lanes.join("big", f"b{key}", 0.0)
    lanes.join("small", "s0", 0.0)
    assert [key for _, key in started(lanes)] == ["b0", "s0", "b1", "b2"]


def test_a_lane_has_its_limit_and_all_together_have_theirs():
    """Eight for one host, and so many in total."""
    lanes = Lanes(concurrency=5, per_lane=2)
    for lane in "abc":
        for key in range(3):
            lanes.join(lane, f"{lane}{key}", 0.0)
    first = started(lanes)
    assert Counter(lane for lane, _ in first) == {"a": 2, "b": 2, "c": 1}
    assert (lanes.busy, lanes.waiting) == (5, 4)
    lanes.leave("a", "a0")
    assert started(lanes) == [("c", "c1")]


def test_a_leave_lets_the_same_lane_go_on():
    """Its next one gets the place."""
    lanes = Lanes(concurrency=9, per_lane=1)
    lanes.join("a", "a0", 0.0)
    lanes.join("a", "a1", 0.0)
    assert started(lanes) == [("a", "a0")]
    lanes.leave("a", "a0")
    assert started(lanes) == [("a", "a1")]


def test_nobody_stands_in_a_lane_twice():
    """Neither waiting nor busy."""
    lanes = Lanes(concurrency=9, per_lane=9)
    assert lanes.join("a", "k", 0.0)
    assert not lanes.join("a", "k", 0.0)
    assert len(started(lanes)) == 1
    assert not lanes.join("a", "k", 0.0)
    lanes.leave("a", "k")
    assert lanes.join("a", "k", 0.0)


def test_a_narrow_lane_has_one_place_until_it_is_wide_again():
    """Who was in flight already stays."""
    lanes = Lanes(concurrency=9, per_lane=3)
    for key in range(9):
        lanes.join("a", key, 0.0)
    assert len(started(lanes)) == 3
    lanes.narrow("a", on=True)
    for key in range(2):
        lanes.leave("a", key)
        assert started(lanes) == []
    lanes.leave("a", 2)
    assert started(lanes) == [("a", 3)]
    lanes.narrow("a", on=False)
    lanes.narrow("a", on=False)
    lanes.leave("a", 3)
    assert len(started(lanes)) == 3


def test_a_narrow_lane_stays_narrow_when_it_has_been_empty():
    """A receiver that hangs is known by that also for the next delivery."""
    lanes = Lanes(concurrency=9, per_lane=3)
    lanes.join("a", 0, 0.0)
    started(lanes)
    lanes.narrow("a", on=True)
    lanes.leave("a", 0)
    for key in (1, 2):
        lanes.join("a", key, 0.0)
    assert started(lanes) == [("a", 1)]


def test_other_lanes_are_not_narrowed():
    """One receiver that hangs is one receiver that hangs."""
    lanes = Lanes(concurrency=9, per_lane=2)
    lanes.narrow("a", on=True)
    for key in (0, 1):
        lanes.join("b", key, 0.0)
    assert len(started(lanes)) == 2


def test_limits_of_lanes_can_change_while_people_wait():
    """More places are used at once, also by lanes that were full."""
    lanes = Lanes(concurrency=1, per_lane=1)
    for lane in "ab":
        for key in (0, 1):
            lanes.join(lane, f"{lane}{key}", 0.0)
    assert len(started(lanes)) == 1
    lanes.change(concurrency=9, per_lane=2)
    assert len(started(lanes)) == 3


def test_lanes_know_who_waited_longest():
    """Over all lanes."""
    lanes = Lanes(concurrency=9, per_lane=9)
    assert lanes.oldest() is None
    lanes.join("a", 0, 5.0)
    lanes.join("b", 0, 3.0)
    assert lanes.oldest() == 3.0
    started(lanes)
    assert lanes.oldest() is None


def test_an_empty_lane_is_forgotten():
    """A million receivers once seen cost nothing for ever."""
    lanes = Lanes(concurrency=9, per_lane=9)
    for number in range(9):
        lanes.join(f"lane-{number}", 0, 0.0)
    for lane, key in started(lanes):
        lanes.leave(lane, key)
    assert lanes._lines == {}
    assert not lanes._ready


lane_moves = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "take", "leave", "narrow", "widen"]), st.sampled_from("abc"), st.integers(0, 4)
    ),
    max_size=60,
)


@given(lane_moves, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_lanes_keep_their_limits_and_starve_nobody(sequence, concurrency, per_lane):
    """No limit is ever passed, and whoever joined goes when those before have left."""
    lanes, busy, joined, gone = Lanes(concurrency=concurrency, per_lane=per_lane), [], 0, 0
    for move, lane, key in sequence:
        if move == "join":
            joined += lanes.join(lane, key, 0.0)
        elif move == "leave" and busy:
            lanes.leave(*busy.pop(key % len(busy)))
        elif move in ("narrow", "widen"):
            lanes.narrow(lane, on=move == "narrow")
        elif move == "take" and (turn := lanes.take(0.0)) is not None:
            busy.append((turn[0], turn[1].key))
            gone += 1
        assert lanes.busy == len(busy) <= concurrency
        assert max(Counter(lane for lane, _ in busy).values(), default=0) <= per_lane
        assert lanes.waiting == joined - gone
    while busy or lanes.waiting:
        fresh = started(lanes)
        assert fresh or busy, "somebody waits although nobody is busy"
        busy += fresh
        lanes.leave(*busy.pop(0))
