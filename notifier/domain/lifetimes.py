"""How long tasks take, learned from ends of which only a bracket is known: after the last poll that said running, by
the final one.

Kept as a histogram of ages in steps of 3 %: its size does not depend on how many ends it has seen. A new end counts
more than older ones, so that a provider that became slower is known to be so after some tens of tasks.

Within its bracket an end is shared out half evenly and half by what is known already (the expectation step of Dempster,
Laird and Rubin 1977, one end at a time): what is learned is when tasks end, not when they were asked about.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from math import exp

STEP = 1.03
AGES = tuple(STEP**number for number in range(451))
"""Seconds: the upper ends of the steps, from one second to a week."""
MEMORY = 30.0
"""An end that is so many ends old counts 1/e of the newest."""
KEPT = 1 - 1 / MEMORY
_MOST_UNIT = 1e100
_WIDEST = 24.0


@dataclass(frozen=True, slots=True)
class Life:
    """One task that ended by itself: it was still running `after` seconds of being watched, and over `by` then."""

    provider: str
    model: str | None
    after: float
    by: float


class Lifetimes:
    """What is known of how long the tasks of one kind take."""

    __slots__ = ("_mass", "_total", "_unit", "seen")

    def __init__(self) -> None:
        self.seen = 0
        self._mass = [0.0] * len(AGES)
        self._total = 0.0
        self._unit = 1.0  # the weight of the next end; that it grows is how older ones are forgotten

    def learn(self, after: float, by: float) -> None:
        """A task was running at the age `after` and had ended at the age `by` (seconds)."""
        for number, share in self._shares(after, by):
            self._mass[number] += share * self._unit
        self.seen += 1
        self._total += self._unit
        self._unit /= KEPT
        if self._unit > _MOST_UNIT:
            self._mass = [mass / self._unit for mass in self._mass]
            self._total, self._unit = self._total / self._unit, 1.0

    def _shares(self, after: float, by: float) -> list[tuple[int, float]]:
        """Which part of the end belongs to each step that its bracket touches."""
        last = len(AGES) - 1
        first = min(bisect_right(AGES, after), last)
        final = max(min(bisect_left(AGES, by), last), first)
        if first == final:
            return [(first, 1.0)]
        edges = [after, *AGES[first:final], by]
        even = [(edges[number + 1] - edges[number]) / (by - after) for number in range(len(edges) - 1)]
        known = self._mass[first : final + 1]
        weight = sum(known)
        if weight > 0.0:
            even = [(part + mass / weight) / 2 for part, mass in zip(even, known, strict=True)]
        return list(enumerate(even, first))

    def effective(self) -> float:
        """How many ends of equal weight would say as much (Kish's effective sample size)."""
        faded = KEPT**self.seen
        return (1 - faded) * (1 + KEPT) / ((1 + faded) * (1 - KEPT))

    def masses(self) -> list[float]:
        """The part of all tasks that ends within each step of `AGES`, smoothed as far as so few ends ask for
        (Silverman's rule), which is never to more than double or half their age. Needs at least one end."""
        plain = [mass / self._total for mass in self._mass]
        middle = sum(number * mass for number, mass in enumerate(plain))
        variance = sum(mass * (number - middle) ** 2 for number, mass in enumerate(plain))
        return _smooth(plain, min(0.9 * variance**0.5 * self.effective() ** -0.2, _WIDEST))


def _smooth(masses: list[float], width: float) -> list[float]:
    """Spread by a bell curve of this width (in steps)."""
    reach = min(int(3 * width), len(masses))
    if reach == 0:
        return masses
    bell = [exp(-0.5 * (offset / width) ** 2) for offset in range(-reach, reach + 1)]
    whole, last = sum(bell), len(masses) - 1
    spread = [0.0] * len(masses)
    for number, mass in enumerate(masses):
        if mass > 0.0:
            for target, part in enumerate(bell, number - reach):
                spread[min(max(target, 0), last)] += mass * part / whole
    return spread
