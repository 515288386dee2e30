"""Lanes of callback URLs: limits for each, for its host and for all, turns between them, and lanes that are held."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.lanes import LaneLimits, Lanes, limits_of
from notifier.domain.receiver import Receiver, Receivers, host_of
from notifier.domain.sleepers import SPARE
from notifier.domain.trust import doubted_places
from tests.thoroughness import examples

A, B, C = "https://a.example/1", "https://b.example/1", "https://c.example/1"
A2, A3 = "https://a.example/2", "https://a.example/3"


def started(lanes, now=0.0):
    """Everybody who may start now, with their URLs."""
    return [(url, turn.key) for url, turn in iter(lambda: lanes.take(now), None)]


def queue(lanes, url, *keys, now=0.0):
    for key in keys:
        assert lanes.join(url, key, now)


def proven(lanes, *urls):
    """Lanes whose hosts have answered before."""
    for url in urls:
        lanes.learn(url, answers=True)
    return lanes


@pytest.fixture
def lanes():
    """Nine places in all, three for each host; all hosts have answered before."""
    return proven(Lanes(concurrency=9, per_host=3), A, B, C)


def test_hosts_take_turns():
    """A host with many deliveries does not stand before one with few."""
    lanes = proven(Lanes(concurrency=9, per_host=9), A, B)
    queue(lanes, A, "a0", "a1", "a2")
    queue(lanes, B, "b0")
    assert [key for _, key in started(lanes)] == ["a0", "b0", "a1", "a2"]


def test_hosts_take_turns_whatever_the_number_of_their_urls():
    """A host that is called at a thousand URLs stands in line once, as the others do."""
    lanes = Lanes(concurrency=4, per_host=9)
    for url in (A, B):
        lanes.learn(url, answers=True)
    for number in range(9):
        queue(lanes, f"https://a.example/{number}", f"a{number}")
    queue(lanes, B, "b0", "b1")
    assert [key for _, key in started(lanes)] == ["a0", "b0", "a1", "b1"]


def test_the_urls_of_a_host_take_turns(lanes):
    """One integrator's backlog does not stand before another's at the same host."""
    queue(lanes, A, "x0", "x1", "x2")
    queue(lanes, A2, "y0")
    assert [key for _, key in started(lanes)] == ["x0", "y0", "x1"]


def test_a_host_has_its_limit_and_all_together_have_theirs():
    """Eight for one host, over all its URLs, and so many in total."""
    lanes = Lanes(concurrency=5, per_host=2)
    for url in (A, A2, A3, B, C):
        lanes.learn(url, answers=True)
        queue(lanes, url, f"{url}-0", f"{url}-1")
    first = started(lanes)
    assert Counter(host_of(url) for url, _ in first) == {"a.example:443": 2, "b.example:443": 2, "c.example:443": 1}
    assert (lanes.busy, lanes.waiting) == (5, 5)
    lanes.leave(*first[0])
    assert [host_of(url) for url, _ in started(lanes)] == ["c.example:443"]


def test_a_leave_lets_the_same_host_go_on():
    """Its next one gets the place, also when that is for another URL."""
    lanes = proven(Lanes(concurrency=9, per_host=1), A)
    queue(lanes, A, "a0")
    queue(lanes, A2, "a1")
    assert started(lanes) == [(A, "a0")]
    lanes.leave(A, "a0")
    assert started(lanes) == [(A2, "a1")]


def test_nobody_stands_in_a_lane_twice(lanes):
    """Neither waiting nor busy."""
    assert lanes.join(A, "k", 0.0)
    assert not lanes.join(A, "k", 0.0)
    assert len(started(lanes)) == 1
    assert not lanes.join(A, "k", 0.0)
    lanes.leave(A, "k")
    assert lanes.join(A, "k", 0.0)


def test_a_narrow_host_has_one_place_until_it_is_wide_again(lanes):
    """Who was in flight already stays."""
    queue(lanes, A, *range(9))
    assert len(started(lanes)) == 3
    lanes.learn(A2, answers=False)
    for key in range(2):
        lanes.leave(A, key)
        assert started(lanes) == []
    lanes.leave(A, 2)
    assert started(lanes) == [(A, 3)]
    lanes.learn(A, answers=True)
    lanes.learn(A, answers=True)
    lanes.leave(A, 3)
    assert len(started(lanes)) == 3


def test_a_narrow_host_stays_narrow_when_it_has_been_empty(lanes):
    """A receiver that hangs is known by that also for the next delivery."""
    queue(lanes, A, 0)
    started(lanes)
    lanes.learn(A, answers=False)
    lanes.leave(A, 0)
    queue(lanes, A2, 1, 2)
    assert started(lanes) == [(A2, 1)]


def test_hosts_that_are_not_trusted_leave_half_of_all_places_to_the_others():
    """New ones have all their places while a quarter of all is free for that, then one each; those that hang one."""
    lanes = Lanes(concurrency=20, per_host=5)
    for number in range(30):
        queue(lanes, f"https://new-{number}.example/", *range(8))
    first = started(lanes)
    assert len(first) == 10
    assert len({host_of(url) for url, _ in first}) == 10
    proven(lanes, A)
    queue(lanes, A, *range(20))
    assert started(lanes) == [(A, key) for key in range(5)]
    for url, key in first:
        lanes.learn(url, answers=False)
        lanes.leave(url, key)
    assert len(started(lanes)) == 10


def test_a_single_new_host_has_what_it_may_at_once():
    """Its share of the places, few or many."""
    for places, expected in ((256, 8), (10, 8), (4, 4)):
        lanes = Lanes(concurrency=places, per_host=8)
        queue(lanes, A, *range(20))
        first = started(lanes)
        assert len(first) == expected
        for url, key in first:
            lanes.leave(url, key)
        assert (lanes.busy, lanes._doubted) == (0, 0)


def test_a_host_that_answers_while_it_waits_changes_its_queue():
    """And back, when it runs into the time-out."""
    lanes = Lanes(concurrency=2, per_host=1)
    queue(lanes, B, 0)
    queue(lanes, A, 0)
    assert started(lanes) == [(B, 0)]
    proven(lanes, A)
    assert started(lanes) == [(A, 0)]
    lanes.leave(B, 0)
    proven(lanes, C)
    queue(lanes, C, 0)
    lanes.learn(C, answers=False)
    assert started(lanes) == [(C, 0)]
    assert lanes._doubted == 1


def test_other_hosts_are_not_narrowed(lanes):
    """One receiver that hangs is one receiver that hangs."""
    lanes.learn(A, answers=False)
    queue(lanes, B, 0, 1)
    assert len(started(lanes)) == 2


def test_a_url_has_limits_of_its_own_within_those_of_its_host():
    """An endpoint's concurrency; the other URLs of its host use the places that it leaves."""
    lanes = Lanes(concurrency=90, per_host=3, limits={A: LaneLimits(concurrency=1)})
    queue(lanes, A, "x0", "x1")
    queue(lanes, A2, "y0", "y1", "y2")
    assert started(lanes) == [(A, "x0"), (A2, "y0"), (A2, "y1")]
    lanes.leave(A2, "y0")
    assert started(lanes) == [(A2, "y2")]
    lanes.leave(A, "x0")
    assert started(lanes) == [(A, "x1")]


def test_a_url_can_have_a_rate_which_it_remembers_while_it_is_idle():
    """One second's worth at once, then as time gives; lanes say when asking again is worth it."""
    lanes = proven(Lanes(concurrency=9, per_host=9, limits={A: LaneLimits(rate=2.0)}), A)
    queue(lanes, A, 0, 1, 2)
    assert lanes.wake_at() is None
    assert started(lanes) == [(A, 0), (A, 1)]
    assert lanes.wake_at() == pytest.approx(0.5)
    assert started(lanes, 0.4) == []
    assert started(lanes, 0.5) == [(A, 2)]
    for key in range(3):
        lanes.leave(A, key)
    queue(lanes, A, 3, now=0.6)
    assert started(lanes, 0.6) == []
    assert started(lanes, 1.0) == [(A, 3)]


def test_a_lane_that_waits_for_time_leaves_the_places_to_others():
    """A low rate at one URL costs its host nothing."""
    lanes = Lanes(concurrency=90, per_host=2, limits={A: LaneLimits(rate=1.0)})
    queue(lanes, A, "x0", "x1")
    queue(lanes, A2, "y0")
    assert started(lanes) == [(A, "x0"), (A2, "y0")]
    lanes.leave(A2, "y0")
    queue(lanes, A2, "y1")
    assert started(lanes) == [(A2, "y1")]


def test_a_held_lane_waits_and_then_goes_one_at_a_time_until_it_is_released(lanes):
    """Also when it was empty in between; other URLs of its host are not held."""
    lanes.hold(A, 10.0)
    queue(lanes, A, 0, 1, 2)
    queue(lanes, A2, "other")
    assert started(lanes, 9.9) == [(A2, "other")]
    assert lanes.wake_at() == 10.0
    assert started(lanes, 10.0) == [(A, 0)]
    lanes.hold(A, 30.0)
    lanes.leave(A, 0)
    assert started(lanes, 29.0) == []
    assert started(lanes, 30.0) == [(A, 1)]
    lanes.release(A)
    lanes.release(A)
    assert started(lanes, 30.0) == [(A, 2)]


def test_a_hold_can_be_cut_short(lanes):
    """Somebody says that the receiver is well again."""
    lanes.hold(A, 60.0)
    queue(lanes, A, 0, 1)
    assert started(lanes) == []
    lanes.hold(A, 5.0)
    assert started(lanes, 5.0) == [(A, 0)]
    lanes.leave(A, 0)
    lanes.release(A)
    assert started(lanes, 5.0) == [(A, 1)]
    assert started(lanes, 60.0) == []


def test_a_lane_sleeps_once_however_many_join_or_hold_it(lanes):
    """A thousand deliveries behind a hold cost one wake-up, not a thousand."""
    lanes.hold(A, 10.0)
    for key in range(50):
        queue(lanes, A, key)
        assert started(lanes) == []
    assert len(lanes._asleep) == 1
    lanes.hold(A, 60.0)
    assert started(lanes, 20.0) == []
    assert len(lanes._asleep) == 1


def test_a_host_that_is_narrowed_while_it_waits_for_its_turn_has_one_place_then():
    """What counts is when the turn comes."""
    lanes = proven(Lanes(concurrency=2, per_host=3), A, B)
    queue(lanes, A, 0, 1, 2)
    queue(lanes, B, 0)
    assert started(lanes) == [(A, 0), (B, 0)]
    lanes.learn(A, answers=False)
    lanes.leave(B, 0)
    assert started(lanes) == []


def test_limits_can_change_while_people_wait():
    """More places are used at once, also by hosts that were full; a rate can come and go."""
    lanes = proven(Lanes(concurrency=1, per_host=1), A, B)
    queue(lanes, A, "a0", "a1")
    queue(lanes, B, "b0", "b1")
    assert len(started(lanes)) == 1
    lanes.change(concurrency=9, per_host=2, limits={B: LaneLimits(rate=1.0)}, now=0.0)
    assert started(lanes) == [(B, "b0"), (A, "a1")]
    lanes.change(concurrency=9, per_host=2, limits={}, now=0.0)
    assert started(lanes) == [(B, "b1")]


def test_a_lane_without_work_is_forgotten_when_its_rate_goes():
    """It was kept for its rate only."""
    lanes = Lanes(concurrency=9, per_host=2, limits={A: LaneLimits(rate=1.0)})
    queue(lanes, A, 0)
    started(lanes)
    lanes.leave(A, 0)
    assert lanes._lanes
    lanes.change(concurrency=9, per_host=2, limits={}, now=0.0)
    assert not lanes._lanes
    queue(lanes, A, 1)
    assert started(lanes) == [(A, 1)]


def test_one_who_steps_aside_leaves_its_place_to_its_hosts_other_lanes():
    """And to everybody else, but not to those behind it in its own lane."""
    lanes = proven(Lanes(concurrency=1, per_host=1), A, B)
    queue(lanes, A, "x0", "x1")
    assert started(lanes) == [(A, "x0")]
    queue(lanes, A2, "y0")
    lanes.step_aside(A)
    assert (started(lanes), lanes.busy) == ([(A2, "y0")], 1)
    lanes.leave(A2, "y0")
    assert started(lanes) == []


def test_one_who_steps_back_is_the_next_of_its_lane(lanes):
    """It waits for a place as anybody does."""
    queue(lanes, A, *range(5))
    assert started(lanes) == [(A, 0), (A, 1), (A, 2)]
    lanes.step_aside(A)
    assert started(lanes) == []
    lanes.step_back(A, 1, 0.0)
    assert not lanes.join(A, 1, 0.0)
    assert started(lanes) == [(A, 1)]
    lanes.leave(A, 2)
    assert started(lanes) == [(A, 3)]


def test_one_who_steps_aside_and_gives_up_lets_the_next_one_go(lanes):
    """And an empty lane is forgotten."""
    queue(lanes, A, 0)
    assert started(lanes) == [(A, 0)]
    lanes.step_aside(A)
    lanes.give_up(A, 0)
    assert (lanes._lanes, lanes._hosts, lanes.busy) == ({}, {}, 0)
    queue(lanes, A, *range(4))
    started(lanes)
    lanes.step_aside(A)
    lanes.give_up(A, 0)
    assert started(lanes) == [(A, 3)]


def test_one_who_steps_back_pays_once():
    """Its rate counts those who go: at one a minute it goes at once when it is back."""
    lanes = Lanes(concurrency=9, per_host=9, limits={A: LaneLimits(rate=1 / 60)})
    queue(lanes, A, 0, 1)
    assert started(lanes) == [(A, 0)]
    lanes.step_aside(A)
    lanes.step_back(A, 0, 5.0)
    assert started(lanes, 5.0) == [(A, 0)]
    assert (started(lanes, 64.0), started(lanes, 66.0)) == ([], [(A, 1)])


def test_lanes_know_who_waited_longest_of_those_that_could_go():
    """Over all hosts; whoever is held by something else than a turn is not counted."""
    lanes = Lanes(concurrency=0, per_host=9)
    assert lanes.oldest() is None
    queue(lanes, A, 0, now=5.0)
    queue(lanes, B, 0, now=3.0)
    assert lanes.oldest() == 3.0
    lanes.hold(B, 100.0)
    lanes.change(concurrency=1, per_host=9, limits={}, now=5.0)
    assert started(lanes, 5.0) == [(A, 0)]
    lanes.leave(A, 0)
    started(lanes, 5.0)
    assert lanes.oldest() is None


def test_an_empty_lane_is_forgotten(lanes):
    """A million receivers once seen cost nothing for ever."""
    for number in range(9):
        queue(lanes, f"https://host-{number}.example/", 0)
    while fresh := started(lanes):
        for url, key in fresh:
            lanes.leave(url, key)
    assert (lanes._lanes, lanes._hosts, lanes._doubted) == ({}, {}, 0)
    assert not any(lanes._turns.values())


def test_only_urls_with_limits_of_their_own_have_any():
    """The others share those of their host."""
    receivers = Receivers(Receiver(()), {A: Receiver(()), B: Receiver((), rate=2.0), C: Receiver((), concurrency=3)})
    assert limits_of(receivers) == {B: LaneLimits(rate=2.0), C: LaneLimits(concurrency=3)}


MOVES = (
    *("join", "join", "take", "take", "leave", "aside", "back", "give up", "later"),
    *("narrow", "widen", "hold", "release", "change"),
)
lane_moves = st.lists(
    st.tuples(
        st.sampled_from(MOVES),
        st.sampled_from([A, A2, B, C]),
        st.integers(0, 4),
    ),
    max_size=60,
)


@given(lane_moves, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=examples(60), deadline=None)
def test_lanes_keep_their_limits_and_starve_nobody(sequence, concurrency, per_host):
    """No limit is ever passed, and whoever joined goes when those before have left and holds are over."""
    limits = {C: LaneLimits(concurrency=1, rate=1.0)}
    lanes, now = Lanes(concurrency=concurrency, per_host=per_host, limits=limits), 0.0
    busy, aside, joined, gone = [], [], 0, 0
    for move, url, key in sequence:
        match move:
            case "join":
                joined += lanes.join(url, key, now)
            case "leave" if busy:
                lanes.leave(*busy.pop(key % len(busy)))
            case "aside" if busy:
                aside.append(busy.pop(key % len(busy)))
                lanes.step_aside(aside[-1][0])
            case "back" if aside:
                lanes.step_back(*aside.pop(key % len(aside)), now)
                gone -= 1
            case "give up" if aside:
                lanes.give_up(*aside.pop(key % len(aside)))
            case "narrow" | "widen":
                lanes.learn(url, answers=move == "widen")
            case "hold":
                lanes.hold(url, now + key)
            case "release":
                lanes.release(url)
            case "later":
                now += key / 3
            case "change":
                lanes.change(concurrency=concurrency, per_host=per_host, limits=limits if key % 2 else {}, now=now)
            case "take" if (turn := lanes.take(now)) is not None:
                busy.append((turn[0], turn[1].key))
                gone += 1
        assert lanes.busy == len(busy) <= concurrency
        assert 0 <= lanes._doubted <= doubted_places(concurrency, per_host)
        assert len(lanes._asleep) <= 2 * len(lanes._lanes) + SPARE
        assert max(Counter(host_of(url) for url, _ in busy).values(), default=0) <= per_host
        assert lanes.waiting == joined - gone
    for one in aside:
        lanes.step_back(*one, now)
    while busy or lanes.waiting:
        fresh = started(lanes, now)
        busy += fresh
        if busy:
            lanes.leave(*busy.pop(0))
        else:
            wake_at = lanes.wake_at()
            assert wake_at is not None, "somebody waits although nobody is busy, and nobody will come back"
            now = max(now, wake_at)
