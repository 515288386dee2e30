"""One poll: fetch, advance, save – or end the task.

The poller keeps the watched tasks in memory: a poll that changes nothing writes nothing.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from notifier.domain.answer import Answer, Missed, Running, Throttled, Unauthorized
from notifier.domain.pace import Pause, Turn
from notifier.domain.task import PHASE_SPREAD, Step, Task, advance, backoff, heeded, rest_of_interval
from notifier.domain.watch import NO_VARIABLES
from notifier.ports import (
    Chance,
    Clock,
    Crew,
    PollMeter,
    Provider,
    StoreUnavailableError,
    TaskStore,
    Timetable,
)
from notifier.services.archivist import Archivist
from notifier.services.channel import Channel, PollLimits
from notifier.services.ends import Ends
from notifier.services.rhythms import Rhythms

log = structlog.get_logger()

LAST_LOOK_SECONDS = 5.0
"""A task whose deadline passed while the daemon was down gets this long for one last poll: it may be completed."""
PORTION = 500
LATE = 0.02
"""A poll that starts later than this part of its interval has lost its phase."""


class Poller:
    def __init__(
        self,
        *,
        store: TaskStore,
        timetable: Timetable,
        crew: Crew,
        clock: Clock,
        chance: Chance,
        meter: PollMeter,
        archivist: Archivist,
        rhythms: Rhythms,
        shared: bool = False,
    ) -> None:
        self._store = store
        self._timetable = timetable
        self._crew = crew
        self._clock = clock
        self._chance = chance
        self._meter = meter
        self._rhythms = rhythms
        self._shared, self._shares = shared, dict[str, float]()  # where others poll too, nothing is ours at first
        self._channels: dict[str, Channel] = {}
        self._tasks: dict[int, Task] = {}
        self._last_looks: dict[int, datetime] = {}
        self._renewed: set[int] | None = None
        self._ends = Ends(self, store=store, timetable=timetable, clock=clock, archivist=archivist)
        self._closed = False

    # Which tasks are polled, and through which providers

    def configure(self, providers: Mapping[str, tuple[Provider, PollLimits]]) -> None:
        """These are the providers from now on; tasks of a missing one rest until it is back or their deadline."""
        self._rhythms.configure({name: limits for name, (_, limits) in providers.items()})
        for name in self._channels.keys() - providers.keys():
            self._channels.pop(name).close()
        for name, (provider, limits) in providers.items():
            if name in self._channels:
                self._channels[name].change(provider, limits)
            else:
                self._channels[name] = Channel(
                    name,
                    provider,
                    limits,
                    crew=self._crew,
                    clock=self._clock,
                    chance=self._chance,
                    meter=self._meter,
                    visit=self._visit,
                    share=self._shares.get(name, 0.0) if self._shared else None,
                )

    def rates(self) -> Mapping[str, float]:
        """Of each provider, in polls a second over all nodes."""
        return {name: channel.limits.rate for name, channel in self._channels.items()}

    def demand(self) -> Mapping[str, float]:
        """How many polls a second of each provider this node wants to make; asked in each beat."""
        return {name: channel.demand() for name, channel in self._channels.items()}

    def share(self, provider: str, rate: float) -> None:
        """What this node may take of the provider's rate from now on."""
        self._shares[provider] = rate
        if provider in self._channels:
            self._channels[provider].share(rate)

    async def start(self) -> None:
        """Follow every watched task of the store, the first polls spread out so that they are no burst; only those that
        get a last look go at once."""
        await self._rhythms.load()
        tasks = await self._load()
        counts = Counter(task.provider for task in tasks)
        now = self._clock.now()
        for number, task in enumerate(tasks):
            if number % PORTION == 0:
                await asyncio.sleep(0)  # a full store must not make the loop deaf
            if task.deadline_at <= now:
                self._last_looks[task.key] = task.deadline_at
                self.follow(replace(task, deadline_at=now + timedelta(seconds=LAST_LOOK_SECONDS)))
            else:
                window = self._window(task, counts[task.provider])
                self.follow(task, delay=window * (self._chance.spread() + 1) / 2)

    async def refresh(self) -> None:
        """After a reload: take over intervals that changed with their provider's. What was registered, changed or ended
        while the store was read is known better already."""
        self._renewed = renewed = set[int]()
        try:
            tasks = await self._load()
        finally:
            self._renewed = None
        for task in tasks:
            if task.key in self._tasks and task.key not in renewed:
                self.follow(task)

    async def _load(self) -> Sequence[Task]:
        tasks = await self._store.watched({name: channel.limits.interval for name, channel in self._channels.items()})
        orphans = Counter(task.provider for task in tasks if task.provider not in self._channels)
        for name, count in orphans.items():
            log.error("provider.missing", provider=name, tasks=count, hint=f"name {name} under providers: again")
        return tasks

    def _window(self, task: Task, tasks: int) -> float:
        """Over how many seconds first polls are spread: half the rate is left for what else is due."""
        channel = self._channels.get(task.provider)
        return task.interval if channel is None else min(task.interval, 2 * tasks / channel.limits.rate)

    def follow(self, task: Task, *, delay: float = 0.0) -> None:
        """Poll this task from now on, first in `delay` seconds; one that is followed already keeps its phase and what
        was learned, and takes over interval and deadline."""
        if self._renewed is not None:
            self._renewed.add(task.key)
        known = self._tasks.get(task.key)
        if known is None:
            self._tasks[task.key] = task
            self._timetable.repeat(task.key, task.interval, delay=delay)
        else:
            self._tasks[task.key] = renewed = known.on_terms_of(task)
            if (known.interval, known.fixed) != (task.interval, task.fixed):
                self._timetable.repeat(task.key, task.interval, delay=rest_of_interval(renewed, self._clock.now()))
        self._ends.expect(task)

    def forget(self, key: int) -> None:
        """Nobody watches this task any more."""
        task = self._tasks.pop(key, None)
        if task is not None and task.provider in self._channels:
            self._channels[task.provider].drop(key)
        self._last_looks.pop(key, None)
        self._ends.forget(key)
        self._rhythms.forget(key)
        self._timetable.drop(key)

    def task(self, key: int) -> Task | None:
        """The task as it is known now, which may be newer than the store; None if it is not polled."""
        return self._tasks.get(key)

    def channel(self, provider: str) -> Channel | None:
        return self._channels.get(provider)

    @property
    def followed(self) -> int:
        """How many tasks are polled here."""
        return len(self._tasks)

    def pauses(self) -> Mapping[str, Pause]:
        """Which providers are paused, and why."""
        return {name: channel.pause for name, channel in self._channels.items() if channel.pause is not None}

    def lag(self) -> float:
        """For how many seconds the longest waiting due task has waited for its turn."""
        return max((channel.oldest_wait() for channel in self._channels.values()), default=0.0)

    # One poll

    def due(self, key: int, late: float = 0.0) -> None:
        """The task's interval job fired, so late (seconds): stand in line, or save at last an end not stored yet."""
        task = self._tasks.get(key)
        if task is None or self._closed:
            return
        if task.end is None:
            channel = self._channels.get(task.provider)
            if channel is not None:
                channel.join(key, late)
        elif not self._ends.saving(key):
            self._crew.spawn(self._ends.save(task))

    async def _visit(self, channel: Channel, turn: Turn[int]) -> bool:
        """Poll once; True if the task should stand in line again because its provider would not talk to us."""
        task = self._tasks.get(turn.key)
        if task is None or task.end is not None:
            return False
        if self._clock.monotonic() - turn.due > LATE * task.interval:  # it waited: its phase begins anew with this poll
            self._timetable.postpone(task.key, task.interval * (1 + PHASE_SPREAD * self._chance.spread()))
        variables = {} if task.variables == NO_VARIABLES else json.loads(task.variables)
        answer = await channel.ask(task.task_id, variables, turn.due)
        task = self._tasks.get(turn.key)
        if task is None or task.end is not None:  # cancelled, expired or told while we asked
            return False
        await self._apply(channel, task, answer)
        return isinstance(answer, Throttled | Unauthorized)

    async def _apply(self, channel: Channel, task: Task, answer: Answer) -> None:
        now = self._clock.now()
        grace = channel.limits.not_found_grace
        if isinstance(answer, Missed):  # a clock set ahead must not shorten it
            grace += (now - self._clock.settled()).total_seconds()
        step = advance(task, answer, now=now, not_found_grace=grace)
        self._tasks[task.key] = step.task
        self._rhythms.note(task, step.task, now)
        channel.report(task, step.task, answer)
        if step.task.end is not None:
            await self._ends.save(step.task)
            return
        if (overdue := self._last_looks.pop(task.key, None)) is not None:  # that was the last look
            self.follow(replace(step.task, deadline_at=overdue))
        wait = self._wait(channel, step, answer, now)
        if wait is not None:
            self._timetable.postpone(task.key, wait)
        if step.changed:
            try:
                await self._store.save([step.task])
            except StoreUnavailableError as error:  # kept in memory; the next change or the stop saves it
                log.warning("task.unsaved", provider=task.provider, task_id=task.task_id, error=str(error))

    def _wait(self, channel: Channel, step: Step, answer: Answer, now: datetime) -> float | None:
        """Seconds to the task's next poll; None: its interval says it."""
        if step.back_off:
            return backoff(step.task.interval, step.task.setbacks, self._chance.spread())
        if not isinstance(answer, Running):
            return None
        due = self._rhythms.wait(step.task, answer, now)
        if due is None and answer.ask_again is not None:
            left = (step.task.deadline_at - now).total_seconds()
            return heeded(step.task, answer.ask_again, left, channel.limits.min_interval)
        return due

    # Deadlines, and the stop

    async def expire(self) -> None:
        """Abandon what has reached its deadline, whatever its provider is doing. Called about twice a second."""
        await self._ends.expire()

    def close(self) -> None:
        """Start no more polls; those in flight finish."""
        self._closed = True
        for channel in self._channels.values():
            channel.close()

    async def flush(self) -> None:
        """At the stop: save what polls learned that was not worth a write of its own, and ends not yet saved."""
        ended = [task for task in self._tasks.values() if task.end is not None]
        await asyncio.gather(*(self._ends.save(task) for task in ended))
        await self._store.save([task for task in self._tasks.values() if task.polls and task.end is None])
