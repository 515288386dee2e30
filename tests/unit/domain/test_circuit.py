"""Circuits: when they open, and when a probe may go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.circuit import (
    FAILURES_TO_OPEN,
    PROBE_SECONDS,
    SECONDS_TO_OPEN,
    Circuit,
    Failing,
    Open,
    put_off,
    strike,
)


def failing(*moments: float, circuit: Circuit | None = None, spread: float = 0.0) -> Circuit:
    """Attempts that began and failed at these moments."""
    for at in moments:
        circuit = strike(circuit, "HTTP 500", started=at, now=at, wait=None, spread=spread)
    assert circuit is not None
    return circuit


def opened(at: float = 100.0) -> Open:
    """A circuit whose tenth failure, at `at`, opened it."""
    circuit = failing(*[at - 40.0] * 9, at)
    assert isinstance(circuit, Open)
    return circuit


@pytest.mark.parametrize(
    ("moments", "opens"),
    [
        ([0.0] * 9 + [30.0], True),
        ([0.0] * 8 + [30.0], False),
        ([0.0] * 9 + [29.9], False),
        ([0.0] * 50, False),
        ([0.0, 30.0], False),
    ],
)
def test_it_opens_after_failures_in_a_row_that_last(moments, opens):
    """Neither many at once, as at a restart of the receiver, nor a few over a long time."""
    assert (len(moments) >= FAILURES_TO_OPEN, moments[-1] >= SECONDS_TO_OPEN) == (True, True) or not opens
    assert isinstance(failing(*moments), Open) == opens


def test_it_remembers_what_a_reader_asks_about():
    """How many, since when, and once it is open why the last time."""
    assert failing(7.0, 8.0, 9.0) == Failing(3, since=7.0)
    circuit = strike(failing(*[7.0] * 9), "refused", started=99.5, now=100.0, wait=None, spread=0.0)
    assert circuit == Open(10, since=7.0, error="refused", probe_at=105.0, probes=0, changed=100.0)


def test_probes_come_at_growing_waits_up_to_a_minute():
    """Each counts from the end of the one before."""
    circuit, now, waits = opened(), 100.0, []
    for _ in range(7):
        waits.append(circuit.probe_at - now)
        now = circuit.probe_at
        circuit = failing(now, circuit=circuit)
    assert waits == [*PROBE_SECONDS, 60.0, 60.0]


def test_attempts_that_were_in_flight_already_are_no_probes():
    """Forty of them do not make the wait a minute."""
    circuit = opened(100.0)
    for _ in range(40):
        circuit = strike(circuit, "HTTP 502", started=99.0, now=101.0, wait=None, spread=0.0)
    assert (circuit.probe_at, circuit.failures, circuit.error) == (105.0, 50, "HTTP 502")


@given(st.floats(-1, 1))
def test_probes_are_spread(spread):
    """By up to a fifth, so that all circuits of a host do not probe it together."""
    circuit = failing(*[0.0] * 9, 100.0, spread=spread)
    assert 104.0 - 1e-9 <= circuit.probe_at <= 106.0 + 1e-9


def test_a_delivery_is_not_held_up_by_the_circuit_that_its_own_failure_opened():
    """One alone is its own next probe, when its schedule says so."""
    circuit = strike(failing(*[0.0] * 9), "HTTP 500", started=100.0, now=100.0, wait=1.5, spread=0.0)
    assert circuit.probe_at == 101.5
    circuit = strike(circuit, "HTTP 500", started=101.5, now=101.5, wait=900.0, spread=0.0)
    assert circuit.probe_at == 111.5


def test_a_probe_that_is_told_to_come_later_puts_off_the_next_one():
    """By the same wait once more."""
    circuit = failing(105.0, circuit=opened(100.0))
    assert put_off(circuit, now=115.0, spread=0.0).probe_at == 125.0
