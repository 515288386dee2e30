"""The circuits of callback URLs: heed what each attempt came to, and hold up the lanes of those that keep failing."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from notifier.domain.circuit import Failing, Open, put_off, strike
from notifier.domain.lanes import Lanes
from notifier.domain.receiver import without_query
from notifier.ports import Chance, Clock

log = structlog.get_logger()

MOST_FAILING = 10_000
"""How many failing URLs are remembered, and how many circuits are open: those that failed longest ago are forgotten."""
IDLE_SECONDS = 3600.0
"""A circuit is closed when for so long nobody came to probe it: there is nothing that it could hold up."""


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """Why the deliveries to a URL wait: `failures` in a row since `since`, the last one for `error`."""

    failures: int
    since: datetime
    error: str
    next_probe_at: datetime


class Circuits:
    """Circuits live in memory: after a restart each URL gets a fresh chance."""

    def __init__(self, lanes: Lanes[str], *, clock: Clock, chance: Chance) -> None:
        self._lanes = lanes
        self._clock = clock
        self._chance = chance
        self._failing: OrderedDict[str, Failing] = OrderedDict()
        self._open: OrderedDict[str, Open] = OrderedDict()

    def failed(self, url: str, error: str, *, started: float, wait: float | None) -> None:
        """One attempt, begun at `started` (monotonic), failed; its delivery is due again in `wait` seconds, if ever."""
        before, now = self._open.get(url) or self._failing.pop(url, None), self._clock.monotonic()
        circuit = strike(before, error, started=started, now=now, wait=wait, spread=self._chance.spread())
        match circuit:
            case Failing():
                self._failing[url] = circuit
                if len(self._failing) > MOST_FAILING:
                    self._failing.popitem(last=False)
            case Open():
                if url not in self._open:
                    _tell_opened(url, circuit)
                self._hold(url, circuit)
                if len(self._open) > MOST_FAILING:
                    self._close(next(iter(self._open)), f"more than {MOST_FAILING} circuits are open")
            case _:
                assert_never(circuit)

    def answered(self, url: str) -> None:
        """An attempt succeeded: whoever waited may go."""
        self._failing.pop(url, None)
        self._close(url, "an attempt succeeded")

    def put_off(self, url: str) -> None:
        """An attempt was told to come later; while the circuit is open, that goes for everybody."""
        circuit = self._open.get(url)
        if circuit is not None:
            self._hold(url, put_off(circuit, now=self._clock.monotonic(), spread=self._chance.spread()))

    def probe(self, url: str) -> None:
        """Somebody says that the receiver is well again: do not wait for the time of the next probe."""
        circuit = self._open.get(url)
        if circuit is not None:
            self._hold(url, replace(circuit, probe_at=self._clock.monotonic()))

    def is_open(self, url: str) -> bool:
        return url in self._open

    def at(self, url: str) -> OpenCircuit | None:
        """Why deliveries to this URL wait; None: they do not."""
        self._close_idle()
        circuit = self._open.get(url)
        if circuit is None:
            return None
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return OpenCircuit(
            circuit.failures,
            since=now + timedelta(seconds=circuit.since - monotonic),
            error=circuit.error,
            next_probe_at=now + timedelta(seconds=max(circuit.probe_at - monotonic, 0.0)),
        )

    @property
    def open(self) -> int:
        """How many are open."""
        self._close_idle()
        return len(self._open)

    def _hold(self, url: str, circuit: Open) -> None:
        self._open[url] = circuit
        self._open.move_to_end(url)
        self._lanes.hold(url, circuit.probe_at)

    def _close(self, url: str, because: str) -> None:
        circuit = self._open.pop(url, None)
        if circuit is not None:
            self._lanes.release(url)
            log.info("circuit.closed", url=without_query(url), failures=circuit.failures, reason=because)

    def _close_idle(self) -> None:
        """The one that was held longest ago stands first."""
        longest_ago = self._clock.monotonic() - IDLE_SECONDS
        while self._open and next(iter(self._open.values())).probe_at < longest_ago:
            self._close(next(iter(self._open)), "nobody wanted to go there for an hour")


def _tell_opened(url: str, circuit: Open) -> None:
    log.error(
        "circuit.opened",
        url=without_query(url),
        failures=circuit.failures,
        error=circuit.error,
        hint="its deliveries wait; one probe at a time tries it again, and nothing is dropped",
    )
