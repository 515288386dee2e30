"""Save what completed tasks made before its URLs expire, and tell of it.

A task is saved once, however many watches it has. What is to be saved is in the store; memory holds the keys of tasks.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

import structlog

from notifier.domain.delivery import Delivery
from notifier.domain.event import Event, TaskEvent
from notifier.domain.pace import Line
from notifier.domain.result_file import ResultFile
from notifier.domain.saving import (
    changed_files,
    due_now,
    news_of,
    next_due,
    pending,
    planned,
    seconds_until_try,
    switched_off,
    until_next_try,
    with_file,
)
from notifier.domain.shard import shard_of
from notifier.domain.sleepers import Sleepers
from notifier.domain.task import Task
from notifier.domain.watch import Watch
from notifier.ports import (
    Archive,
    Chance,
    Clock,
    Crew,
    FileMeter,
    LeaseLostError,
    ResultStore,
    StoreUnavailableError,
    Unsettled,
)
from notifier.services.holds import Holds
from notifier.services.inquiries import Ask
from notifier.services.storehouse import Storehouse
from notifier.services.tidings import tell, tell_switched_off
from notifier.services.tries import SavingPolicy, Tries
from notifier.services.wakeup import WakeUp

log = structlog.get_logger()

STORE_AGAIN_SECONDS = 1.0
AFTER_FAULT_SECONDS = 60.0
HELD_WHILE_OFF_SECONDS = 60.0
"""Whoever was held when archiving was switched off is released with its files; this is for what has none."""
PORTION = 500
SWITCHED_OFF_AT_ONCE = 16
"""Tasks that are told at the same time that there is no archive any more: only the store has to take that."""

Owe: TypeAlias = Callable[[Task, Watch, TaskEvent | None, str | None], Event | None]


class Archivist:
    """`ask` asks a task's provider once more, `owe` makes the event of an ended task for a watch, `accept` takes over
    deliveries that are to be attempted."""

    def __init__(
        self,
        *,
        store: ResultStore,
        crew: Crew,
        clock: Clock,
        chance: Chance,
        meter: FileMeter,
        ask: Ask,
        owe: Owe,
        accept: Callable[[Sequence[Delivery]], None],
        shared: bool = False,
    ) -> None:
        self._store = store
        self._crew = crew
        self._clock = clock
        self._owe = owe
        self._accept = accept
        self._policy: SavingPolicy | None = None
        self._line = Line[int](concurrency=1)
        self._asleep = Sleepers[int]()
        self._impatient = set[int]()
        self._recalled = set[int]()
        self._wakeup = WakeUp(self._pump, crew=crew, clock=clock)
        self._holds = Holds(store=store, crew=crew, clock=clock, retell=self._retell, accept=accept)
        self._storehouse = Storehouse(self._line, clock=clock, chance=chance)
        self._tries = Tries(self._storehouse, ask=ask, in_use=self._in_use, clock=clock, chance=chance, meter=meter)
        self._owned: set[int] | None = set() if shared else None
        self._taken = True
        self._closed = False

    def configure(self, policy: SavingPolicy | None) -> None:
        """Save by this policy from now on, or (None) not at all; tries in flight finish under the old one."""
        before, self._policy = self._policy, policy
        self._line.concurrency = SWITCHED_OFF_AT_ONCE if policy is None else policy.concurrency
        if policy is None or (before is not None and before.archive is not policy.archive):
            self._begin_anew()
        self._pump()

    def _begin_anew(self) -> None:
        """Another archive, or none: what the old one refused says nothing of it, and nobody waits for the old one."""
        self._storehouse.forget()
        for key in list(self._asleep.due(float("inf"))):
            self._impatient.add(key)
            self._line.join(key, self._clock.monotonic())

    async def start(self) -> None:
        """Take up what the store says is to be saved, or held; where many nodes do, only what is adopted later."""
        if self._owned is None:
            await self._take_up(await self._store.unsettled())

    async def adopt(self, shards: Collection[int]) -> None:
        """The files of these shards' tasks, and what is held for them, are this node's from now on."""
        if self._owned is not None:
            self._owned.update(shards)  # first, for ends may come while the store is read
            await self._take_up(await self._store.unsettled(shards))

    async def disown(self, shards: Collection[int], *, save: bool) -> None:
        """They are another node's, which begins anew. What is under way here counts no more, and ends by itself."""
        if self._owned is not None:
            self._owned.difference_update(shards)

    async def reread(self) -> None:
        """Find what other nodes owed to watches of this node's tasks, and held for their files."""
        if self._owned:
            unsettled = await self._store.unsettled(frozenset(self._owned))
            new = {key: at for key, at in unsettled.tasks.items() if key not in self._asleep}
            await self._take_up(replace(unsettled, tasks=new))

    async def unwatched(self, keys: Collection[int]) -> None:
        """Others did something with these tasks, which are not polled. Who registers a watch of one whose files are
        being saved holds its event, and only this node can release that in time."""
        if any(key in self._asleep or self._line.waits(key) or self._line.is_busy(key) for key in keys):
            await self.reread()

    async def _take_up(self, unsettled: Unsettled) -> None:
        now = self._clock.now()
        for number, (key, at) in enumerate(unsettled.tasks.items()):
            if number % PORTION == 0:
                await asyncio.sleep(0)  # a full store must not make the loop deaf
            seconds = 0.0 if self._policy is None else seconds_until_try(at, now)
            self._asleep.put(key, self._clock.monotonic() + seconds)
        for held in unsettled.held:
            self._holds.hold(held.id, held.next_attempt_at, self._longest_hold())
        self._pump()

    # What ended tasks owe

    def plan(self, task: Task) -> Task:
        """The task with the files that are to be saved of its end."""
        return task if self._policy is None else planned(task)

    def announce(self, task: Task, watch: Watch) -> Event | None:
        """The event that an ended task owes to a watch, held for its files if they are to come along."""
        event, policy = self._owe(task, watch, None, None), self._policy
        if event is None or task.end is None or policy is None or policy.hold is None or not pending(task):
            return event
        return replace(event, held_until=task.end.at + timedelta(seconds=policy.hold))

    def _retell(self, task: Task, watch: Watch, held: str | None) -> Event | None:
        kind = None if held is not None or task.end is None else news_of(task.end)
        return self._owe(task, watch, kind, held)

    def accept(self, owed: Sequence[Delivery]) -> None:
        """New deliveries, committed in the store: hold what is held, pass on the rest."""
        self._holds.accept(owed, self._longest_hold())

    def follow(self, task: Task) -> None:
        """The end of this task was committed in the store: save its files."""
        if pending(task) and self._line.join(task.key, self._clock.monotonic()):
            self._pump()

    def _longest_hold(self) -> float:
        policy = self._policy
        return HELD_WHILE_OFF_SECONDS if policy is None or policy.hold is None else policy.hold

    # Saving

    def _pump(self) -> None:
        """Start whoever may go now, and come back when the next one may."""
        if self._closed:
            return
        now = self._clock.monotonic()
        for key in self._asleep.due(now):
            if not self._line.join(key, now) and self._line.is_busy(key):
                self._recalled.add(key)  # its turn may be one under a lease that was lost since
        while (turn := self._line.take(now)) is not None:
            self._crew.spawn(self._take_turn(turn.key))
        self._wakeup.by(self._line.wake_at(now))
        self._wakeup.by(self._asleep.next_at())

    async def _take_turn(self, key: int) -> None:
        again: float | None = AFTER_FAULT_SECONDS
        try:
            again = await self._visit(key)
        finally:
            self._line.leave(key)
            if key in self._recalled:
                self._recalled.remove(key)
                self._line.join(key, self._clock.monotonic())
            elif again is not None:
                self._asleep.put(key, self._clock.monotonic() + again)
            self._pump()

    async def _visit(self, key: int) -> float | None:
        """Try what is due of one task's files; the answer is in how many seconds to come again, None: never."""
        if self._owned is not None and shard_of(key) not in self._owned:
            return None
        try:
            task = await self._store.result(key)
        except StoreUnavailableError as error:
            self._untaken("result.unread", error)
            return STORE_AGAIN_SECONDS
        if task is not None and key in self._impatient:
            task = due_now(task, self._clock.now())
        self._impatient.discard(key)
        while task is not None and (left := pending(task)):
            now, policy = self._clock.now(), self._policy
            if policy is None:
                tell_switched_off(task, len(left))
                task = await self._keep(task, switched_off(task))
            elif (file := next_due(task, now)) is not None:
                task = await self._try(policy, task, file)
            else:
                return min(until_next_try(file, now) for file in left)
        return None

    async def _try(self, policy: SavingPolicy, task: Task, file: ResultFile) -> Task | None:
        started = self._clock.monotonic()
        tried, after = await self._tries.make(policy, task, file)
        kept = await self._keep(task, with_file(tried, after))
        if kept is not None:
            tell(kept, after, self._clock.monotonic() - started)
        return kept

    def _in_use(self, archive: Archive) -> bool:
        """A reload may have named another one since."""
        return self._policy is not None and self._policy.archive is archive

    async def _keep(self, known: Task, task: Task) -> Task | None:
        """Write down what changed of a task. What was downloaded is not thrown away because the store is down: it is
        kept until it is written down. None: the task is another node's, which does all this anew."""
        changed = changed_files(known, task)
        while True:
            try:
                owed = await self._store.keep(task, changed, self._clock.now(), self._retell)
                break
            except LeaseLostError:
                return None
            except StoreUnavailableError as error:
                self._untaken("result.unkept", error)
            await self._rest(STORE_AGAIN_SECONDS)
        self._taken = True
        self._holds.released(owed)
        self._accept(owed)
        return task

    async def _rest(self, seconds: float) -> None:
        over = asyncio.Event()
        self._crew.later(seconds, over.set)
        await over.wait()

    def _untaken(self, what: str, error: StoreUnavailableError) -> None:
        say = log.error if self._taken else log.debug  # once for an outage
        self._taken = False
        say(what, error=str(error))

    # The stop

    def close(self) -> None:
        """Start no more tries; those in flight may be cancelled, and begin anew after the start."""
        self._closed = True
        self._wakeup.stop()
        self._holds.close()
