"""Attempts as the store is told of them: each is kept until it is written down, and is not made again meanwhile."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from notifier.domain.delivery import Attempt, Delivery, wait_after
from notifier.ports import Alarms, Clock, Crew, DeliveryStore, StoreUnavailableError
from notifier.services.custody import Custodian

log = structlog.get_logger()

SAVE_AGAIN_SECONDS = 1.0
AFTER_FAULT_SECONDS = 60.0


class Ledger:
    def __init__(
        self, *, store: DeliveryStore, custody: Custodian, alarms: Alarms, crew: Crew, clock: Clock
    ) -> None:
        self._store = store
        self._custody = custody
        self._alarms = alarms
        self._crew = crew
        self._clock = clock
        self._unsaved: dict[str, tuple[Delivery, Attempt]] = {}

    async def save(self, delivery: Delivery, attempt: Attempt, *, again: bool = False) -> None:
        """Save an attempt, and ring for the next one. If the store does not take it, it is kept until it does; the log
        is told the first time."""
        try:
            settlement = await self._store.settle(delivery, attempt)
        except StoreUnavailableError as error:
            say = log.debug if again else log.error
            say("delivery.unsaved", event_id=delivery.id, error=str(error))
            self._keep(delivery, attempt, SAVE_AGAIN_SECONDS)
            return
        except Exception:  # a fault of ours: what the receiver said must not be forgotten
            self._keep(delivery, attempt, AFTER_FAULT_SECONDS)
            raise
        match settlement:
            case "kept" | "known":
                self._go_on(delivery, wait_after(delivery, attempt))
            case "freed":
                self._custody.drop(delivery.id)
            case "lost":
                log.debug("delivery.lost", event_id=delivery.id, hint="it is gone, or another node attempts it")
                self._custody.drop(delivery.id)
            case _:
                assert_never(settlement)

    def _go_on(self, delivery: Delivery, wait: float | None) -> None:
        if delivery.next_attempt_at is None or wait is None:
            self._custody.drop(delivery.id)
            return
        # By both clocks: the wall clock may have been set back while the store was busy.
        at = min(delivery.next_attempt_at, self._in(wait))
        self._alarms.ring(delivery.id, delivery.callback_url, at)

    def due(self, delivery_id: str) -> bool:
        """An alarm rang: save at last an attempt that the store did not take; False if this delivery has none."""
        unsaved = self._unsaved.pop(delivery_id, None)
        if unsaved is None:
            return False
        self._crew.spawn(self.save(*unsaved, again=True))
        return True

    @property
    def unsaved(self) -> Collection[str]:
        """The deliveries whose attempts the store does not know yet."""
        return self._unsaved.keys()

    async def flush(self) -> None:
        """At the stop: one more try to save attempts that the store did not take."""
        while self._unsaved:
            _, unsaved = self._unsaved.popitem()
            await self._store.settle(*unsaved)

    def clear(self) -> None:
        """Forget them: others make these attempts again."""
        self._unsaved.clear()

    def _keep(self, delivery: Delivery, attempt: Attempt, seconds: float) -> None:
        if delivery.id not in self._custody:
            return
        self._unsaved[delivery.id] = (delivery, attempt)
        self._alarms.ring(delivery.id, delivery.callback_url, self._in(seconds))

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)
