"""Deliveries at their turn: some are still in memory, the others are read from the store."""

from datetime import timedelta

import structlog

from notifier.domain.delivery import Delivery
from notifier.ports import Alarms, Clock, DeliveryStore, StoreUnavailableError
from notifier.services.custody import Custodian

log = structlog.get_logger()

READ_AGAIN_SECONDS = 1.0
FRESH_BYTES = 16 * 1024 * 1024
"""So much of deliveries is kept in memory while they wait for their first attempt."""
ENTRY_BYTES = 1024
"""What one takes beside its body, about."""


class Tray:
    def __init__(self, *, store: DeliveryStore, custody: Custodian, alarms: Alarms, clock: Clock) -> None:
        self._store = store
        self._custody = custody
        self._alarms = alarms
        self._clock = clock
        self._fresh: dict[str, Delivery] = {}
        self._fresh_bytes = 0
        self._refreshed: dict[str, Delivery] = {}
        self._readable = True

    def keep(self, delivery: Delivery) -> None:
        """Just as it is in the store, until its turn comes; when they are too much, it is read again then."""
        size = _size(delivery)
        if self._fresh_bytes + size <= FRESH_BYTES:
            self._fresh[delivery.id] = delivery
            self._fresh_bytes += size

    def keep_refreshed(self, delivery: Delivery) -> None:
        """It goes at its next turn as it is, whatever has become of its URLs by then."""
        self._refreshed[delivery.id] = delivery

    def refreshed(self, delivery_id: str) -> Delivery | None:
        refreshed = self._refreshed.pop(delivery_id, None)
        return refreshed if delivery_id in self._custody else None

    async def take(self, delivery_id: str, url: str) -> Delivery | None:
        """The delivery, which is pending. None: it is settled, gone or another node's; or it cannot be read now and
        will be due again soon."""
        fresh = self._fresh.pop(delivery_id, None)
        if fresh is not None:
            self._fresh_bytes -= _size(fresh)
        if delivery_id not in self._custody:
            return None
        if fresh is not None:
            return fresh
        try:
            delivery = await self._store.delivery(delivery_id)
        except StoreUnavailableError as error:
            self.put_off(delivery_id, url, error)
            return None
        self._readable = True
        if delivery is None or delivery.state != "pending":
            self._custody.drop(delivery_id)
            return None
        return delivery

    def clear(self) -> None:
        """Forget all of them; the store knows them."""
        self._fresh.clear()
        self._fresh_bytes = 0
        self._refreshed.clear()

    def put_off(self, delivery_id: str, url: str, error: StoreUnavailableError) -> None:
        """The store is not available: the delivery is due again in a moment."""
        say = log.error if self._readable else log.debug  # once for an outage, not for each delivery in it
        say("delivery.unread", event_id=delivery_id, error=str(error))
        self._readable = False
        self._alarms.ring(delivery_id, url, self._clock.now() + timedelta(seconds=READ_AGAIN_SECONDS))


def _size(delivery: Delivery) -> int:
    return ENTRY_BYTES + len(delivery.body)
