"""A whole daemon's services over fakes: what a test of a service starts from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from notifier.domain.answer import Answer
from notifier.domain.delivery import Delivery, RetrySchedule
from notifier.domain.freshness import Freshness
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.shard import SHARDS
from notifier.domain.signature import HmacKey
from notifier.domain.task import Task
from notifier.ports import ALWAYS, Registered, Tenure
from notifier.services.archivist import Archivist
from notifier.services.channel import Channel, PollLimits
from notifier.services.custody import Custody
from notifier.services.dispatcher import Dispatcher, DispatchPolicy
from notifier.services.endpoints import Endpoints
from notifier.services.inquiries import Inquiries
from notifier.services.poller import Poller
from notifier.services.refresher import Refresher
from notifier.services.registrar import Registrar, WatchRequest, WatchRules
from notifier.services.rhythms import Rhythms
from notifier.services.tries import SavingPolicy
from tests.fake_peers import FakeArchive, FakeGuard, FakeProvider, FakeSender
from tests.fake_store import FakeStore
from tests.fakes import FakeAlarms, FakeChance, FakeClock, FakeCrew, FakeMeter, FakeTimetable

HOOK = "https://app.example.com/hooks/video"
KEY = HmacKey(b"k" * 32)
LIMITS = PollLimits(interval=30.0, rate=10.0, concurrency=32, not_found_grace=120.0)
RULES = WatchRules(interval=30.0, min_interval=5.0, deadline=86_400.0)
POLICY = DispatchPolicy(
    Receivers(Receiver((KEY,))),
    RetrySchedule((5.0, 30.0, 120.0)),
    concurrency=256,
    per_host=8,
    freshness=Freshness(None, margin=15.0),
)


@dataclass
class World:
    """`limits` and `policy` are what the services begin with; everything else can be reached and told what to do."""

    limits: PollLimits = LIMITS
    policy: DispatchPolicy = POLICY
    store: FakeStore = field(default_factory=FakeStore)
    clock: FakeClock = field(default_factory=FakeClock)
    chance: FakeChance = field(default_factory=FakeChance)
    guard: FakeGuard = field(default_factory=FakeGuard)
    meter: FakeMeter = field(default_factory=FakeMeter)
    saving: SavingPolicy | None = None
    tenure: Tenure = ALWAYS
    custody: Custody | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        self.crew = FakeCrew(self.clock)
        self.timetable = FakeTimetable(self.crew, self.clock)
        self.alarms = FakeAlarms(self.crew, self.clock)
        self.provider = FakeProvider(self.crew, self.clock)
        self.sender = FakeSender(self.crew, self.clock)
        self.files = FakeArchive(self.crew)
        self.build()

    def build(self) -> None:
        """New services over the same world and store, as after a restart; nothing of the old ones is left."""
        self.timetable.clear()
        self.alarms.clear()
        self.inquiries = Inquiries(self.channel, crew=self.crew, clock=self.clock)
        self.dispatcher = Dispatcher(
            self.policy,
            store=self.store,
            refresher=Refresher(store=self.store, ask=self.inquiries.ask, clock=self.clock),
            sender=self.sender,
            guard=self.guard,
            alarms=self.alarms,
            crew=self.crew,
            clock=self.clock,
            chance=self.chance,
            meter=self.meter,
            user_agent="notifier/1.2.3",
            tenure=self.tenure,
            custody=self.custody,
        )
        self.archivist = Archivist(
            store=self.store,
            crew=self.crew,
            clock=self.clock,
            chance=self.chance,
            meter=self.meter,
            ask=self.inquiries.ask,
            owe=self.dispatcher.owe,
            accept=self.dispatcher.accept,
            shared=self.custody is not None,
        )
        self.endpoints = Endpoints(
            usual=self.policy.receivers.usual,
            store=self.store,
            guard=self.guard,
            clock=self.clock,
            chance=self.chance,
            tell=self.dispatcher.readdress,
        )
        self.poller = Poller(
            store=self.store,
            timetable=self.timetable,
            crew=self.crew,
            clock=self.clock,
            chance=self.chance,
            meter=self.meter,
            archivist=self.archivist,
            rhythms=Rhythms(self.store, chance=self.chance),
            tenure=self.tenure,
            shared=self.shared,
        )
        if self.shared:  # with nobody, as far as tasks go
            self.poller.owned.update(range(SHARDS))
        self.registrar = Registrar(
            store=self.store,
            poller=self.poller,
            guard=self.guard,
            clock=self.clock,
            chance=self.chance,
            announce=self.archivist.announce,
            accept=self.archivist.accept,
        )
        self.timetable.on_due = self.poller.due
        self.alarms.on_due = self.dispatcher.due
        self.configure(videos=self.limits)
        self.archivist.configure(self.saving)

    def channel(self, provider: str) -> Channel | None:
        return self.poller.channel(provider)

    def configure(self, **limits: PollLimits) -> None:
        """These providers from now on, all of them behind the one fake provider."""
        self.poller.configure({name: (self.provider, one) for name, one in limits.items()})
        rules = {name: replace(RULES, interval=one.interval) for name, one in limits.items()}
        self.registrar.configure(rules, self.guard)

    def archive(self, **changes: Any) -> None:
        """Save results from now on, by a policy with these changes."""
        plain = self.saving or SavingPolicy(self.files, concurrency=4, hold=600.0, deadline=86_400.0)
        self.saving = replace(plain, **changes)
        self.archivist.configure(self.saving)

    def apply(self, **changes: Any) -> None:
        """Another dispatch policy from now on (a reload)."""
        self.policy = replace(self.policy, **changes)
        self.dispatcher.configure(self.policy, self.sender, self.guard)

    async def watch(self, task_id: str = "vid_1", url: str = HOOK, **more: Any) -> Registered:
        """Register one watch and let its first poll happen."""
        result = await self.accept(task_id, url, **more)
        await self.crew.run()
        return result

    async def accept(self, task_id: str = "vid_1", url: str = HOOK, **more: Any) -> Registered:
        """Register one watch; nothing else happens yet."""
        (result,) = await self.registrar.register([WatchRequest(task_id, url, **more)])
        assert isinstance(result, Registered), result
        return result

    async def told(self, task_id: str, *answers: Answer) -> None:
        """Watch a task whose polls give these answers, up to the first of them."""
        self.provider.script(task_id, *answers)
        await self.watch(task_id)

    async def owed(self, url: str = HOOK, *, number: int = 1) -> Delivery:
        """A pending delivery to `url`, stored and not yet accepted."""
        delivery = Delivery(f"evt_0{number}", "wch_1", "task.completed", url, b'{"a":1}', self.clock.now())
        delivery = replace(delivery, next_attempt_at=self.clock.now())
        self.store.deliveries[delivery.id] = delivery
        return delivery

    async def passes(self, seconds: float, *, step: float = 0.5) -> None:
        """Time passes, and deadlines are looked at about twice a second, as the daemon does."""
        for _ in range(round(seconds / step)):
            await self.crew.advance(step)
            await self.poller.expire()
        await self.crew.run()

    def delivery(self, delivery_id: str = "evt_1") -> Delivery:
        return self.store.deliveries[delivery_id]

    def task(self, key: int = 1) -> Task:
        """The task as the poller knows it."""
        task = self.poller.task(key)
        assert task is not None, "it is not polled any more"
        return task

    def bodies(self) -> list[Mapping[str, Any]]:
        return [json.loads(post.body) for post in self.sender.posts]
