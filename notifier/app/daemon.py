"""The running daemon: built from settings, reloaded as a whole or not at all, stopped in order."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

import structlog

from notifier import __version__, logs
from notifier.adapters.api import ApiParts, Caller, Reloaded, ReloadRefused, ReloadResult
from notifier.adapters.clock import SystemChance, SystemClock
from notifier.adapters.crew import AsyncioCrew
from notifier.adapters.http import Http
from notifier.adapters.metrics import Metrics
from notifier.adapters.scheduler import Scheduler
from notifier.adapters.stores.store import SqlStore
from notifier.adapters.systemd import ServiceManager
from notifier.adapters.webhook import WebhookSender
from notifier.app import wiring
from notifier.app.archiving import Archiving
from notifier.app.health import Health
from notifier.app.listening import Listener, Reach
from notifier.app.retention import clean
from notifier.app.status import StatusBoard
from notifier.config import Loaded, Rejected, Settings, as_reloaded, needs_restart
from notifier.domain.link import Links
from notifier.domain.receiver import Receivers
from notifier.ports import Catalog, Chance, Declared, StoreUnavailableError
from notifier.services.channel import Channel
from notifier.services.dispatcher import Dispatcher
from notifier.services.endpoints import Endpoints
from notifier.services.inquiries import Inquiries
from notifier.services.poller import Poller
from notifier.services.refresher import Refresher
from notifier.services.registrar import Registrar
from notifier.services.rhythms import Rhythms

log = structlog.get_logger()

EXPIRE_EVERY_SECONDS = 0.5
CLEAN_EVERY_SECONDS = (1.0, 600.0)
ATTEMPTS_FINISH_SECONDS = 22.0
"""How long a stop waits for attempts in flight; all of it must fit into 30 s."""
POLLS_FINISH_SECONDS = 2.0
"""Polls are not waited for longer: one that is cut off is simply made again after the start."""
FLUSH_SECONDS = 3.0
POLL_KEEPALIVE_SECONDS = 60.0
POST_KEEPALIVE_SECONDS = 4.0
"""Shorter than what receivers' servers usually do, for a POST on a connection that is just being closed fails."""
MOST_TOKENS = 64
"""Of those that providers' commands printed, the latest stay out of the log."""


Load: TypeAlias = Callable[[], Loaded | Rejected]


class Daemon:
    """The parts, put together. Use `running()`; nothing works before it entered or after it left."""

    def __init__(
        self, settings: Settings, load: Load, store: SqlStore, listener: Listener | None, manager: ServiceManager
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
        self._clock = SystemClock()
        self.crew, self._poll_crew = AsyncioCrew(), AsyncioCrew()
        self.metrics = Metrics(__version__, self._clock.monotonic)
        self.scheduler = Scheduler(clock=self._clock, crew=self.crew)
        self._callable = settings.webhooks.allow_networks
        self._poll_http = Http(guard=None, keepalive=POLL_KEEPALIVE_SECONDS)
        self._post_http = Http(guard=lambda: self._callable, keepalive=POST_KEEPALIVE_SECONDS)
        self._tokens: Mapping[Caller, str] = {}
        self._printed = deque[str](maxlen=MOST_TOKENS)
        self._links: Links | None = None
        self._book = wiring.ProviderBook(self._poll_http, self._clock, self._learn_token)
        self._build_services(settings)
        self.health = Health(store, self.scheduler, self.poller, self.dispatcher, self._clock)
        self.board = StatusBoard(store, self.health, self.dispatcher, self.metrics, self._clock)

    def _build_services(self, settings: Settings) -> None:
        sender, chance = self._sender(settings), SystemChance()
        self.endpoints = Endpoints(
            usual=wiring.usual_receiver(settings),
            store=self._store,
            guard=sender,
            clock=self._clock,
            chance=chance,
            tell=self._readdress,
        )
        self.inquiries = Inquiries(self._channel, crew=self.crew, clock=self._clock)
        self.dispatcher = self._build_dispatcher(settings, sender, chance)
        self.archiving = self._build_archiving(settings, chance)
        self.poller = self._build_poller(chance)
        self.registrar = Registrar(
            store=self._store,
            poller=self.poller,
            guard=sender,
            clock=self._clock,
            chance=chance,
            announce=self.archiving.archivist.announce,
            accept=self.archiving.archivist.accept,
        )

    def _build_dispatcher(self, settings: Settings, sender: WebhookSender, chance: Chance) -> Dispatcher:
        return Dispatcher(
            wiring.dispatch_policy(settings, self.endpoints.receivers),
            store=self._store,
            refresher=Refresher(store=self._store, ask=self.inquiries.ask, clock=self._clock),
            sender=sender,
            guard=sender,
            alarms=self.scheduler,
            crew=self.crew,
            clock=self._clock,
            chance=chance,
            meter=self.metrics,
            user_agent=wiring.USER_AGENT,
        )

    def _build_archiving(self, settings: Settings, chance: Chance) -> Archiving:
        return Archiving(
            settings,
            store=self._store,
            clock=self._clock,
            chance=chance,
            meter=self.metrics,
            guard=lambda: self._callable,
            homes=self._book.home,
            ask=self.inquiries.ask,
            owe=self.dispatcher.owe,
            accept=self.dispatcher.accept,
        )

    def _channel(self, provider: str) -> Channel | None:
        return self.poller.channel(provider)

    def _build_poller(self, chance: Chance) -> Poller:
        return Poller(
            store=self._store,
            timetable=self.scheduler,
            crew=self._poll_crew,
            clock=self._clock,
            chance=chance,
            meter=self.metrics,
            archivist=self.archiving.archivist,
            rhythms=Rhythms(self._store, chance=chance),
        )

    def _sender(self, settings: Settings) -> WebhookSender:
        return WebhookSender(self._post_http, timeout=settings.webhooks.timeout, clock=self._clock)

    # Start

    async def start(self) -> None:
        """Take up the store's work, then the file's. After this polls run and deliveries go out."""
        await self.endpoints.load()
        self._configure(self.settings)
        self.metrics.providers(self.settings.providers)
        self.scheduler.start(self.poller.due, self.dispatcher.due)
        await self.dispatcher.start()  # first: what the poller finds ended must not be mistaken for an older delivery
        await self.archiving.start(self.settings, self.scheduler)
        await self.poller.start()
        await self._declare(self.settings)
        self.scheduler.resume()
        self.board.reloaded(ok=True)
        self.scheduler.every("deadlines", EXPIRE_EVERY_SECONDS, self.poller.expire)
        shortest, longest = CLEAN_EVERY_SECONDS
        period = min(max(self.settings.store.retention / 10, shortest), longest)
        self.scheduler.every("retention", period, self._clean)

    def _configure(self, settings: Settings) -> None:
        sender = self._sender(settings)
        self._callable = settings.webhooks.allow_networks
        self._tokens, self._links = wiring.tokens(settings), wiring.links(settings)
        self.endpoints.configure(wiring.declared_endpoints(settings), wiring.usual_receiver(settings), sender)
        self.registrar.configure(wiring.watch_rules(settings), sender)
        self.poller.configure(self._book.providers(settings))
        self.dispatcher.configure(wiring.dispatch_policy(settings, self.endpoints.receivers), sender, sender)

    def _learn_token(self, token: str) -> None:
        """A provider's command printed it: no log line may hold it either."""
        self._printed.append(token)
        self._hide()

    def _hide(self) -> None:
        logs.hide([*self.endpoints.secrets(), *self._printed])

    def _readdress(self, receivers: Receivers) -> None:
        self._hide()
        self.dispatcher.readdress(receivers)

    async def _declare(self, settings: Settings) -> Declared:
        declared = await self.registrar.declare(wiring.declared_watches(settings))
        log.info(
            "watches.declared", added=len(declared.added), changed=declared.changed, cancelled=declared.cancelled
        )
        return declared

    async def _clean(self) -> None:
        await clean(self._store, self._clock, self.settings)

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
        if (wrong := self.archiving.check(settings)) is not None:
            return self._refuse((wrong,))
        self.registrar.configure(wiring.watch_rules(settings), self._sender(settings))
        try:
            declared = await self._declare(settings)  # the one step that can fail comes before all others
        except BaseException as error:
            self.registrar.configure(wiring.watch_rules(old), self._sender(old))
            self._refuse((f"the declared watches cannot be stored: {error}",))
            raise
        self.settings = settings
        configure_logs(settings)
        self._configure(settings)
        await self.archiving.apply(settings)
        with contextlib.suppress(StoreUnavailableError):  # intervals follow at the next reload or start
            await self.poller.refresh()
        self.metrics.providers(settings.providers.keys() - old.providers.keys())
        self.board.reloaded(ok=True)
        log.info("config.reloaded", needs_restart=restart or None)
        return Reloaded(len(declared.added), declared.changed, declared.cancelled, restart)

    # What the intake shows

    def api_parts(self) -> ApiParts:
        return ApiParts(
            registrar=self.registrar,
            endpoints=self.endpoints,
            dispatcher=self.dispatcher,
            poller=self.poller,
            timetable=self.scheduler,
            catalog=self.catalog,
            clock=self._clock,
            tokens=lambda: self._tokens,
            hosts=self._hosts,
            usual_interval=self._usual_interval,
            reload=self.reload,
            readiness=lambda: self.board.readiness(stopping=self._stopping),
            status=lambda: self.board.status(stopping=self._stopping),
            render_metrics=lambda: self.board.render_metrics(stopping=self._stopping),
            public_keys=self.endpoints.public_keys,
            archive=lambda: self.archiving.archive,
            links=lambda: self._links,
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
        self._stopping = True
        self.scheduler.stop()
        self.poller.close()
        self.dispatcher.close()
        self.inquiries.close()
        await self.archiving.stop()
        await self._poll_crew.drain(POLLS_FINISH_SECONDS)
        cut_off = await self.crew.drain(ATTEMPTS_FINISH_SECONDS)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.gather(self.poller.flush(), self.dispatcher.flush())
        except (StoreUnavailableError, TimeoutError) as error:
            hint = "what was not saved is learned or attempted again"
            log.error("store.unsaved", error=str(error) or "the store takes too long", hint=hint)
        await self.archiving.close()
        await self._poll_http.aclose()
        await self._post_http.aclose()
        log.info("daemon.stopped", cut_off=cut_off or None)


def configure_logs(settings: Settings) -> None:
    secrets = wiring.secret_values(settings)
    logs.configure(level=settings.log.level, log_format=settings.log.format, secrets=secrets)
