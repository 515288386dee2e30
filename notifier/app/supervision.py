"""What systemd hears of the daemon, and the watchdog, which is fed only while the daemon is at work."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import structlog

from notifier.adapters.api import PausedProvider
from notifier.adapters.systemd import ServiceManager
from notifier.app.health import Health
from notifier.ports import Catalog, Counts, StoreUnavailableError

log = structlog.get_logger()

LOOK_SECONDS = 10.0
"""How often the status line is renewed; a short WatchdogSec= asks for more."""
LOOKS_PER_WATCHDOG = 4
"""The store, the numbers and the sleep may take one such part each: a feeding is three parts after the last at most."""
COUNT_SECONDS = 1.0
"""How long the status line waits for its numbers."""
AGAIN_SECONDS = 1.0
"""After a look that found something arrested: it may just have been a moment."""


def describe(counts: Counts, paused: Mapping[str, PausedProvider]) -> str:
    """One line on how things stand, for `systemctl status`."""
    standing = f"{counts.watches.get('watching', 0)} watches, {counts.deliveries.get('pending', 0)} deliveries pending"
    pauses = [f"{name} ({pause.reason}, {pause.seconds_left:.0f} s left)" for name, pause in paused.items()]
    return f"{standing}; paused: {', '.join(pauses)}" if pauses else standing


@contextlib.asynccontextmanager
async def supervised(manager: ServiceManager) -> AsyncIterator["Supervision"]:
    """Enter it before the start and leave it after the stop, for both may take their time."""
    supervision = Supervision(manager)
    manager.status("starting")
    try:
        yield supervision
    finally:
        await supervision.close()


class Supervision:
    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._pace = min(LOOK_SECONDS, (manager.watchdog or LOOK_SECONDS * LOOKS_PER_WATCHDOG) / LOOKS_PER_WATCHDOG)
        self._task: asyncio.Task[None] | None = None
        self._starved = False

    def begin(self, health: Health, catalog: Catalog) -> None:
        """The daemon is ready: look after it from now on."""
        self._manager.ready("ready")
        if self._manager.listens:
            self._task = asyncio.create_task(self._watch(health, catalog))

    def end(self) -> None:
        """The daemon begins to stop: from here on TimeoutStopSec= counts, and the watchdog no longer."""
        self._manager.stopping("stopping: attempts in flight are finished, and what they brought is saved")
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, health: Health, catalog: Catalog) -> None:
        """The feeding comes first: the description takes as long as the store does."""
        while True:
            well = await self._look(health)
            await self._describe(health, catalog)
            await asyncio.sleep(self._pace if well else min(self._pace, AGAIN_SECONDS))

    async def _describe(self, health: Health, catalog: Catalog) -> None:
        """Whatever goes wrong with it, the feeding goes on."""
        try:
            async with asyncio.timeout(min(self._pace, COUNT_SECONDS)):  # wait_for() may lose cancellations
                counts = await catalog.counts()
            self._manager.status(describe(counts, health.paused()))
        except (TimeoutError, StoreUnavailableError):
            pass  # the store says so itself
        except Exception:  # a fault of ours, which must not cost a healthy daemon its life
            log.exception("daemon.fault")

    async def _look(self, health: Health) -> bool:
        try:
            found = await health.arrested(self._pace)
        except Exception:  # whatever it is: if it lasts, it is a reason to be restarted
            log.exception("daemon.fault")
            return False
        if not found:
            self._manager.feed()
        elif not self._starved and self._manager.watchdog is not None:
            hint = "if this lasts, systemd restarts the daemon; the stacks printed then show where it hangs"
            log.error("watchdog.starved", **found, watchdog_seconds=self._manager.watchdog, hint=hint)
        self._starved = bool(found)
        return not found
