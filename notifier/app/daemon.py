"""The running daemon: built from settings, reloaded as a whole or not at all, stopped in order."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeAlias

import structlog

from notifier import __version__, logs
from notifier.adapters.api import ApiParts, Reloaded, ReloadRefused, ReloadResult
from notifier.adapters.stores.store import SqlStore
from notifier.adapters.systemd import ServiceManager
from notifier.app import wiring
from notifier.app.health import Health
from notifier.app.listening import Listener, Reach
from notifier.app.parts import Parts
from notifier.app.retention import clean
from notifier.app.status import StatusBoard
from notifier.config import Loaded, Rejected, Settings, as_reloaded, needs_restart
from notifier.ports import Catalog, Declared, StoreUnavailableError

if TYPE_CHECKING:  # its libraries take memory and time, and few need them
    from notifier.app.cluster import Cluster

log = structlog.get_logger()

EXPIRE_EVERY_SECONDS = 0.5
CLEAN_EVERY_SECONDS = (1.0, 600.0)
ATTEMPTS_FINISH_SECONDS = 22.0
"""How long a stop waits for attempts in flight; all of it must fit into 30 s."""
AMONG_OTHERS_SECONDS = 15.0
"""The same where shards are handed over first, and a server may have to be left that says nothing."""
POLLS_FINISH_SECONDS = 2.0
"""Polls are not waited for longer: one that is cut off is simply made again after the start."""
FLUSH_SECONDS = 3.0


Load: TypeAlias = Callable[[], Loaded | Rejected]


class Daemon:
    """The parts at work. Use `running()`; nothing works before it entered or after it left."""

    def __init__(
        self,
        settings: Settings,
        load: Load,
        store: SqlStore,
        listener: Listener | None,
        manager: ServiceManager,
        *,
        cluster: "Cluster | None" = None,
    ) -> None:
        self.settings = settings
        self.intake = None if listener is None else listener.where
        self._reach: Reach = "unix" if listener is None else listener.reach
        self._load = load
        self._store = store
        self.catalog: Catalog = store
        self._manager = manager
        self._reloading = asyncio.Lock()
        self._stopping = False
        self.parts = parts = Parts(settings, store, cluster)
        self.crew = parts.crew
        self.health = Health(
            store, parts.scheduler, parts.poller, parts.dispatcher, parts.clock, tenure=parts.tenure
        )
        nodes = parts.board(node_name(settings))
        self.board = StatusBoard(store, self.health, parts.dispatcher, parts.metrics, parts.clock, nodes=nodes)

    # Start

    async def start(self) -> None:
        """Take up the store's work, then the file's. After this polls run and deliveries go out."""
        parts = self.parts
        await parts.endpoints.load()
        parts.configure(self.settings)
        parts.metrics.providers(self.settings.providers)
        parts.scheduler.start(parts.poller.due, parts.dispatcher.due)
        if parts.cluster is None:  # else deliveries are claimed
            await parts.dispatcher.start()  # first: what the poller finds ended is no older delivery
        await parts.archiving.start(self.settings, parts.scheduler)
        await parts.poller.start()
        await self._declare(self.settings)
        if parts.cluster is not None:
            await parts.cluster.start(parts.scheduler)
        parts.scheduler.resume()
        self.board.reloaded(ok=True)
        parts.scheduler.every("deadlines", EXPIRE_EVERY_SECONDS, parts.poller.expire)
        shortest, longest = CLEAN_EVERY_SECONDS
        period = min(max(self.settings.store.retention / 10, shortest), longest)
        parts.scheduler.every("retention", period, self._clean)

    async def _declare(self, settings: Settings) -> Declared:
        declared = await self.parts.registrar.declare(wiring.declared_watches(settings))
        log.info(
            "watches.declared", added=len(declared.added), changed=declared.changed, cancelled=declared.cancelled
        )
        return declared

    async def _clean(self) -> None:
        if self.parts.leads():
            await clean(self._store, self.parts.clock, self.settings)

    # Reload

    async def reload(self) -> ReloadResult:
        """Apply the file as it is now: all of it or nothing. What needs a restart is named and keeps its old value.
        StoreUnavailableError if the declared watches cannot be stored now; then nothing changed either."""
        async with self._reloading:
            with self._manager.reloading():
                match await asyncio.to_thread(self._load):
                    case Rejected(problems=problems):
                        return self._refuse(tuple(str(problem) for problem in problems))
                    case Loaded(settings=loaded):
                        return await self._apply(loaded)

    def _refuse(self, errors: tuple[str, ...]) -> ReloadRefused:
        self.board.reloaded(ok=False)
        log.error("config.rejected", errors=errors, hint="nothing changed; mend the file and reload again")
        return ReloadRefused(errors)

    async def _apply(self, loaded: Settings) -> ReloadResult:
        old = self.settings
        restart = needs_restart(old, loaded)
        if self._reach == "network" and not loaded.intake.tokens:
            return self._refuse(("intake.tokens: are needed until a restart, for the intake still listens as before",))
        settings = as_reloaded(old, loaded)
        if (wrong := self.parts.archiving.check(settings)) is not None:
            return self._refuse((wrong,))
        self.parts.registrar.configure(wiring.watch_rules(settings), self.parts.sender(settings))
        try:
            declared = await self._declare(settings)  # the one step that can fail comes before all others
        except BaseException as error:
            self.parts.registrar.configure(wiring.watch_rules(old), self.parts.sender(old))
            self._refuse((f"the declared watches cannot be stored: {error}",))
            raise
        self.settings = settings
        configure_logs(settings)
        self.parts.configure(settings)
        await self.parts.archiving.apply(settings)
        with contextlib.suppress(StoreUnavailableError):  # intervals follow at the next reload or start
            await self.parts.poller.refresh()
        self.parts.metrics.providers(settings.providers.keys() - old.providers.keys())
        self.board.reloaded(ok=True)
        log.info("config.reloaded", needs_restart=restart or None)
        return Reloaded(len(declared.added), declared.changed, declared.cancelled, restart)

    # What the intake shows

    def api_parts(self) -> ApiParts:
        return ApiParts(
            registrar=self.parts.registrar,
            endpoints=self.parts.endpoints,
            dispatcher=self.parts.dispatcher,
            poller=self.parts.poller,
            timetable=self.parts.scheduler,
            catalog=self.catalog,
            clock=self.parts.clock,
            tokens=lambda: self.parts.tokens,
            hosts=self._hosts,
            usual_interval=self._usual_interval,
            reload=self.reload,
            readiness=lambda: self.board.readiness(stopping=self._stopping),
            status=lambda: self.board.status(stopping=self._stopping),
            render_metrics=lambda: self.board.render_metrics(stopping=self._stopping),
            public_keys=self.parts.endpoints.public_keys,
            archive=lambda: self.parts.archiving.archive,
            links=lambda: self.parts.links,
            stopping=lambda: self._stopping,
            version=__version__,
        )

    def _hosts(self) -> Collection[str] | None:
        """A web page can lead a browser to loopback under any name, and to nothing else that it could not reach."""
        return wiring.host_names(self.settings) if self._reach == "loopback" else None

    def _usual_interval(self, provider: str) -> float | None:
        settings = self.settings.providers.get(provider)
        return None if settings is None else settings.interval

    # Stop

    async def stop(self) -> None:
        """Start nothing more, let attempts in flight finish, save everything. From the beginning of this the intake
        takes nothing more and readiness says no."""
        parts = self.parts
        self._stopping = True
        parts.scheduler.stop()
        parts.poller.close()
        parts.dispatcher.close()
        parts.inquiries.close()
        await asyncio.gather(parts.archiving.stop(), self._rest())
        attempts = ATTEMPTS_FINISH_SECONDS if parts.cluster is None else AMONG_OTHERS_SECONDS
        cut_off = await self.crew.drain(attempts)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.gather(parts.poller.flush(), parts.dispatcher.flush())
        except (StoreUnavailableError, TimeoutError) as error:
            hint = "what was not saved is learned or attempted again"
            log.error("store.unsaved", error=str(error) or "the store takes too long", hint=hint)
        if parts.cluster is not None:
            await parts.cluster.leave()
        await parts.archiving.close()
        await parts.poll_http.aclose()
        await parts.post_http.aclose()
        log.info("daemon.stopped", cut_off=cut_off or None)

    async def _rest(self) -> None:
        """Polls in flight finish, and others take over what was polled here."""
        if self.parts.cluster is not None:
            await self.parts.cluster.retire()
        await self.parts.poll_crew.drain(POLLS_FINISH_SECONDS)


def node_name(settings: Settings) -> str:
    """How this daemon is called among others."""
    return settings.node.name or f"{socket.gethostname()}-{os.getpid()}"


def configure_logs(settings: Settings) -> None:
    secrets = wiring.secret_values(settings)
    logs.configure(level=settings.log.level, log_format=settings.log.format, secrets=secrets)
