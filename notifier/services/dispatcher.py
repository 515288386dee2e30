"""Deliveries: whose turn it is. A receiver holds up nobody else."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from notifier.domain.address import Refusal
from notifier.domain.delivery import MAX_DEFERRAL_SECONDS, Attempt, Delivery, RetrySchedule
from notifier.domain.event import Event, TaskEvent, announce, event_type
from notifier.domain.freshness import Freshness
from notifier.domain.lanes import Lanes, limits_of
from notifier.domain.link import Links, WatchLinks
from notifier.domain.receiver import Receivers
from notifier.domain.task import Task
from notifier.domain.watch import Watch
from notifier.ports import (
    ALWAYS,
    Alarms,
    AttemptMeter,
    Chance,
    Clock,
    Crew,
    DeliveryStore,
    Guard,
    Sender,
    Tenure,
    Waiting,
)
from notifier.services.attempts import Attempts
from notifier.services.circuits import Circuits, OpenCircuit
from notifier.services.courier import Courier
from notifier.services.custody import EVERYTHING, Custodian, Custody, Vacancy
from notifier.services.ledger import Ledger
from notifier.services.refresher import Refresher
from notifier.services.tray import Tray
from notifier.services.trials import Crowded, Trials
from notifier.services.turns import AGAIN_SECONDS, Turns
from notifier.services.wakeup import WakeUp

log = structlog.get_logger()

STUCK_SECONDS = 5.0
PORTION = 500
CLAIMED_WAIT = timedelta(seconds=2.0)
"""What others gave up is claimed a little before it is due: nobody waits longer, whatever the clocks say."""


@dataclass(frozen=True, slots=True)
class DispatchPolicy:
    """What a reload can change: who signs with what, when to retry, how many attempts at once, which links lead to
    saved files, and which result URLs and links are too old to be sent."""

    receivers: Receivers
    schedule: RetrySchedule
    concurrency: int
    per_host: int
    links: Links | None = None
    freshness: Freshness | None = None


class Dispatcher:
    """With a `custody`, only what this node keeps is attempted, and only while its `tenure` holds."""

    def __init__(
        self,
        policy: DispatchPolicy,
        *,
        store: DeliveryStore,
        refresher: Refresher,
        sender: Sender,
        guard: Guard,
        alarms: Alarms,
        crew: Crew,
        clock: Clock,
        chance: Chance,
        meter: AttemptMeter,
        user_agent: str,
        tenure: Tenure = ALWAYS,
        custody: Custody | None = None,
    ) -> None:
        self._policy = policy
        self._store = store
        self._guard = guard
        self._alarms = alarms
        self._crew = crew
        self._clock, self._chance = clock, chance
        self._meter = meter
        self._courier = Courier(policy.receivers, sender=sender, clock=clock, meter=meter, user_agent=user_agent)
        limits = limits_of(policy.receivers)
        self._lanes = Lanes[str](concurrency=policy.concurrency, per_host=policy.per_host, limits=limits)
        self._circuits = Circuits(self._lanes, clock=clock, chance=chance)
        self._tenure = tenure
        self._shared = custody
        self._custody: Custodian = custody or EVERYTHING
        self._tray = Tray(store=store, custody=self._custody, alarms=alarms, clock=clock)
        self._refresher = refresher
        refresher.freshness, refresher.links = policy.freshness, policy.links
        self._ledger = Ledger(store=store, custody=self._custody, alarms=alarms, crew=crew, clock=clock)
        self._attempts = Attempts(self._courier, self._lanes, self._circuits, clock=clock, chance=chance)
        self._turns = self._build_turns()
        self._trials = Trials(self._courier, self._attempts, clock=clock, chance=chance)
        self._wakeup = WakeUp(self._pump, crew=crew, clock=clock)
        self._closed = False

    def _build_turns(self) -> Turns:
        return Turns(
            self._lanes,
            tray=self._tray,
            attempts=self._attempts,
            refresher=self._refresher,
            ledger=self._ledger,
            custody=self._custody,
            tenure=self._tenure,
            alarms=self._alarms,
            clock=self._clock,
            pump=self._pump,
        )

    def configure(self, policy: DispatchPolicy, sender: Sender, guard: Guard) -> None:
        """Another policy from now on; attempts in flight finish under the old one."""
        self._guard, self._courier.sender = guard, sender
        self._apply(policy)

    def readdress(self, receivers: Receivers) -> None:
        """Other endpoints from now on, under the same policy."""
        self._apply(replace(self._policy, receivers=receivers))

    def _apply(self, policy: DispatchPolicy) -> None:
        self._policy, self._courier.receivers = policy, policy.receivers
        self._refresher.freshness, self._refresher.links = policy.freshness, policy.links
        self._lanes.change(
            concurrency=policy.concurrency,
            per_host=policy.per_host,
            limits=limits_of(policy.receivers),
            now=self._clock.monotonic(),
        )
        self._pump()

    async def start(self) -> None:
        """Take up every pending delivery of the store."""
        longest = timedelta(seconds=max(self._policy.schedule.longest, MAX_DEFERRAL_SECONDS))
        waiting = await self._store.waiting()
        for start in range(0, len(waiting), PORTION):
            await asyncio.sleep(0)  # a full store must not make the loop deaf
            self._expect(waiting[start : start + PORTION], longest)
        self._pump()

    def _expect(self, portion: Sequence[Waiting], longest: timedelta) -> None:
        """Nobody waits longer than that, unless the clock was wrong when it was written down."""
        now = self._clock.now()
        for waiting in portion:
            if waiting.next_attempt_at <= now:
                self._lanes.join(waiting.callback_url, waiting.id, self._clock.monotonic())
            else:
                self._alarms.ring(waiting.id, waiting.callback_url, min(waiting.next_attempt_at, now + longest))

    # What is this node's, of many

    def vacancy(self) -> Vacancy:
        """How many more deliveries this node could attempt soon."""
        if self._shared is None:
            return Vacancy(0, ())
        return self._shared.survey(self._circuits.is_open, self._policy.per_host)

    def take(self, claimed: Sequence[Waiting]) -> None:
        """These are this node's, in the store as well; those that it knows of are not disturbed."""
        new = [one for one in claimed if one.id not in self._custody]
        for one in new:
            self._custody.keep(one.id, one.callback_url)
        self._expect(new, CLAIMED_WAIT)
        self._pump()

    def under_way(self) -> Collection[str]:
        """Deliveries that this node is attempting, or whose attempts it has to save."""
        return {*self._turns.at_work, *self._ledger.unsaved}

    def disown(self) -> None:
        """Others took this node for dead: forget everything that was its own. Attempts in flight finish, and count only
        if nobody else has taken over by then."""
        self._custody.clear()
        self._tray.clear()
        self._ledger.clear()

    # What is owed

    def owe(
        self, task: Task, watch: Watch, kind: TaskEvent | None = None, event_id: str | None = None
    ) -> Event | None:
        """The event that an ended task owes to a watch, of its end or of another `kind`; None if its endpoint does not
        want that type. With `event_id` it is owed already, and its body is made anew."""
        wanted = self._policy.receivers.at(watch.callback_url).events
        if task.end is None or (event_id is None and (kind or event_type(task.end)) not in wanted):
            return None
        links = self._policy.links
        made = None if links is None else WatchLinks(links, watch.id, self._clock.now())
        return announce(task, watch, event_id or self._chance.new_id("evt_"), kind, made)

    def accept(self, owed: Sequence[Delivery]) -> None:
        """New deliveries, committed in the store: attempt them as soon as their lanes allow."""
        for delivery in owed:
            self._meter.announced(delivery.type)
        self._line_up(owed)

    def _line_up(self, owed: Sequence[Delivery]) -> None:
        now = self._clock.monotonic()
        for delivery in (one for one in owed if one.ours):
            self._custody.keep(delivery.id, delivery.callback_url)
            joined = self._lanes.join(delivery.callback_url, delivery.id, now)
            held = self._circuits.is_open(delivery.callback_url)
            if joined and not held:  # the others are read again when it is their turn
                self._tray.keep(delivery)
        self._pump()

    def due(self, delivery_id: str, url: str) -> None:
        """A delivery's time has come: stand in its lane, or save at last an attempt that the store did not take."""
        if self._ledger.due(delivery_id) or self._closed or delivery_id not in self._custody:
            return
        if self._lanes.join(url, delivery_id, self._clock.monotonic()):
            self._pump()

    async def redeliver(self, delivery_id: str, *, by: str | None = None) -> bool:
        """Send the same event once more, with a fresh schedule; False if it is pending or unknown. If its URL's circuit
        is open, the next probe comes at once. `by` names who asked, for the log."""
        delivery = await self._store.redeliver(delivery_id, self._clock.now())
        if delivery is None:
            return False
        log.info("delivery.redelivered", event_id=delivery.id, watch_id=delivery.watch_id, by=by)
        self._circuits.probe(delivery.callback_url)
        self._line_up([delivery])
        return True

    def circuit(self, url: str) -> OpenCircuit | None:
        """Why the deliveries to this URL wait; None: they do not."""
        return self._circuits.at(url)

    @property
    def open_circuits(self) -> int:
        return self._circuits.open

    # One turn

    def _pump(self) -> None:
        """Start whoever may go now, and come back when the next one may."""
        if self._closed:
            return
        if not self._tenure.holds():
            self._wakeup.by(self._clock.monotonic() + AGAIN_SECONDS)
            return
        while (taken := self._lanes.take(self._clock.monotonic())) is not None:
            self._crew.spawn(self._turns.go(*taken, self._policy.schedule))
        self._wakeup.by(self._lanes.wake_at())

    async def test(self, url: str) -> Attempt | Refusal | Crowded:
        """Try a receiver out with one `notifier.test` event, which is sent once and not kept."""
        refusal = await self._guard.check(url)
        if refusal is not None:
            return refusal
        tried = await self._trials.run(url, per_host=self._policy.per_host)
        self._pump()
        return tried

    # Readiness, and the stop

    def stuck(self) -> bool:
        """Deliveries are due, nothing is being attempted, and that has been so for a while: a fault of ours."""
        oldest = self._lanes.oldest()
        if oldest is None or self._lanes.busy or not self._tenure.holds():
            return False
        return self._clock.monotonic() - oldest > STUCK_SECONDS

    def close(self) -> None:
        """Start no more attempts; those in flight finish."""
        self._closed = True
        self._wakeup.stop()

    async def flush(self) -> None:
        """At the stop: one more try to save attempts that the store did not take."""
        await self._ledger.flush()
