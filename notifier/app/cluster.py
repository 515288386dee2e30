"""A node among others, put together: its membership, and the work that only many nodes make."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from notifier import __version__
from notifier.adapters.crew import AsyncioCrew
from notifier.adapters.metrics import Metrics
from notifier.adapters.node_metrics import NodeMetrics
from notifier.adapters.scheduler import Scheduler
from notifier.adapters.stores.aside import Aside
from notifier.adapters.stores.leases import Leases
from notifier.adapters.stores.postgres import conninfo
from notifier.adapters.stores.roster import SqlRoster
from notifier.adapters.stores.shared import SharedStore
from notifier.adapters.stores.shares import SqlShares
from notifier.adapters.stores.wire import PostgresWire
from notifier.app.nodes import NodeBoard
from notifier.ports import Chance, Clock, StoreUnavailableError
from notifier.services.archivist import Archivist
from notifier.services.budget import Budget
from notifier.services.claims import Claims
from notifier.services.custody import Custody
from notifier.services.dispatcher import Dispatcher
from notifier.services.endpoints import Endpoints
from notifier.services.membership import Membership
from notifier.services.news import Newsreader
from notifier.services.poller import Poller

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 1.0
RECOVER_EVERY_SECONDS = 10.0
SAVE_SECONDS = 3.0
"""For polls in flight, and for saving what was learned of the tasks that are handed over."""
RETIRE_SECONDS = SAVE_SECONDS + 1.0
LEAVE_SECONDS = 1.0


class NodeTenure:
    """The tenure of a node whose membership is built later, over services that ask for its tenure."""

    def __init__(self) -> None:
        self.membership: Membership | None = None

    @property
    def node(self) -> str | None:
        return None if self.membership is None else self.membership.node

    def holds(self) -> bool:
        return self.membership is not None and self.membership.holds()


class Cluster:
    """Nothing of it is at work before `start()`. Beats go on until `leave()`, whatever else of the daemon stops."""

    def __init__(self, store: SharedStore, url: str) -> None:
        self.tenure, self.custody = NodeTenure(), Custody()
        self._store = store
        self._crew = AsyncioCrew()
        self._leases = Leases()
        self._aside = Aside(url)
        self._wire = PostgresWire(conninfo(url), self.tenure)
        store.share(self.tenure, self.custody.takes, self._leases)

    def build(
        self,
        name: str,
        *,
        poller: Poller,
        dispatcher: Dispatcher,
        archivist: Archivist,
        endpoints: Endpoints,
        metrics: Metrics,
        clock: Clock,
        chance: Chance,
    ) -> NodeBoard:
        """Over the services of this daemon; the answer shows the nodes to people."""
        shares, tempo = SqlShares(self._aside.moves), metrics.polls_per_second
        budget = Budget(shares=shares, poller=poller, crew=self._crew, clock=clock, tempo=tempo)
        self.membership = self.tenure.membership = Membership(
            roster=SqlRoster(self._aside.beats, self._aside.moves, self._leases),
            holders=(poller, archivist),
            name=name,
            version=__version__,
            clock=clock,
            chance=chance,
            crew=self._crew,
            report=budget.report,
            told=(budget.seen,),
            bereaved=(budget.bereaved, dispatcher.disown),
        )
        self._claims = Claims(pool=self._store, dispatcher=dispatcher, tenure=self.tenure)
        self._news = self._newsreader(poller, endpoints, archivist, clock)
        figures = NodeMetrics(metrics.registry)
        return NodeBoard(membership=self.membership, budget=budget, poller=poller, metrics=figures, clock=clock)

    def _newsreader(self, poller: Poller, endpoints: Endpoints, archivist: Archivist, clock: Clock) -> Newsreader:
        return Newsreader(
            wire=self._wire,
            store=self._store,
            follower=poller,
            rereads=(endpoints, archivist),
            gathered=self.membership.wake,
            unwatched=archivist.unwatched,
            tenure=self.tenure,
            crew=self._crew,
            clock=clock,
        )

    async def start(self, scheduler: Scheduler) -> None:
        """Join the others. StoreUnavailableError when the store cannot be reached."""
        self._news.start()
        await self.membership.start()
        scheduler.every("claims", LOOK_EVERY_SECONDS, self._claims.claim)
        scheduler.every("strays", RECOVER_EVERY_SECONDS, self._claims.recover)
        scheduler.every("news", LOOK_EVERY_SECONDS, self._news.tick)

    async def retire(self) -> None:
        """Hand over the tasks, and deliveries that wait; attempts in flight finish under the lease that goes on."""
        self._crew.spawn(self._give_up())
        await _in_time(RETIRE_SECONDS, self.membership.retire(SAVE_SECONDS))

    async def _give_up(self) -> None:
        while True:  # until all are gone
            await self._claims.give_up()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def leave(self) -> None:
        """Everything was saved that could be."""
        await _in_time(LEAVE_SECONDS, self.membership.leave())
        await self._crew.drain(0.0)
        await asyncio.gather(self._wire.close(), self._aside.close())


async def _in_time(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except (StoreUnavailableError, TimeoutError) as error:
        told = str(error) or "the store takes too long"
        log.warning("node.unreleased", error=told, hint="others take over what was this node's in ten seconds or so")
