"""Attempts: what each makes of its delivery, and what it says of its receiver."""

from typing import assert_never

from notifier.domain.delivery import Answered, Attempt, Delivery, Receipt, RetrySchedule, settle, wait_after
from notifier.domain.lanes import Lanes
from notifier.ports import Chance, Clock
from notifier.services.circuits import Circuits
from notifier.services.courier import Courier


class Attempts:
    def __init__(
        self, courier: Courier, lanes: Lanes[str], circuits: Circuits, *, clock: Clock, chance: Chance
    ) -> None:
        self._courier = courier
        self._lanes = lanes
        self._circuits = circuits
        self._clock = clock
        self._chance = chance

    async def make(self, delivery: Delivery, schedule: RetrySchedule) -> tuple[Delivery, Attempt]:
        """Send it once: the delivery as it is afterwards, not saved yet."""
        started = self._clock.monotonic()
        receipt = await self._courier.post(delivery.id, delivery.callback_url, delivery.body)
        settled, attempt = settle(
            delivery, receipt, ended_at=self._clock.now(), schedule=schedule, spread=self._chance.spread()
        )
        self._heed(settled, receipt, attempt, started)
        self._courier.report(settled, attempt)
        return settled, attempt

    def _heed(self, settled: Delivery, receipt: Receipt, attempt: Attempt, started: float) -> None:
        """What an attempt says of its receiver: a time-out leaves the host one place, failures open the circuit."""
        url = settled.callback_url
        self._learn(url, receipt)
        match attempt.outcome:
            case "delivered":
                self._circuits.answered(url)
            case "failed" if settled.reason != "gone":  # 410 settles a delivery, and nothing piles up
                self._circuits.failed(url, attempt.error or "", started=started, wait=wait_after(settled, attempt))
            case "failed" | "deferred":
                self._circuits.put_off(url)
            case _:
                assert_never(attempt.outcome)

    def heed_trial(self, url: str, receipt: Receipt, attempt: Attempt) -> None:
        """A test event can only do good: a success closes the circuit, and a failure opens none."""
        self._learn(url, receipt)
        if attempt.outcome == "delivered":
            self._circuits.answered(url)

    def _learn(self, url: str, receipt: Receipt) -> None:
        if isinstance(receipt, Answered) or receipt.timed_out:  # a refused connection says neither
            self._lanes.learn(url, answers=isinstance(receipt, Answered))
