"""Tasks of known durations, polled on paper: at a fixed interval, and by what earlier ones taught.

The first poll comes within a second, as it does for a new watch; everything after it has the jitter of real polls.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from notifier.domain.rhythm import Clues, Limits, next_wait
from notifier.domain.task import PHASE_SPREAD
from notifier.services.rhythms import Kind

LIMITS = Limits(reference=30.0, least=5.0)


@dataclass(frozen=True, slots=True)
class Job:
    """`seconds` from being watched to its end; `model` when the provider tells it."""

    seconds: float
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """At which ages (seconds) one job was polled; the last of them found it over."""

    job: Job
    ages: tuple[float, ...]

    @property
    def delay(self) -> float:
        return self.ages[-1] - self.job.seconds


def poll(job: Job, chance: random.Random, wait: Callable[[float, int, float], float]) -> Watched:
    """`wait(age, polls, first)` is asked after each poll that finds the job running."""
    ages = [chance.random()]
    while ages[-1] < job.seconds:
        ages.append(ages[-1] + wait(ages[-1], len(ages), ages[0]))
    return Watched(job, tuple(ages))


def at_interval(jobs: Iterable[Job], interval: float, seed: int = 1) -> list[Watched]:
    chance = random.Random(seed)
    return [
        poll(job, chance, lambda *_: interval * (1 + PHASE_SPREAD * chance.uniform(-1, 1))) for job in jobs
    ]


class Learner:
    """What a daemon does with one provider: each job is polled by what the ones before it taught."""

    def __init__(self, limits: Limits = LIMITS, seed: int = 1) -> None:
        self.limits = limits
        self.chance = random.Random(seed)
        self.kinds: dict[str | None, Kind] = {}

    def watch(self, job: Job) -> Watched:
        """The model counts as soon as five of its jobs have ended, and all of the provider's until then."""
        plans = (self.kinds[model].plan(self.limits) for model in (job.model, None) if model in self.kinds)
        plan = next((plan for plan in plans if plan is not None), None)

        def wait(age: float, polls: int, first: float) -> float:
            earliest, spread = self.limits.earliest(polls, first), self.chance.uniform(-1, 1)
            chosen = next_wait(plan, self.limits, Clues(), age=age, earliest=earliest, spread=spread)
            return self.limits.reference * (1 + PHASE_SPREAD * spread) if chosen is None else chosen

        return poll(job, self.chance, wait)

    def learn(self, watched: Watched) -> None:
        """Only what a daemon sees: the last poll that said running, and the one that did not."""
        if len(watched.ages) > 1:
            for model in {None, watched.job.model}:
                self.kinds.setdefault(model, Kind()).lifetimes.learn(watched.ages[-2], watched.ages[-1])


def one_after_another(jobs: Iterable[Job], limits: Limits = LIMITS, seed: int = 1) -> list[Watched]:
    """Online: the first jobs, of which nothing is known, are part of it."""
    learner = Learner(limits, seed)
    results = []
    for job in jobs:
        results.append(learner.watch(job))
        learner.learn(results[-1])
    return results


def leave_one_out(rounds: Iterable[Sequence[Job]], limits: Limits = LIMITS) -> list[Watched]:
    """In each round each job is polled by what the others taught, which were polled at the reference interval."""
    return [result for seed, jobs in enumerate(rounds) for result in _left_out(jobs, limits, seed)]


def _left_out(jobs: Sequence[Job], limits: Limits, seed: int) -> Iterator[Watched]:
    for number, job in enumerate(jobs):
        learner = Learner(limits, seed=seed * len(jobs) + number)
        others = [*jobs[:number], *jobs[number + 1 :]]
        learner.chance.shuffle(others)
        for watched in at_interval(others, limits.reference, seed=seed * len(jobs) + number):
            learner.learn(watched)
        yield learner.watch(job)


@dataclass(frozen=True, slots=True)
class Figures:
    polls: float
    delay: float
    mean_delay: float


def figures(results: Sequence[Watched]) -> Figures:
    """The mean number of polls for a job, its median delay, and its mean one."""
    delays = [one.delay for one in results]
    return Figures(fmean(len(one.ages) for one in results), median(delays), fmean(delays))


@dataclass(frozen=True, slots=True)
class Gain:
    """`learned` against two fixed intervals: the delay over that of the one with as many polls, and the polls over
    those of the one with the same delay."""

    learned: Figures
    delay_ratio: float
    mean_delay_ratio: float
    polls_ratio: float


def gain(results: Sequence[Watched]) -> Gain:
    learned, jobs = figures(results), [one.job for one in results]
    as_many = figures(at_interval(jobs, interval_for(jobs, lambda fixed: fixed.polls <= learned.polls)))
    as_soon = figures(at_interval(jobs, interval_for(jobs, lambda fixed: fixed.delay >= learned.delay)))
    return Gain(
        learned,
        learned.delay / as_many.delay,
        learned.mean_delay / as_many.mean_delay,
        learned.polls / as_soon.polls,
    )


def interval_for(jobs: Sequence[Job], enough: Callable[[Figures], bool]) -> float:
    """The shortest fixed interval that is `enough`, to a thousandth; what it is asked for grows with the interval."""
    low, high = 1.0, 10 * max(job.seconds for job in jobs)
    while high / low > 1.001:
        middle = (low * high) ** 0.5
        if enough(figures(at_interval(jobs, middle))):
            high = middle
        else:
            low = middle
    return high
