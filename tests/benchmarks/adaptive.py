"""What `interval: auto` gains over fixed intervals, on paper. No test: it only prints a table.

    python -m tests.benchmarks.adaptive [--jobs 1500]

`polls` is the mean for a job, `delay` the median of seconds from a job's end to the poll that finds it, both with
`interval: auto` (reference 30 s) and, for comparison, at a fixed 30 s. `delay x` is that delay over the delay of the
fixed interval that makes as many polls in the mean; `polls x` is the polls over those of the fixed interval with the
same delay. `limit` is the least that the product of mean polls and mean delay can become, over that of a fixed
interval, for whoever knows the distribution but not the single job: (integral of sqrt(density x survival))^2 over the
mean; a median can get below it. The rows are online: the first jobs, of which nothing is known, are part of them.

Durations:
- "eight recorded": eight identical video jobs took 83 to 253 s, with a median of 105 s. Only these three figures were
  recorded; the others are a RECONSTRUCTION that agrees with them. Leave one out: each job is polled by what the
  seven others taught, which were polled every 30 s; 60 rounds, for the phase of the polls is chance. With so few
  durations a fixed interval may just happen to hit or miss them all; "watched later" takes up to 10 s off each.
- "three models": render times published in 2026 (vivideo.ai, "AI Video Render-Time Benchmark": fast tiers 30-60 s,
  standard ones 90-180 s, high fidelity 180-540 s; happyhorseai.top, "Speed Benchmark 2026": 5-15 % standard deviation
  between runs of one model). Each model is drawn with 12 % around the middle of its band, as no single runs were
  published; once with the model told by the provider, once without.
- The others are simulated, with what the name says.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log, sqrt
from statistics import fmean

from tests.simulated_polls import LIMITS, Job, Watched, at_interval, figures, gain, leave_one_out, one_after_another

EIGHT = tuple(map(Job, (83.0, 92.0, 97.0, 103.0, 107.0, 118.0, 156.0, 253.0)))
ROUNDS = 60
THREE = (("fast", 45.0), ("standard", 135.0), ("fine", 360.0))


def lognormal(chance: random.Random, median: float, sigma: float, jobs: int) -> list[Job]:
    return [Job(chance.lognormvariate(log(median), sigma)) for _ in range(jobs)]


def watched_later(chance: random.Random) -> list[Job]:
    return [Job(job.seconds - 10 * chance.random()) for job in EIGHT]


def three_models(chance: random.Random, jobs: int) -> list[Job]:
    drawn = [chance.choice(THREE) for _ in range(jobs)]
    return [Job(chance.lognormvariate(log(middle), 0.12), model) for model, middle in drawn]


def simulated(jobs: int) -> Iterator[tuple[str, list[Job]]]:
    chance = random.Random(2026)
    told = three_models(chance, jobs)
    yield "three models, told", told
    yield "three models, not told", [Job(job.seconds) for job in told]
    yield "lognormal 120 s, sigma 0.15", lognormal(chance, 120.0, 0.15, jobs)
    yield "lognormal 120 s, sigma 0.3", lognormal(chance, 120.0, 0.3, jobs)
    yield "lognormal 120 s, sigma 0.5", lognormal(chance, 120.0, 0.5, jobs)
    yield "lognormal 5 min, sigma 0.3", lognormal(chance, 300.0, 0.3, jobs)
    yield "lognormal 1 h, sigma 0.3", lognormal(chance, 3600.0, 0.3, jobs)
    yield "bimodal 90 s / 5 min", [Job(chance.lognormvariate(log(chance.choice((90, 300))), 0.12)) for _ in range(jobs)]
    yield "drift 100 s to 5 min", [
        Job(chance.lognormvariate(log(100 * 3 ** (number / jobs)), 0.25)) for number in range(jobs)
    ]
    yield "jump 100 s to 5 min", lognormal(chance, 100.0, 0.25, jobs // 2) + lognormal(chance, 300.0, 0.25, jobs // 2)
    yield "heavy tail (Pareto 1.7)", [Job(60 * chance.paretovariate(1.7)) for _ in range(jobs)]
    yield "memoryless 120 s", [Job(chance.expovariate(1 / 120)) for _ in range(jobs)]


def limit(jobs: Sequence[Job], cells: int = 40) -> float:
    """The integral over a histogram of cells with as many jobs in each."""
    ordered = sorted(job.seconds for job in jobs)
    edges = [ordered[round(number * (len(ordered) - 1) / cells)] for number in range(cells + 1)]
    whole = sum(
        sqrt((high - low) * (1 - (number + 0.5) / cells) / cells) for number, (low, high) in enumerate(pairwise(edges))
    )
    return whole**2 / fmean(ordered)


def row(name: str, results: list[Watched]) -> str:
    jobs = [one.job for one in results]
    won, usual = gain(results), figures(at_interval(jobs, LIMITS.reference))
    bound = f"{limit(jobs):5.2f}" if len(jobs) > len(EIGHT) * ROUNDS else "    -"
    pairs = [f"{one.polls:6.2f} {one.delay:6.1f} s" for one in (won.learned, usual)]
    return f"{name:28} {' | '.join(pairs)} | {won.delay_ratio:7.2f} {won.polls_ratio:7.2f} {bound}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1500)
    chosen = parser.parse_args()
    print(f"{'':28} {'interval: auto':>15} | {'fixed 30 s':>15} | {'delay x':>7} {'polls x':>7} {'limit':>5}")
    print(f"{'':28} {'polls':>6} {'delay':>8} | {'polls':>6} {'delay':>8} |")
    print(row("eight recorded", leave_one_out([EIGHT] * ROUNDS)))
    print(row("the same, watched later", leave_one_out(watched_later(random.Random(8)) for _ in range(ROUNDS))))
    for name, jobs in simulated(chosen.jobs):
        print(row(name, one_after_another(jobs)))


if __name__ == "__main__":
    main()
