"""Who may go next, and when."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.pace import Line, Pause, TokenBucket, Turn, next_strike, pause_again
from tests.thoroughness import examples


def taken(line, now):
    """Everybody who may start now, in order."""
    return [turn.key for turn in iter(lambda: line.take(now), None)]


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


def test_a_part_of_a_rate_saves_up_half_a_second():
    """All parts of it together burst less than one whole would."""
    bucket = TokenBucket(10.0, 0.0)
    bucket.change(10.0, 0.0, part=True)
    assert sum(bucket.take(0.0) for _ in range(50)) == 5
    assert sum(bucket.take(1000.0) for _ in range(50)) == 5


def test_a_part_that_grows_brings_nothing_along():
    """What it may do more it has to gather first; from nothing, everything."""
    bucket = TokenBucket(10.0, 0.0)
    bucket.change(0.0, 0.0, part=True)
    assert bucket.ready_at(5.0) == math.inf
    assert not bucket.take(5.0)
    bucket.change(10.0, 5.0, part=True)
    assert not bucket.take(5.0)
    assert bucket.ready_at(5.0) == pytest.approx(5.1)
    assert sum(bucket.take(5.3) for _ in range(50)) == 3


def test_a_small_part_gathers_a_whole_token_only_while_somebody_waits():
    """Idle nodes together must not have one each to spend at the same moment; who waits gets there."""
    line = Line(concurrency=9, rate=1.0, now=0.0)
    line.change(concurrency=9, rate=0.2, now=0.0, part=True)
    for key in "abc":
        line.join(key, 0.0)
    assert taken(line, 0.0) == []
    assert line.wake_at(0.0) == pytest.approx(4.5)
    assert taken(line, 4.5) == ["a"]
    assert taken(line, 9.5) == ["b"]
    assert taken(line, 14.5) == ["c"]
    line.join("d", 100.0)
    assert line.wake_at(100.0) == pytest.approx(104.5)
    line.join("e", 60.0)  # it was due before, when somebody waited already
    assert line.wake_at(100.0) == pytest.approx(104.5)


def test_a_late_firing_has_been_waiting_since_it_was_due():
    """It neither loses nor gains by how late it stands in line."""
    line = Line(concurrency=9, rate=1.0, now=100.0)
    line.change(concurrency=9, rate=0.2, now=100.0, part=True)
    line.join("a", 98.0)
    assert line.wake_at(100.0) == pytest.approx(104.5)


def test_who_waits_for_the_rate_is_told_from_who_waits_for_something_else():
    """Places and pauses are no reason to ask for more of a rate; nor is nobody waiting."""
    line = Line(concurrency=2, rate=1.0, now=0.0)
    assert not line.rationed(0.0)
    for key in "abcd":
        line.join(key, 0.0)
    assert not line.rationed(0.0)
    assert taken(line, 0.0) == ["a"]
    assert line.rationed(0.5)
    line.held_until = 7.0
    line.leave("a")
    assert not line.rationed(0.5)
    line.held_until = None
    assert taken(line, 1.0) == ["b"]
    assert taken(line, 2.0) == ["c"]
    assert not line.rationed(2.0)
    assert not Line(concurrency=1).rationed(0.0)


def test_a_line_counts_turns_that_were_taken():
    """One that stepped back took none."""
    line = Line(concurrency=2)
    line.join("a", 0.0)
    line.join("b", 0.0)
    assert taken(line, 0.0) == ["a", "b"]
    line.step_back("b", 0.0)
    assert line.taken == 1


@given(st.floats(0.05, 1000), st.lists(st.floats(0, 3), max_size=40))
@settings(max_examples=examples(40), deadline=None)
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
    line.held_until = 0.0
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
    line.held_until = 10.0
    assert taken(line, 9.9) == []
    assert taken(line, 10.0) == ["a"]
    line.leave("a")
    assert taken(line, 10.0) == ["b"]
    line.held_until = None
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
    line.held_until = 7.0
    assert line.wake_at(0.25) is None  # one is busy, and one at a time is all there is now
    line.leave("a")
    assert line.wake_at(0.25) == pytest.approx(7.0)
    assert line.wake_at(8.0) == pytest.approx(8.0)
    line.held_until = None
    assert taken(line, 8.0) == ["b"]
    assert taken(line, 9.0) == ["c"]
    assert line.wake_at(9.0) is None


def test_a_line_without_a_rate_waits_for_a_pause_only():
    """Deliveries have no rate."""
    line = Line(concurrency=2)
    line.join("a", 0.0)
    assert line.wake_at(3.0) == 3.0
    line.held_until = 7.0
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
@settings(max_examples=examples(40), deadline=None)
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
