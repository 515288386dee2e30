"""Is everything at work that the daemon's promises rest on?"""

import asyncio
from collections.abc import Mapping

import structlog

from notifier.adapters.api import PausedProvider, Readiness
from notifier.adapters.scheduler import Scheduler
from notifier.ports import ALWAYS, Clock, StoreFault, StoreUnavailableError, Tenure, Upkeep
from notifier.services.dispatcher import Dispatcher
from notifier.services.poller import Poller

log = structlog.get_logger()

SILENT_SECONDS = 5.0
STORE_ANSWERS_SECONDS = 3.0
FRESH_SECONDS = 1.0
OK = "ok"
SILENT = f"took no write within {STORE_ANSWERS_SECONDS:g} s"
LAPSED = "is over: nothing is polled or attempted here until the store has answered a beat; the log says more"
_FAULTS: Mapping[StoreFault, str] = {
    "full": "takes no writes: its disk is full; the log says more",
    "locked": "takes no writes: another program holds its lock; the log says more",
    "read-only": "takes no writes: it is read-only; the log says more",
    "damaged": "is damaged: stop the daemon and restore a backup; the log says more",
    "missing": "takes no writes: its file or table is missing, or another file is in its place; the log says more",
    "unreachable": "does not answer; the log says more",
    "crowded": "takes no more connections; the log says more",
    "failing": "takes no writes; the log says why",
}


class Health:
    def __init__(
        self,
        store: Upkeep,
        scheduler: Scheduler,
        poller: Poller,
        dispatcher: Dispatcher,
        clock: Clock,
        *,
        tenure: Tenure = ALWAYS,
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._poller = poller
        self._dispatcher = dispatcher
        self._clock = clock
        self._tenure = tenure
        self._store_state = OK
        self._looked_at = -FRESH_SECONDS

    async def look(self, *, stopping: bool) -> Readiness:
        """Ask every part; a paused provider is named, but is no reason not to be ready."""
        checks = {
            "store": await self._store_check(),
            "scheduler": self._scheduler_check(),
            "dispatcher": self._dispatcher_check(),
        }
        if self._tenure is not ALWAYS:
            checks["lease"] = OK if self._tenure.holds() else LAPSED
        if stopping:
            checks["daemon"] = "is stopping"
        ready = all(state == OK for state in checks.values())
        return Readiness(ready=ready, checks=checks, paused=self.paused(), poll_lag=self._poller.lag())

    def paused(self) -> Mapping[str, PausedProvider]:
        now = self._clock.monotonic()
        return {
            name: PausedProvider(pause.reason, max(round(pause.until - now, 3), 0.0))
            for name, pause in self._poller.pauses().items()
        }

    async def arrested(self, seconds: float) -> Mapping[str, str]:
        """The parts that a restart would help, and what is wrong with them: what no longer moves, and a store that
        gives no answer in so many seconds. A store that refuses is none of them, nor one that refuses others while we
        wait for our turn: its disk is as full after a restart, and the daemon that waits for room loses nothing."""
        checks = {"store": OK, "scheduler": self._scheduler_check(), "dispatcher": self._dispatcher_check()}
        try:
            async with asyncio.timeout(seconds):
                await self._store.ping()
        except TimeoutError:
            if self._store.fault() is None:
                checks["store"] = f"neither took nor refused a write within {seconds:g} s"
        except StoreUnavailableError:
            pass
        return {part: state for part, state in checks.items() if state != OK}

    async def _store_check(self) -> str:
        """A durable write, at most once a second however often we are asked."""
        if self._clock.monotonic() - self._looked_at >= FRESH_SECONDS:
            self._looked_at = self._clock.monotonic()
            self._store_state = await self._try_store()
        return self._store_state

    async def _try_store(self) -> str:
        """Whoever may ask for readiness need not learn where the store is; its own line in the log says that."""
        try:
            async with asyncio.timeout(STORE_ANSWERS_SECONDS):  # wait_for() may lose a cancellation, up to Python 3.11
                await self._store.ping()
        except TimeoutError:
            return self._unanswered()
        except StoreUnavailableError as error:
            return _FAULTS[error.fault]
        return OK

    def _unanswered(self) -> str:
        """Others may stand before us and wait for the same lock; their answer is ours."""
        fault = self._store.fault()
        if fault is not None:
            return _FAULTS[fault]
        if self._store_state != SILENT:
            log.error("store.silent", seconds=STORE_ANSWERS_SECONDS, hint="its disk hangs, or is far too slow")
        return SILENT

    def _scheduler_check(self) -> str:
        silent = self._scheduler.silent_for()
        return OK if silent < SILENT_SECONDS else f"has fired nothing for {silent:.0f} s"

    def _dispatcher_check(self) -> str:
        return "is stuck: deliveries wait and none is attempted" if self._dispatcher.stuck() else OK
