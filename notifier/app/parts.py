"""The services over their adapters, put together, and what of the settings each of them is told."""

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from notifier import __version__, logs
from notifier.adapters.api import Caller
from notifier.adapters.clock import SystemChance, SystemClock
from notifier.adapters.crew import AsyncioCrew
from notifier.adapters.http import Http
from notifier.adapters.metrics import Metrics
from notifier.adapters.scheduler import Scheduler
from notifier.adapters.stores.store import SqlStore
from notifier.adapters.webhook import WebhookSender
from notifier.app import wiring
from notifier.app.archiving import Archiving
from notifier.app.nodes import NodeBoard
from notifier.config import Settings
from notifier.domain.link import Links
from notifier.domain.receiver import Receivers
from notifier.ports import ALWAYS, Tenure
from notifier.services.channel import Channel
from notifier.services.dispatcher import Dispatcher
from notifier.services.endpoints import Endpoints
from notifier.services.inquiries import Inquiries
from notifier.services.poller import Poller
from notifier.services.refresher import Refresher
from notifier.services.registrar import Registrar
from notifier.services.rhythms import Rhythms

if TYPE_CHECKING:  # its libraries take memory and time, and few need them
    from notifier.app.cluster import Cluster

POLL_KEEPALIVE_SECONDS = 60.0
POST_KEEPALIVE_SECONDS = 4.0
"""Shorter than what receivers' servers usually do, for a POST on a connection that is just being closed fails."""
MOST_TOKENS = 64
"""Of those that providers' commands printed, the latest stay out of the log."""


class Parts:
    """Nothing of them is at work yet: `Daemon` starts and stops them. With a `cluster` others share the store."""

    def __init__(self, settings: Settings, store: SqlStore, cluster: "Cluster | None" = None) -> None:
        self._store = store
        self.cluster = cluster
        self._tenure: Tenure = ALWAYS if cluster is None else cluster.tenure
        self.clock, self._chance = SystemClock(), SystemChance()
        self.crew, self.poll_crew = AsyncioCrew(), AsyncioCrew()
        self.metrics = Metrics(__version__, self.clock.monotonic)
        self.scheduler = Scheduler(clock=self.clock, crew=self.crew)
        self._callable = settings.webhooks.allow_networks
        self.poll_http = Http(guard=None, keepalive=POLL_KEEPALIVE_SECONDS)
        self.post_http = Http(guard=lambda: self._callable, keepalive=POST_KEEPALIVE_SECONDS)
        self.tokens: Mapping[Caller, str] = {}
        self._printed = deque[str](maxlen=MOST_TOKENS)
        self.links: Links | None = None
        self._book = wiring.ProviderBook(self.poll_http, self.clock, self._learn_token)
        self._build_services(settings)

    def _build_services(self, settings: Settings) -> None:
        sender = self.sender(settings)
        self.endpoints = Endpoints(
            usual=wiring.usual_receiver(settings),
            store=self._store,
            guard=sender,
            clock=self.clock,
            chance=self._chance,
            tell=self._readdress,
        )
        self.inquiries = Inquiries(self._channel, crew=self.crew, clock=self.clock)
        self.dispatcher = self._build_dispatcher(settings, sender)
        self.archiving = self._build_archiving(settings)
        self.poller = self._build_poller()
        self.registrar = Registrar(
            store=self._store,
            poller=self.poller,
            guard=sender,
            clock=self.clock,
            chance=self._chance,
            announce=self.archiving.archivist.announce,
            accept=self.archiving.archivist.accept,
        )

    def _build_dispatcher(self, settings: Settings, sender: WebhookSender) -> Dispatcher:
        return Dispatcher(
            wiring.dispatch_policy(settings, self.endpoints.receivers),
            store=self._store,
            refresher=Refresher(store=self._store, ask=self.inquiries.ask, clock=self.clock),
            sender=sender,
            guard=sender,
            alarms=self.scheduler,
            crew=self.crew,
            clock=self.clock,
            chance=self._chance,
            meter=self.metrics,
            user_agent=wiring.USER_AGENT,
            tenure=self._tenure,
            custody=None if self.cluster is None else self.cluster.custody,
        )

    def _build_archiving(self, settings: Settings) -> Archiving:
        return Archiving(
            settings,
            store=self._store,
            clock=self.clock,
            chance=self._chance,
            meter=self.metrics,
            guard=lambda: self._callable,
            homes=self._book.home,
            ask=self.inquiries.ask,
            owe=self.dispatcher.owe,
            accept=self.dispatcher.accept,
            shared=self.cluster is not None,
            leads=self.leads,
        )

    def _channel(self, provider: str) -> Channel | None:
        return self.poller.channel(provider)

    def _build_poller(self) -> Poller:
        return Poller(
            store=self._store,
            timetable=self.scheduler,
            crew=self.poll_crew,
            clock=self.clock,
            chance=self._chance,
            meter=self.metrics,
            archivist=self.archiving.archivist,
            rhythms=Rhythms(self._store, chance=self._chance),
            tenure=self._tenure,
            shared=self.cluster is not None,
        )

    def board(self, node: str) -> NodeBoard | None:
        """What people are shown of the nodes that share the store; None: nobody does. `node` is this one's name."""
        if self.cluster is None:
            return None
        return self.cluster.build(
            node,
            poller=self.poller,
            dispatcher=self.dispatcher,
            archivist=self.archiving.archivist,
            endpoints=self.endpoints,
            metrics=self.metrics,
            clock=self.clock,
            chance=self._chance,
        )

    def leads(self) -> bool:
        """Whether this node does what one of all has to do: the one that polls the first shard's tasks."""
        return self.poller.owned is None or 0 in self.poller.owned

    def sender(self, settings: Settings) -> WebhookSender:
        return WebhookSender(self.post_http, timeout=settings.webhooks.timeout, clock=self.clock)

    # What a reload changes

    def configure(self, settings: Settings) -> None:
        """These settings from now on, but for the archive's, which take a while: `archiving.apply` does."""
        sender = self.sender(settings)
        self._callable = settings.webhooks.allow_networks
        self.tokens, self.links = wiring.tokens(settings), wiring.links(settings)
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
