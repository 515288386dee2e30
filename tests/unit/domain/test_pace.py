"""Who may go next, and when."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.pace import Lanes, Line, Pause, TokenBucket, Turn, next_strike, pause_again


def taken(line, now):
    """Everybody who may start now, in order."""
    return [turn.key for turn in iter(lambda: line.take(now), None)]


def started(lanes, now=0.0):
    return [(lane, turn.key) for lane, turn in iter(lambda: lanes.take(now), None)]


# The rate


def test_a_bucket_holds_one_second_of_its_rate():
    """A burst of that many, then one at a time."""
    bucket = TokenBucket(10.0, 0.0)
    assert sum(bucket.take(0.0) for _ in range(50)) == 10
    assert not bucket.take(0.09)
    assert bucket.take(0.1)
    assert sum(bucket.take(1000.0) for _ in range(50)) == 10


def test_a_slow_rate_still_allows_one():
    """Less than one a second is one at once, then a wait."""
    bucket = TokenBucket(0.1, 0.0)
    assert bucket.take(0.0)
    assert bucket.ready_at(0.0) == pytest.approx(10.0)
    assert not bucket.take(9.9)
    assert bucket.take(10.0)


def test_a_bucket_knows_when_the_next_token_is_there():
    """Now while there are some; and at that very moment taking it works."""
    bucket = TokenBucket(3.0, 5.0)
    assert bucket.ready_at(5.0) == 5.0
    while bucket.take(5.0):
        pass
    for _ in range(100):
        ready_at = bucket.ready_at(5.0)
        assert not bucket.take(ready_at - 0.01)
        assert bucket.take(ready_at)


def test_a_changed_rate_keeps_what_was_saved_up_within_the_new_burst():
    """Neither a reload nor a hundred of them is a way round the rate."""
    bucket = TokenBucket(100.0, 0.0)
    bucket.change(2.0, 0.0)
    assert sum(bucket.take(0.0) for _ in range(50)) == 2
    bucket.change(100.0, 0.0)
    assert not bucket.take(0.0)
    assert sum(bucket.take(0.1) for _ in range(50)) == 10
    bucket.change(0.5, 0.1)
    assert sum(bucket.take(2.1) for _ in range(50)) == 1


def test_time_before_a_change_counts_at_the_old_rate():
    """What was earned is earned."""
    bucket = TokenBucket(10.0, 0.0)
    while bucket.take(0.0):
        pass
    bucket.change(1000.0, 0.5)
    assert sum(bucket.take(0.5) for _ in range(50)) == 5


def test_a_time_that_goes_back_gives_nothing():
    """It should not happen, and does not pay."""
    bucket = TokenBucket(1.0, 10.0)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)


@given(st.floats(0.05, 1000), st.lists(st.floats(0, 3), max_size=40))
@settings(max_examples=40, deadline=None)
def test_no_bucket_gives_more_than_its_rate_and_one_burst(rate, gaps):
    """Over any time from the start, however it is asked."""
    bucket, now, count = TokenBucket(rate, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        count += sum(bucket.take(now) for _ in range(20))
        assert count <= rate * now + max(rate, 1.0) + 1e-6


# The pause


def test_the_first_refusal_pauses_for_its_wait_or_as_told():
    """Told wins, also when it is nothing."""
    assert pause_again(None, "throttled", started=0, now=1, told=None, wait=30) == Pause("throttled", 1, 31, 1)
    assert pause_again(None, "throttled", started=0, now=1, told=7, wait=30) == Pause("throttled", 1, 8, 1)
    assert pause_again(None, "throttled", started=0, now=1, told=0, wait=30) == Pause("throttled", 1, 1, 1)


def test_a_refusal_after_the_pause_is_the_next_strike():
    """Its request began when the pause was known."""
    first = Pause("throttled", 1, 31, 1)
    assert next_strike(first, 31) == 2
    again = pause_again(first, "unauthorized", started=31, now=32, told=None, wait=60)
    assert again == Pause("unauthorized", 32, 92, 2)


@pytest.mark.parametrize("began", [0.0, 1.0])
def test_refusals_of_requests_that_were_in_flight_are_the_same_strike(began):
    """Forty of them do not double a backoff forty times; they can only prolong the pause, if they tell how long."""
    first = Pause("throttled", 1, 31, 1)
    assert next_strike(first, began) == 1
    assert pause_again(first, "throttled", started=began, now=5, told=None, wait=999) == first
    assert pause_again(first, "throttled", started=began, now=5, told=10, wait=999) == first
    longer = pause_again(first, "throttled", started=began, now=5, told=100, wait=999)
    assert longer == Pause("throttled", 1, 105, 1)


def test_the_latest_refusal_gives_the_reason():
    """Readiness shows what was said last."""
    first = Pause("throttled", 1, 31, 1)
    assert pause_again(first, "unauthorized", started=0, now=5, told=None, wait=9).reason == "unauthorized"


def test_the_first_strike_is_one():
    """Backoffs count from there."""
    assert next_strike(None, 0) == 1


# One line


def test_who_came_first_goes_first():
    """And takes along since when it waited."""
    line = Line(concurrency=9)
    for number, key in enumerate("abc"):
        assert line.join(key, float(number))
    assert [line.take(5.0) for _ in range(4)] == [Turn("a", 0.0), Turn("b", 1.0), Turn("c", 2.0), None]


def test_nobody_stands_in_line_twice():
    """Neither who waits nor who is busy; who left may come again."""
    line = Line(concurrency=1)
    assert line.join("a", 0.0)
    assert not line.join("a", 0.0)
    assert taken(line, 0.0) == ["a"]
    assert not line.join("a", 0.0)
    line.leave("a")
    assert line.join("a", 0.0)
    assert (line.waiting, line.busy) == (1, 0)


def test_no_more_than_the_concurrency_are_busy():
    """The next goes when one has left."""
    line = Line(concurrency=2)
    for key in "abc":
        line.join(key, 0.0)
    assert taken(line, 0.0) == ["a", "b"]
    assert (line.busy, line.waiting, line.idle) == (2, 1, False)
    line.leave("b")
    assert taken(line, 0.0) == ["c"]
    line.leave("a")
    line.leave("c")
    assert (line.busy, line.waiting, line.idle) == (0, 0, True)


def test_a_line_keeps_to_its_rate():
    """A turn that the concurrency or a pause forbids costs no token."""
    line = Line(concurrency=1, rate=2.0, now=0.0)
    for key in "abcd":
        line.join(key, 0.0)
    assert taken(line, 0.0) == ["a"]
    line.leave("a")
    line.pause = Pause("throttled", 0.0, 0.0, 1)
    assert taken(line, 0.0) == ["b"]
    line.leave("b")
    assert taken(line, 0.0) == []
    assert line.wake_at(0.0) == pytest.approx(0.5)
    assert taken(line, 0.5) == ["c"]


def test_nobody_goes_during_a_pause_and_one_at_a_time_after_it():
    """Until the pause is taken away, which an answer does."""
    line = Line(concurrency=9)
    for key in "abcd":
        line.join(key, 0.0)
    line.pause = Pause("throttled", 0.0, 10.0, 1)
    assert taken(line, 9.9) == []
    assert taken(line, 10.0) == ["a"]
    line.leave("a")
    assert taken(line, 10.0) == ["b"]
    line.pause = None
    assert taken(line, 10.0) == ["c", "d"]


def test_a_line_says_when_asking_again_is_worth_it():
    """The end of the pause, the next token, or never when only a join or a leave can help."""
    line = Line(concurrency=2, rate=1.0, now=0.0)
    assert line.wake_at(0.0) is None
    for key in "abc":
        line.join(key, 0.0)
    assert line.wake_at(0.0) == 0.0
    assert taken(line, 0.0) == ["a"]
    assert line.wake_at(0.25) == pytest.approx(1.0)
    line.pause = Pause("throttled", 0.0, 7.0, 1)
    assert line.wake_at(0.25) is None  # one is busy, and one at a time is all there is now
    line.leave("a")
    assert line.wake_at(0.25) == pytest.approx(7.0)
    assert line.wake_at(8.0) == pytest.approx(8.0)
    line.pause = None
    assert taken(line, 8.0) == ["b"]
    assert taken(line, 9.0) == ["c"]
    assert line.wake_at(9.0) is None


def test_a_line_without_a_rate_waits_for_a_pause_only():
    """Deliveries have no rate."""
    line = Line(concurrency=2)
    line.join("a", 0.0)
    assert line.wake_at(3.0) == 3.0
    line.pause = Pause("throttled", 0.0, 7.0, 1)
    assert line.wake_at(3.0) == 7.0


def test_limits_can_change_while_people_wait():
    """From the next turn on."""
    line = Line(concurrency=1, rate=1.0, now=0.0)
    for key in "abcdefg":
        line.join(key, 0.0)
    assert taken(line, 0.0) == ["a"]
    line.change(concurrency=5, rate=3.0, now=0.0)
    assert taken(line, 1.0) == ["b", "c", "d"]
    free = Line(concurrency=1)
    free.change(concurrency=2, rate=1.0, now=0.0)
    assert free.concurrency == 2


def test_a_line_knows_who_waited_longest():
    """That is who stands in front; nobody when all are busy."""
    line = Line(concurrency=1)
    assert line.oldest() is None
    line.join("a", 3.0)
    line.join("b", 4.0)
    assert line.oldest() == 3.0
    line.take(5.0)
    assert line.oldest() == 4.0


moves = st.lists(st.tuples(st.sampled_from(["join", "take", "leave"]), st.integers(0, 6)), max_size=60)


@given(moves, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_line_is_first_come_first_served_within_its_concurrency(sequence, concurrency):
    """Whoever joins, goes and leaves in whatever order."""
    line, expected, busy = Line(concurrency=concurrency), [], []
    for move, key in sequence:
        if move == "join":
            assert line.join(key, 0.0) == (key not in expected + busy)
            expected += [key] if key not in expected + busy else []
        elif move == "take":
            turn = line.take(0.0)
            assert (turn is not None) == (bool(expected) and len(busy) < concurrency)
            if turn is not None:
                assert turn.key == expected.pop(0)
                busy.append(turn.key)
        elif key in busy:
            busy.remove(key)
            line.leave(key)
        assert (line.busy, line.waiting) == (len(busy), len(expected))


# Many lanes


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
