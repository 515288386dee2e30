"""The circuits of callback URLs: heed what each attempt came to, and hold up the lanes of those that keep failing."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from notifier.domain.circuit import Circuit, strike
from notifier.domain.lanes import Lanes
from notifier.domain.receiver import without_query
from notifier.ports import Chance, Clock

log = structlog.get_logger()

MOST_FAILING = 10_000
"""How many failing URLs are remembered; the one that began to fail first is forgotten, and starts afresh."""


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
        self._failing: OrderedDict[str, Circuit] = OrderedDict()

    def failed(self, url: str, error: str, *, started: float) -> None:
        """One attempt, begun at `started` (monotonic), failed."""
        before, now = self._failing.get(url), self._clock.monotonic()
        circuit = strike(before, error, started=started, now=now, spread=self._chance.spread())
        self._failing[url] = circuit
        if circuit.probe_at is not None:
            self._lanes.hold(url, circuit.probe_at)
            if before is not None and before.probe_at is None:
                self._tell_opened(url, circuit)
        if len(self._failing) > MOST_FAILING:
            forgotten, _ = self._failing.popitem(last=False)
            self._lanes.release(forgotten)

    def answered(self, url: str) -> None:
        """An attempt succeeded: whoever waited may go."""
        circuit = self._failing.pop(url, None)
        if circuit is not None and circuit.probe_at is not None:
            self._lanes.release(url)
            log.info("circuit.closed", url=without_query(url), failures=circuit.failures)

    def probe(self, url: str) -> None:
        """Somebody says that the receiver is well again: do not wait for the time of the next probe."""
        circuit = self._failing.get(url)
        if circuit is not None and circuit.probe_at is not None:
            self._lanes.hold(url, self._clock.monotonic())

    def at(self, url: str) -> OpenCircuit | None:
        """Why deliveries to this URL wait; None: they do not."""
        circuit = self._failing.get(url)
        if circuit is None or circuit.probe_at is None:
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
        return sum(circuit.probe_at is not None for circuit in self._failing.values())

    def _tell_opened(self, url: str, circuit: Circuit) -> None:
        log.error(
            "circuit.opened",
            url=without_query(url),
            failures=circuit.failures,
            error=circuit.error,
            hint="its deliveries wait; one probe at a time tries it again, and nothing is dropped",
        )
