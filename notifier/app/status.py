"""What the daemon tells of itself: its status for people, and the metrics."""

import asyncio
import contextlib

from notifier import __version__
from notifier.adapters.api import LastReload, Readiness, Status
from notifier.adapters.metrics import Metrics
from notifier.adapters.stores.store import SqlStore
from notifier.app.health import STORE_ANSWERS_SECONDS, Health
from notifier.app.nodes import NodeBoard
from notifier.ports import Clock, Counts, Oldest, Space, StoreUnavailableError
from notifier.services.dispatcher import Dispatcher


class StatusBoard:
    """`nodes` is None where the store serves one daemon."""

    def __init__(
        self,
        store: SqlStore,
        health: Health,
        dispatcher: Dispatcher,
        metrics: Metrics,
        clock: Clock,
        *,
        nodes: NodeBoard | None = None,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._nodes = nodes
        self._started_at, self._began = clock.now(), clock.monotonic()
        self._last_reload = LastReload(successful=True, at=self._started_at)
        self._counts = Counts()
        self._space = Space(0, None)
        self._measuring: asyncio.Task[Space] | None = None

    def reloaded(self, *, ok: bool) -> None:
        """The configuration was read, at the start or for a reload, and took effect or not."""
        self._last_reload = LastReload(successful=ok, at=self._clock.now())
        self._metrics.reloaded(ok=ok, at=self._last_reload.at.timestamp())

    async def readiness(self, *, stopping: bool) -> Readiness:
        return await self._health.look(stopping=stopping)

    async def status(self, *, stopping: bool) -> Status:
        return Status(
            version=__version__,
            started_at=self._started_at,
            uptime=self._clock.monotonic() - self._began,
            readiness=await self.readiness(stopping=stopping),
            polls=self._metrics.polls_per_second(),
            counts=await self._count(),
            open_circuits=self._dispatcher.open_circuits,
            space=await self._measure(),
            last_reload=self._last_reload,
            cluster=None if self._nodes is None else self._nodes.cluster(),
        )

    async def render_metrics(self, *, stopping: bool) -> tuple[bytes, str]:
        self._counts = await self._count() or self._counts  # the numbers from before are better than none
        oldest = self._counts.oldest_pending
        self._metrics.observe(
            ready=(await self.readiness(stopping=stopping)).ready,
            space=await self._measure(),
            oldest_seconds=0.0 if oldest is None else self._age(oldest),
            open_circuits=self._dispatcher.open_circuits,
        )
        if self._nodes is not None:
            self._nodes.observe()
        return self._metrics.render(self._counts)

    def _age(self, oldest: Oldest) -> float:
        return max((self._clock.now() - oldest.created_at).total_seconds(), 0.0)  # the clock may have been set back

    async def _measure(self) -> Space:
        """A disk that hangs holds up one thread, however often we are asked: what was known last is told meanwhile."""
        if self._measuring is None:
            self._measuring = asyncio.create_task(self._store.space())
        task = self._measuring
        await asyncio.wait({task}, timeout=STORE_ANSWERS_SECONDS)
        if task.done():
            self._measuring = None if self._measuring is task else self._measuring
            self._space = task.result()
        return self._space

    async def _count(self) -> Counts | None:
        with contextlib.suppress(StoreUnavailableError, TimeoutError):
            async with asyncio.timeout(STORE_ANSWERS_SECONDS):
                return await self._store.counts()
        return None
