"""Deliveries that are held for files: each goes out when it has waited for long enough, whatever became of them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog

from notifier.domain.delivery import Delivery
from notifier.domain.pace import Line
from notifier.domain.sleepers import Sleepers
from notifier.ports import Clock, Crew, LeaseLostError, ResultStore, Retell, StoreUnavailableError
from notifier.services.wakeup import WakeUp

log = structlog.get_logger()

RELEASE_AGAIN_SECONDS = 1.0
AFTER_FAULT_SECONDS = 60.0
MOST_AT_ONCE = 100
"""Releases under way: thousands of events may have been held by one outage of a file server."""


class Holds:
    """`accept` takes over what is held no longer. Held deliveries are nobody else's: in no lane, and with no alarm."""

    def __init__(
        self,
        *,
        store: ResultStore,
        crew: Crew,
        clock: Clock,
        retell: Retell,
        accept: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._store = store
        self._crew = crew
        self._clock = clock
        self._retell = retell
        self._accept = accept
        self._asleep = Sleepers[str]()
        self._recalled = set[str]()
        self._line = Line[str](concurrency=MOST_AT_ONCE)
        self._taken = True
        self._closed = False
        self._wakeup = WakeUp(self._pump, crew=crew, clock=clock)

    def accept(self, owed: Sequence[Delivery], longest: float) -> None:
        """New deliveries, committed in the store: pass on what is not held, and hold the rest for `longest` seconds at
        most, however the clock is set meanwhile."""
        for delivery in owed:
            if delivery.held_until is not None:
                self.hold(delivery.id, delivery.held_until, longest)
        self._accept([delivery for delivery in owed if delivery.held_until is None])

    def hold(self, delivery_id: str, until: datetime, longest: float) -> None:
        """Until then, and for `longest` seconds at most: the clock may have been wrong when that was written down."""
        self._sleep(delivery_id, min(max((until - self._clock.now()).total_seconds(), 0.0), longest))

    def released(self, owed: Iterable[Delivery]) -> None:
        """These were held, and their files are settled."""
        for delivery in owed:
            self._asleep.wake(delivery.id)

    def close(self) -> None:
        """Release nothing more; the store knows what is held."""
        self._closed = True
        self._wakeup.stop()

    def _sleep(self, delivery_id: str, seconds: float) -> None:
        self._asleep.put(delivery_id, self._clock.monotonic() + seconds)
        self._wakeup.by(self._asleep.next_at())

    def _pump(self) -> None:
        now = self._clock.monotonic()
        for delivery_id in self._asleep.due(now):
            if not self._line.join(delivery_id, now) and self._line.is_busy(delivery_id):
                self._recalled.add(delivery_id)  # its release may be one under a lease that was lost since
        while not self._closed and (turn := self._line.take(now)) is not None:
            self._crew.spawn(self._take_turn(turn.key))
        if not self._closed:
            self._wakeup.by(self._asleep.next_at())

    async def _take_turn(self, delivery_id: str) -> None:
        try:
            await self._release(delivery_id)
        finally:
            self._line.leave(delivery_id)
            if delivery_id in self._recalled:
                self._recalled.remove(delivery_id)
                self._line.join(delivery_id, self._clock.monotonic())
            self._pump()

    async def _release(self, delivery_id: str) -> None:
        """None of the store's: its files were settled meanwhile, and who did that passed it on."""
        try:
            delivery = await self._store.release(delivery_id, self._clock.now(), self._retell)
        except LeaseLostError:  # its task is another node's, which releases it
            return
        except StoreUnavailableError as error:
            say = log.error if self._taken else log.debug  # once for an outage
            say("delivery.unreleased", event_id=delivery_id, error=str(error))
            self._taken = False
            self._sleep(delivery_id, RELEASE_AGAIN_SECONDS)
            return
        except Exception:  # a fault of ours: the delivery is still owed
            self._sleep(delivery_id, AFTER_FAULT_SECONDS)
            raise
        self._taken = True
        if delivery is not None:
            self._accept([delivery])
