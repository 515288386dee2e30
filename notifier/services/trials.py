"""Test events: tried once, kept nowhere, and few at a time, for they stand in no lane."""

from collections import Counter
from dataclasses import dataclass, replace

from notifier.domain.delivery import Attempt, RetrySchedule, new_delivery, settle
from notifier.domain.event import Event, announce_test
from notifier.domain.receiver import host_of
from notifier.ports import Chance, Clock
from notifier.services.attempts import Attempts
from notifier.services.courier import Courier

MOST_TRIALS = 32
"""In flight at once: whoever may send test events could otherwise hold a connection for each that the intake takes."""


@dataclass(frozen=True, slots=True)
class Crowded:
    """Too many test events are in flight; this one was not sent."""


class Trials:
    def __init__(self, courier: Courier, attempts: Attempts, *, clock: Clock, chance: Chance) -> None:
        self._courier = courier
        self._attempts = attempts
        self._clock = clock
        self._chance = chance
        self._in_flight: Counter[str] = Counter()

    async def run(self, url: str, *, per_host: int) -> Attempt | Crowded:
        """Send one test event, unless `per_host` are on their way to the same host already."""
        host = host_of(url)
        if self._in_flight[host] >= per_host or self._in_flight.total() >= MOST_TRIALS:
            return Crowded()
        self._in_flight[host] += 1
        try:
            return await self._try(url)
        finally:
            self._in_flight -= Counter([host])  # forgets hosts that are left with none

    async def _try(self, url: str) -> Attempt:
        now, event_id = self._clock.now(), self._chance.new_id("evt_")
        receipt = await self._courier.post(event_id, url, announce_test(now))
        trial = new_delivery(Event(event_id, "notifier.test", b""), watch_id="", callback_url=url, now=now)
        _, attempt = settle(trial, receipt, ended_at=self._clock.now(), schedule=RetrySchedule(()), spread=0.0)
        self._attempts.heed_trial(url, receipt, attempt)
        return replace(attempt, outcome="failed") if attempt.outcome == "deferred" else attempt
