"""Is everything at work that the daemon's promises rest on?"""

import asyncio
from collections.abc import Mapping

import structlog

from notifier.adapters.api import PausedProvider, Readiness
from notifier.adapters.scheduler import Scheduler
from notifier.ports import Clock, StoreUnavailableError, Upkeep
from notifier.services.dispatcher import Dispatcher
from notifier.services.poller import Poller

log = structlog.get_logger()

SILENT_SECONDS = 5.0
STORE_ANSWERS_SECONDS = 3.0
FRESH_SECONDS = 1.0
OK = "ok"


class Health:
    def __init__(
        self, store: Upkeep, scheduler: Scheduler, poller: Poller, dispatcher: Dispatcher, clock: Clock
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._poller = poller
        self._dispatcher = dispatcher
        self._clock = clock
        self._store_state = OK
        self._looked_at = -FRESH_SECONDS

    async def look(self, *, stopping: bool) -> Readiness:
        """Ask every part; a paused provider is named, but is no reason not to be ready."""
        checks = {
            "store": await self._store_check(),
            "scheduler": self._scheduler_check(),
            "dispatcher": self._dispatcher_check(),
        }
        if stopping:
            checks["daemon"] = "is stopping"
        return Readiness(ready=all(state == OK for state in checks.values()), checks=checks, paused=self.paused())

    def paused(self) -> Mapping[str, PausedProvider]:
        now = self._clock.monotonic()
        return {
            name: PausedProvider(pause.reason, max(round(pause.until - now, 3), 0.0))
            for name, pause in self._poller.pauses().items()
        }

    async def arrested(self, seconds: float) -> Mapping[str, str]:
        """The parts that a restart would help, and what is wrong with them: what no longer moves, and a store that
        gives no answer in so many seconds. A store that refuses is none of them: its disk is as full after a restart,
        and the daemon that waits for room loses nothing."""
        checks = {"store": OK, "scheduler": self._scheduler_check(), "dispatcher": self._dispatcher_check()}
        try:
            async with asyncio.timeout(seconds):
                await self._store.ping()
        except TimeoutError:
            checks["store"] = f"neither took nor refused a write within {seconds:g} s"
        except StoreUnavailableError:
            pass
        return {part: state for part, state in checks.items() if state != OK}

    async def _store_check(self) -> str:
        """A durable write, at most once a second however often we are asked."""
        if self._clock.monotonic() - self._looked_at >= FRESH_SECONDS:
            self._looked_at = self._clock.monotonic()
            try:
                await asyncio.wait_for(self._store.ping(), STORE_ANSWERS_SECONDS)
                self._store_state = OK
            except TimeoutError:
                self._store_state = f"took no write within {STORE_ANSWERS_SECONDS:g} s"
            except StoreUnavailableError as error:
                # Whoever may ask for readiness need not learn where the store is; the log says it.
                log.warning("store.unavailable", error=str(error))
                self._store_state = "takes no writes; the log says why"
        return self._store_state

    def _scheduler_check(self) -> str:
        silent = self._scheduler.silent_for()
        return OK if silent < SILENT_SECONDS else f"has fired nothing for {silent:.0f} s"

    def _dispatcher_check(self) -> str:
        return "is stuck: deliveries wait and none is attempted" if self._dispatcher.stuck() else OK
