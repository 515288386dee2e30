"""What is learned of how long tasks take, from brackets."""

import random

import pytest

from notifier.domain.lifetimes import AGES, Lifetimes


def middle(lifetimes):
    """The age by which half the tasks have ended, as far as it is known."""
    before = 0.0
    for age, mass in zip(AGES, lifetimes.masses(), strict=True):
        before += mass
        if before >= 0.5:
            return age
    raise AssertionError("it is no distribution")


def learned(*brackets):
    lifetimes = Lifetimes()
    for after, by in brackets:
        lifetimes.learn(after, by)
    return lifetimes


@pytest.mark.parametrize(
    "bracket", [(0.0, 0.2), (0.0, 1e9), (1e7, 2e7), (100.0, 100.000001), (3.0, 3.0)], ids=str
)
def test_any_bracket_is_a_whole_end(bracket):
    """However narrow, wide or old it is, nothing of it is lost and nothing breaks."""
    masses = learned(bracket, (50.0, 80.0)).masses()
    assert sum(masses) == pytest.approx(1.0)
    assert min(masses) >= 0.0


def test_what_is_learned_is_not_when_it_was_asked():
    """Tasks of 100 s that are polled every 30 s end between 90 s and 120 s. When closer looks told where, wide brackets
    are shared out by that, not evenly: else a pause of the polls would look like slow tasks."""
    assert 98 < middle(learned(*[(90.0, 120.0)] * 20)) < 112
    masses = learned(*[(99.0, 101.0)] * 30, *[(60.0, 400.0)] * 10).masses()
    late = sum(mass for age, mass in zip(AGES, masses, strict=True) if age > 130)
    evenly = (400 - 130) / (400 - 60) * 0.39  # the last ten of forty ends weigh 39 %
    assert late < 0.8 * evenly


def test_a_provider_that_became_slower_is_known_after_some_tens_of_tasks():
    """Recent ends weigh more: after 40 slow ones, what is left of 400 fast ones is a quarter, and the smoothing."""
    chance = random.Random(4)
    lifetimes = Lifetimes()
    for number in range(440):
        seconds = chance.lognormvariate(4.6 if number < 400 else 5.7, 0.2)
        lifetimes.learn(seconds - 10, seconds + 10)
    slow = [mass for age, mass in zip(AGES, lifetimes.masses(), strict=True) if age > 180]
    assert sum(slow) > 0.65
    assert middle(lifetimes) > 240


def test_few_ends_say_less_than_many_and_many_no_more_than_the_memory():
    """By how many ends of equal weight would say as much."""
    assert learned((50.0, 60.0)).effective() == pytest.approx(1.0)
    assert learned(*[(50.0, 60.0)] * 5).effective() == pytest.approx(5.0, rel=0.02)
    assert 50 < learned(*[(50.0, 60.0)] * 9000).effective() < 60


def test_it_learns_on_for_ever():
    """Weights that grow with every end are scaled back before they leave the range of numbers."""
    lifetimes = learned(*[(50.0, 55.0)] * 9000, *[(500.0, 510.0)] * 60)
    assert sum(lifetimes.masses()) == pytest.approx(1.0)
    assert middle(lifetimes) > 400
