"""When to ask next about a task, by what is known of how long its kind takes.

A poll costs something, and so does every second between a task's end and the poll that finds it. A plan is the cheapest
sequence of polls, found backwards from the last age at which anything is known (dynamic programming; with many polls it
asks in proportion to the square root of the hazard, the rate at which tasks end). The price of a poll is the one at
which the reference interval would be best if tasks ended at any age alike: knowing nothing more, one would poll so.

Ages, waits and intervals are seconds.
"""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, exp
from typing import NamedTuple

from notifier.domain.lifetimes import AGES, STEP, Lifetimes
from notifier.domain.task import PHASE_SPREAD

FEWEST_ENDS = 5
"""Before so many ends are known there is no plan."""
SILENCE = 4.0
"""No wait is longer than so many reference intervals, or half the task's age when that is more."""
_POINTS = 300
_NEGLIGIBLE = 0.002
"""Ends rarer than this at either side are left to the doubt."""
_LEANING = 0.5
"""How much more a second of delay counts where tasks usually end (a power of their density): 0 makes the mean delay
small, more than that the median."""
_PRICE = 1.25
"""A little more for each poll than the reference interval says; the rest of the budget is for the late ones."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`reference` is the fixed interval whose number of polls is the budget, `least` the shortest wait."""

    reference: float
    least: float

    def longest(self, age: float) -> float:
        """The longest wait at this age."""
        return max(SILENCE * self.reference, age / 2)

    def earliest(self, polls: int, first: float) -> float:
        """The age at which one more poll may follow so many: the fixed interval, beginning with a poll at the age
        `first`, would have made it by then."""
        return first + polls * self.reference

    def bounded(self, wait: float, age: float, earliest: float) -> float:
        """The wait within all limits; where they disagree, fewer polls win."""
        return max(min(wait, self.longest(age)), self.least, earliest - age)


@dataclass(frozen=True, slots=True)
class Clues:
    """What a provider says of one task: how much of it is done (0 … 1), and in how many seconds to ask again; and how
    many seconds are left to its deadline."""

    progress: float | None = None
    ask_again: float | None = None
    time_left: float | None = None


class Plan:
    """The best age for the next poll, whatever the age now. It is dear to make and cheap to ask."""

    __slots__ = ("_ages", "_cost", "_ended", "_limits")

    def __init__(self, lifetimes: Lifetimes, limits: Limits) -> None:
        self._limits = limits
        self._ages, self._ended, self._cost = _solve(lifetimes, limits)

    def wait(self, age: float, earliest: float) -> float:
        """Seconds until the next poll, which must not come before the age `earliest`."""
        soonest = max(age + self._limits.least, earliest)
        first = bisect_left(self._ages, soonest)
        final = bisect_left(self._ages, max(age + self._limits.longest(age), soonest))
        if first == len(self._ages):  # it outlived all that is known
            return max(self._limits.reference, soonest - age)
        if first == final:
            return max(self._limits.longest(age), soonest - age)
        ended = self._ended_by(age)
        ages, cost = self._ages, self._cost
        return ages[min(range(first, final), key=lambda number: cost[number] - ages[number] * ended)] - age

    def _ended_by(self, age: float) -> float:
        """For an age before the last that is known."""
        number = bisect_left(self._ages, age)
        if number == 0:
            return 0.0
        low, high = self._ages[number - 1], self._ages[number]
        before = self._ended[number - 1]
        return before + (self._ended[number] - before) * (age - low) / (high - low)


def next_wait(
    plan: Plan | None, limits: Limits, clues: Clues, *, age: float, earliest: float, spread: float
) -> float | None:
    """Seconds until the next poll, not before the age `earliest`; None leaves it to the fixed interval, for nothing
    better is known. `spread` in [-1, 1] moves it as that interval is moved.

    The provider's own word counts most. Progress may bring the poll forward, and put it off to twice the planned wait.
    """
    if clues.ask_again is not None:
        wait = clues.ask_again
    elif plan is None:
        return None
    else:
        wait = plan.wait(age, earliest)
        if clues.progress is not None and clues.progress > 0.0:
            wait = min(age / clues.progress - age, 2 * wait)
    wait = limits.bounded(wait * (1 + PHASE_SPREAD * spread), age, earliest)
    if clues.time_left is not None and wait > (last := clues.time_left - limits.least):
        return max(last, limits.least, earliest - age)  # one more look before the deadline
    return wait


class _Known(NamedTuple):
    """Where tasks end: up to each of `ages`, the part of them that does so since the age before."""

    ages: list[float]
    parts: list[float]
    mean: float


def _solve(lifetimes: Lifetimes, limits: Limits) -> tuple[list[float], list[float], list[float]]:
    """The ages at which to consider a poll, what has (weighted) ended by each, and what makes each of them dear.

    With E and M the weighted ends, and their ages summed, up to an age: a poll at the age t after one at the age s
    costs t (E(t) − E(s)) − (M(t) − M(s)), plus all that follows, V(t). Sorted by what depends on t alone, that is
    cost(t) − t E(s) with cost(t) = t E(t) − M(t) + V(t); as E grows, the best t only ever moves on.
    """
    known = _doubted(_outline(lifetimes, limits), 1 / (lifetimes.effective() + 2))
    weighted = _weighted(known)
    ages, ended = known.ages, list(accumulate(weighted))
    moments = list(accumulate(part * age for part, age in zip(weighted, _middles(ages), strict=True)))
    running = [1 - part for part in accumulate(known.parts)]
    price = _PRICE * limits.reference**2 / (2 * known.mean)
    later = _forever(limits.reference, known.mean, price)
    best = len(ages) - 1
    cost = [0.0] * len(ages)
    cost[best] = ages[best] * ended[best] - moments[best] + running[best] * later
    for number in range(best - 1, -1, -1):
        soonest = min(bisect_left(ages, ages[number] + limits.least, number + 1), len(ages) - 1)
        best = min(range(soonest, max(best, soonest) + 1), key=lambda at: cost[at] - ages[at] * ended[number])
        follows = running[number] * price + cost[best] - ages[best] * ended[number] + moments[number]
        cost[number] = ages[number] * ended[number] - moments[number] + follows
    return ages, ended, cost


def _outline(lifetimes: Lifetimes, limits: Limits) -> _Known:
    """The ages between which nearly all tasks end, close enough together to place a poll well."""
    masses = lifetimes.masses()
    sums = list(accumulate(masses))
    first, last = bisect_left(sums, _NEGLIGIBLE), min(bisect_left(sums, 1 - _NEGLIGIBLE), len(AGES) - 1)
    low = AGES[first - 1] if first else 0.0
    apart = max(limits.reference / 8, (AGES[last] - low) / _POINTS)
    ages, parts = [low], [sums[first - 1] if first else 0.0]
    for number in range(first, last + 1):
        begin, pieces = ages[-1], ceil((AGES[number] - ages[-1]) / apart)
        ages += [begin + (AGES[number] - begin) * piece / pieces for piece in range(1, pieces + 1)]
        parts += [masses[number] / pieces] * pieces
    mean = sum(mass * age for mass, age in zip(masses, AGES, strict=True)) * (1 + 1 / STEP) / 2
    return _Known(ages, parts, mean)


def _doubted(known: _Known, doubt: float) -> _Known:
    """So much is taken away for tasks that follow no rule but the mean: they may end at any age."""
    wild = [exp(-age / known.mean) for age in known.ages]
    bits = [1 - wild[0], *(before - after for before, after in pairwise(wild))]
    parts = [(1 - doubt) * part + doubt * bit for part, bit in zip(known.parts, bits, strict=True)]
    return known._replace(parts=parts)


def _weighted(known: _Known) -> list[float]:
    """The parts by how much their delays count, the same in sum."""
    widths = [max(known.ages[0], 1.0), *(after - before for before, after in pairwise(known.ages))]
    weighted = [
        part * (part / width) ** _LEANING if part > 0.0 else 0.0
        for part, width in zip(known.parts, widths, strict=True)
    ]
    scale = sum(known.parts) / sum(weighted)
    return [part * scale for part in weighted]


def _middles(ages: list[float]) -> list[float]:
    return [ages[0] / 2, *((before + after) / 2 for before, after in pairwise(ages))]


def _forever(reference: float, mean: float, price: float) -> float:
    """What a task costs from here on that ends at any age alike and is polled at the reference interval."""
    lasts = exp(-reference / mean)
    return (reference - mean * (1 - lasts) + price) / (1 - lasts)
