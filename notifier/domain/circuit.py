"""A callback URL's circuit: it opens when attempts keep failing, and then one probe at a time tries the URL again.

Times are monotonic seconds. None stands for a circuit about which there is nothing to tell: the last attempt did not
fail. Opening and closing drops nothing: what is due waits, and each probe is the next attempt of one of the deliveries.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

FAILURES_TO_OPEN = 10
"""So many attempts in a row, whichever deliveries they were for."""
SECONDS_TO_OPEN = 30.0
"""And for so long: a receiver that restarts fails many attempts, but not for this long."""
PROBE_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
"""The waits before the first, second … probe; the last one for all that follow. ±20 %, and never longer than the wait
of the delivery that was tried: one alone keeps to its schedule."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A closed circuit: `failures` in a row, the first of them over at `since`."""

    failures: int
    since: float


@dataclass(frozen=True, slots=True)
class Open:
    """Nobody goes before `probe_at`. `failures` in a row since `since`, the last one because of `error`; `probes`
    counts those that failed, `changed` is when the latest wait began."""

    failures: int
    since: float
    error: str
    probe_at: float
    probes: int
    changed: float


Circuit: TypeAlias = Failing | Open


def strike(
    circuit: Circuit | None, error: str, *, started: float, now: float, wait: float | None, spread: float
) -> Circuit:
    """The circuit after one more failed attempt, which began at `started`. Its delivery is due again in `wait` seconds,
    and may then be the next probe; `spread` in [-1, 1] moves that otherwise."""
    match circuit:
        case None:
            return Failing(1, now)
        case Failing(failures=failures, since=since):
            if failures + 1 < FAILURES_TO_OPEN or now - since < SECONDS_TO_OPEN:
                return Failing(failures + 1, since)
            return Open(failures + 1, since, error, _probe_at(0, now, wait, spread), probes=0, changed=now)
        case Open():
            counted = replace(circuit, failures=circuit.failures + 1, error=error)
            if started < circuit.changed:  # was in flight already when the wait began, so it is no probe
                return counted
            return _wait(counted, circuit.probes + 1, now, wait, spread)
        case _:
            assert_never(circuit)


def put_off(circuit: Open, *, now: float, spread: float) -> Open:
    """The circuit whose probe was told to come later: the receiver has answered, but taken nothing. The next one waits
    as long as this one did."""
    return _wait(circuit, circuit.probes, now, None, spread)


def _wait(circuit: Open, probes: int, now: float, wait: float | None, spread: float) -> Open:
    return replace(circuit, probe_at=_probe_at(probes, now, wait, spread), probes=probes, changed=now)


def _probe_at(probes: int, now: float, wait: float | None, spread: float) -> float:
    """A delivery's own schedule is never held up by the circuit that its failure opened."""
    seconds = PROBE_SECONDS[min(probes, len(PROBE_SECONDS) - 1)] * (1 + 0.2 * spread)
    return now + (seconds if wait is None else min(seconds, wait))
