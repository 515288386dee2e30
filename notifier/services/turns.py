"""One turn of a delivery: an attempt, or fresh result URLs before it."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from notifier.domain.delivery import Delivery, RetrySchedule
from notifier.domain.lanes import Lanes
from notifier.domain.pace import Turn
from notifier.ports import Alarms, Clock, StoreUnavailableError, Tenure
from notifier.services.attempts import Attempts
from notifier.services.custody import Custodian
from notifier.services.ledger import AFTER_FAULT_SECONDS, Ledger
from notifier.services.refresher import Refresher
from notifier.services.tray import Tray

AGAIN_SECONDS = 1.0
"""Where this node may not act for what is its own: how soon that is looked at again."""


class Turns:
    """`pump` starts whoever may go when somebody has left the lanes."""

    def __init__(
        self,
        lanes: Lanes[str],
        *,
        tray: Tray,
        attempts: Attempts,
        refresher: Refresher,
        ledger: Ledger,
        custody: Custodian,
        tenure: Tenure,
        alarms: Alarms,
        clock: Clock,
        pump: Callable[[], None],
    ) -> None:
        self._lanes = lanes
        self._tray = tray
        self._attempts = attempts
        self._refresher = refresher
        self._ledger = ledger
        self._custody = custody
        self._tenure = tenure
        self._alarms = alarms
        self._clock = clock
        self._pump = pump
        self._at_work: set[str] = set()

    @property
    def at_work(self) -> Collection[str]:
        """The deliveries whose turns are not over: each until what came of it was told to the store."""
        return self._at_work

    async def go(self, url: str, turn: Turn[str], schedule: RetrySchedule) -> None:
        self._at_work.add(turn.key)
        try:
            await self._go(url, turn, schedule)
        finally:
            self._at_work.discard(turn.key)

    async def _go(self, url: str, turn: Turn[str], schedule: RetrySchedule) -> None:
        late = settled = None
        try:
            ready = self._tray.refreshed(turn.key)
            delivery = ready or await self._tray.take(turn.key, url)
            if delivery is not None:
                if ready is None and self._refresher.wanted(delivery):
                    late = delivery
                elif not self._tenure.holds():  # the store took its time
                    self._alarms.ring(turn.key, url, self._in(AGAIN_SECONDS))
                else:
                    settled = await self._attempts.make(delivery, schedule)
        except Exception:  # a fault of ours: the delivery is still owed
            self._alarms.ring(turn.key, url, self._in(AFTER_FAULT_SECONDS))
            raise
        finally:
            if late is None:
                self._lanes.leave(url, turn.key)
            else:
                self._lanes.step_aside(url)
            self._pump()
        if settled is not None:
            await self._ledger.save(*settled)
        elif late is not None:
            await self._refresh(late)

    async def _refresh(self, late: Delivery) -> None:
        """Ask for its URLs again, while others of its host go; then it is the next one of its lane."""
        refreshed = None
        try:
            refreshed = await self._refresher.refresh(late)
            if refreshed is None:
                self._custody.drop(late.id)
        except StoreUnavailableError as error:
            self._tray.put_off(late.id, late.callback_url, error)
        except Exception:  # as above
            self._alarms.ring(late.id, late.callback_url, self._in(AFTER_FAULT_SECONDS))
            raise
        finally:
            if refreshed is None:
                self._lanes.give_up(late.callback_url, late.id)
            else:
                self._tray.keep_refreshed(refreshed)
                self._lanes.step_back(late.callback_url, late.id, self._clock.monotonic())
            self._pump()

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)
