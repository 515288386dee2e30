"""When the next poll is due, by what is known of how long tasks take."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.lifetimes import Lifetimes
from notifier.domain.rhythm import SILENCE, Clues, Limits, Plan, next_wait
from tests.benchmarks.adaptive import EIGHT
from tests.simulated_polls import LIMITS, Job, figures, gain, leave_one_out, one_after_another
from tests.thoroughness import examples

NOTHING = Clues()


def plan_of(*seconds, limits=LIMITS):
    lifetimes = Lifetimes()
    for one in seconds:
        lifetimes.learn(max(one - 5, 0.0), one + 5)
    return Plan(lifetimes, limits)


AROUND_600 = plan_of(*[540.0, 570.0, 590.0, 600.0, 600.0, 610.0, 630.0, 660.0])


def wait(plan, clues=NOTHING, *, age, earliest=0.0, spread=0.0, limits=LIMITS):
    return next_wait(plan, limits, clues, age=age, earliest=earliest, spread=spread)


# The gain


def test_recorded_durations_are_found_out_sooner_with_fewer_polls():
    """Each of the eight by what the seven others taught: at most 0.6 times the delay of a fixed interval with as many
    polls, and 0.6 times the polls of one with the same delay."""
    won = gain(leave_one_out([EIGHT] * 12))
    assert won.delay_ratio <= 0.6
    assert won.polls_ratio <= 0.6


def test_simulated_durations_are_found_out_sooner_with_fewer_polls():
    """The same online, the first jobs included, of which nothing is known."""
    chance = random.Random(11)
    won = gain(one_after_another([Job(chance.lognormvariate(5.7, 0.3)) for _ in range(300)]))
    assert won.delay_ratio <= 0.6
    assert won.polls_ratio <= 0.6


def test_the_model_counts_when_the_provider_tells_it():
    """Fast and slow tasks of one provider: those of one model are not asked about when the others end."""
    chance = random.Random(12)
    models = [chance.choice((("fast", 60.0), ("fine", 400.0))) for _ in range(120)]
    told = [Job(middle * chance.lognormvariate(0, 0.1), model) for model, middle in models]
    known, unknown = one_after_another(told), one_after_another([Job(job.seconds) for job in told])
    assert figures(known).polls < 0.9 * figures(unknown).polls
    assert figures(known).delay < 0.7 * figures(unknown).delay


# The limits

numbers = st.lists(st.floats(0.5, 5000.0), min_size=6, max_size=20)


@settings(max_examples=examples(20), deadline=None)
@given(
    numbers,
    st.sampled_from([Limits(30.0, 5.0), Limits(10.0, 10.0), Limits(60.0, 1.0)]),
    st.floats(0.0, 40.0),
    st.randoms(use_true_random=False),
)
def test_no_more_polls_than_at_the_reference_interval_and_no_end_missed(seconds, limits, first, chance):
    """Whatever was learned, and whatever the provider claims: by any age the fixed interval would have made as many
    polls; no two are closer than the least wait; and none is further away than the longest, however old the task."""
    plan = plan_of(*seconds, limits=limits)
    age = first
    for polls in range(1, 40):
        said = chance.choice([NOTHING, Clues(progress=chance.random()), Clues(ask_again=9e9 * chance.random() ** 20)])
        earliest, spread = limits.earliest(polls, first), chance.uniform(-1, 1)
        due = wait(plan, said, age=age, earliest=earliest, spread=spread, limits=limits)
        assert limits.least - 1e-9 <= due <= limits.longest(age) + 1e-9
        age += due
        assert polls <= (age - first) / limits.reference + 1e-6


def test_a_task_that_outlives_all_others_is_polled_at_the_reference_interval():
    """For ever, at what the fixed interval would do."""
    for age in (1000.0, 10_000.0, 1e6, 1e9):
        assert wait(AROUND_600, age=age, earliest=age - 5) == LIMITS.reference
        assert wait(AROUND_600, age=age, earliest=age + 40) == 40


def test_the_silence_before_the_first_ends_is_bounded():
    """A task may always end sooner than any before it."""
    assert wait(AROUND_600, age=0.5, earliest=30.5) == SILENCE * LIMITS.reference
    assert wait(AROUND_600, age=120.5) == SILENCE * LIMITS.reference
    assert wait(plan_of(*[6000.0] * 8), age=1000.0) == 500.0


def test_polls_are_close_when_the_end_is_due():
    """And wide apart before."""
    assert wait(AROUND_600, age=600.0) < 15.0
    assert wait(AROUND_600, age=400.0) > 100.0


def test_jitter_spreads_tasks_that_began_together():
    """As far as the interval's own."""
    assert wait(AROUND_600, age=590.0, spread=1.0) == pytest.approx(1.06 * wait(AROUND_600, age=590.0))


# What the provider says


def test_nothing_known_is_the_fixed_interval():
    """Neither ends nor a word of the provider: the interval's own job goes on."""
    assert wait(None, age=50.0) is None
    assert wait(None, Clues(progress=0.5, time_left=1000.0), age=50.0) is None


def test_the_provider_may_say_when_to_ask_again():
    """Also before anything is known; within the limits."""
    assert wait(None, Clues(ask_again=50.0), age=50.0) == 50.0
    assert wait(AROUND_600, Clues(ask_again=50.0), age=50.0) == 50.0
    assert wait(None, Clues(ask_again=1.0), age=50.0) == LIMITS.least
    assert wait(None, Clues(ask_again=1.0), age=50.0, earliest=70.0) == 20.0
    assert wait(None, Clues(ask_again=3600.0), age=50.0) == SILENCE * LIMITS.reference


def test_progress_moves_the_poll():
    """Nine tenths done after 90 s: 10 s are left. One hundredth: later than planned, but no more than twice."""
    usual = wait(AROUND_600, age=540.0)
    assert wait(AROUND_600, Clues(progress=0.9), age=90.0) == pytest.approx(10.0)
    assert wait(AROUND_600, Clues(progress=0.01), age=540.0) == pytest.approx(2 * usual)
    assert wait(AROUND_600, Clues(progress=1.0), age=540.0) == LIMITS.least
    assert wait(AROUND_600, Clues(progress=0.0), age=540.0) == usual


def test_there_is_a_last_look_before_the_deadline():
    """A task that ended in time must not be given up because the next poll would come too late; when the budget or the
    least wait leaves no room, there is none."""
    assert wait(AROUND_600, Clues(time_left=80.0), age=300.0) == 75.0
    assert wait(AROUND_600, Clues(time_left=7.0), age=300.0) == LIMITS.least
    assert wait(AROUND_600, Clues(time_left=80.0), age=300.0, earliest=379.0) == 79.0
    assert wait(AROUND_600, Clues(time_left=8000.0), age=300.0) == wait(AROUND_600, age=300.0)


@pytest.mark.parametrize("seconds", [0.3, 2.0, 700_000.0, 3e6])
def test_ends_at_the_edge_of_what_is_told_apart_make_a_plan(seconds):
    """Tasks of less than a second, and of weeks."""
    plan = plan_of(*[seconds] * 6)
    for age in (0.1, 5.0, seconds, 2 * seconds):
        assert LIMITS.least <= wait(plan, age=age) <= LIMITS.longest(age)
