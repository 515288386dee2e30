"""One poll: fetch, advance, save – or end the task.

The poller keeps the watched tasks in memory: a poll that changes nothing writes nothing.
"""

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

import structlog

from notifier.domain.answer import Answer, Missed, Running, Throttled, Unauthorized
from notifier.domain.pace import Pause, Turn
from notifier.domain.task import PHASE_SPREAD, Step, Task, advance, backoff, heeded, rest_of_interval
from notifier.domain.watch import NO_VARIABLES
from notifier.ports import (
    ALWAYS,
    Chance,
    Clock,
    Crew,
    PollMeter,
    Provider,
    StoreUnavailableError,
    TaskStore,
    Tenure,
    Timetable,
)
from notifier.services.adoption import Adoption
from notifier.services.archivist import Archivist
from notifier.services.channel import Channel, PollLimits
from notifier.services.ends import Ends
from notifier.services.rhythms import Rhythms

log = structlog.get_logger()

PORTION = 500
"""So many tasks are saved in one transaction."""
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
        tenure: Tenure = ALWAYS,
        shared: bool = False,
    ) -> None:
        self._store = store
        self._timetable = timetable
        self._crew = crew
        self._clock = clock
        self._chance = chance
        self._meter = meter
        self._rhythms = rhythms
        self._tenure = tenure
        self._shared, self._shares = shared, dict[str, float]()  # where others poll too, nothing is ours at first
        self._channels: dict[str, Channel] = {}
        self._tasks: dict[int, Task] = {}
        self._adoption = Adoption(
            self, self._channels, store=store, clock=clock, chance=chance, crew=crew, shared=shared
        )
        self._ends = Ends(self, store=store, timetable=timetable, clock=clock, archivist=archivist)
        self._closed = False

    # Which tasks are polled, and through which providers

    def configure(self, providers: Mapping[str, tuple[Provider, PollLimits]]) -> None:
        """These are the providers from now on; tasks of a missing one rest until it is back or their deadline."""
        self._rhythms.configure({name: limits for name, (_, limits) in providers.items()})
        for name in self._channels.keys() - providers.keys():
            self._retire(self._channels.pop(name))
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
                    tenure=self._tenure,
                    share=self._shares.get(name, 0.0) if self._shared else None,
                )

    def _retire(self, channel: Channel) -> None:
        """Its tasks are called for again, until somebody else takes them or their deadline comes."""
        channel.close()
        for key in channel.patient:
            self._timetable.postpone(key, self._tasks[key].interval)

    def rates(self) -> Mapping[str, float]:
        """Of each provider, in polls a second over all nodes."""
        return {name: channel.limits.rate for name, channel in self._channels.items()}

    def demand(self) -> Mapping[str, float]:
        """How many polls a second of each provider this node wants to make; asked in each beat."""
        return {name: channel.demand() for name, channel in self._channels.items()}

    def shares(self) -> Mapping[str, float]:
        """What this node may take of these rates; nothing where nobody else takes any."""
        return {name: self._shares.get(name, 0.0) for name in self._channels if self._shared}

    def share(self, provider: str, rate: float) -> None:
        """What this node may take of the provider's rate from now on."""
        self._shares[provider] = rate
        if provider in self._channels:
            self._channels[provider].share(rate)

    async def start(self) -> None:
        """Follow what the store has to be polled; where many nodes poll, only what is adopted later."""
        await self._rhythms.load()
        await self._adoption.start()

    async def refresh(self) -> None:
        """After a reload: take over intervals that changed with their provider's."""
        await self._adoption.refresh()

    @property
    def owned(self) -> Collection[int] | None:
        """The shards whose tasks are polled here; None: all of them."""
        return self._adoption.owned

    async def adopt(self, shards: Collection[int]) -> None:
        """Poll the tasks of these shards from now on."""
        await self._adoption.adopt(shards)

    async def disown(self, shards: Collection[int], *, save: bool) -> None:
        """Others poll the tasks of these shards from now on."""
        await self._adoption.disown(shards, save=save)

    def follow(self, task: Task, *, delay: float = 0.0) -> None:
        """Poll this task from now on, first in `delay` seconds; one that is followed already keeps its phase and what
        was learned, and takes over interval and deadline, unless it is watched anew: then nothing old is kept. One that
        is another node's is left to that."""
        self._adoption.heard(task.key)
        if not self._adoption.has(task.key):
            return
        known = self._tasks.get(task.key)
        if known is not None and known.watched_since != task.watched_since:
            self.forget(task.key)  # the store takes nothing more of what was known
            known = None
        if known is None:
            self._tasks[task.key] = task
            self._timetable.repeat(task.key, task.interval, delay=delay)
        else:
            self._tasks[task.key] = renewed = known.on_terms_of(task)
            if (known.interval, known.fixed) != (task.interval, task.fixed):
                self._timetable.repeat(task.key, task.interval, delay=rest_of_interval(renewed, self._clock.now()))
        self._ends.expect(task)

    def forget(self, key: int) -> None:
        """Nobody watches this task any more, or others poll it."""
        self._adoption.heard(key)
        self.rest(key)
        self._tasks.pop(key, None)
        self._adoption.last_look(key)
        self._ends.forget(key)
        self._rhythms.forget(key)

    def rest(self, key: int) -> None:
        """Ask no more about this task; a poll in flight finishes."""
        if (channel := self._channel_of(key)) is not None:
            channel.drop(key)
        self._timetable.drop(key)

    def in_flight(self, key: int) -> bool:
        """A poll of this task, or the saving of its end."""
        channel = self._channel_of(key)
        return self._ends.saving(key) or (channel is not None and channel.polling(key))

    def _channel_of(self, key: int) -> Channel | None:
        task = self._tasks.get(key)
        return None if task is None else self._channels.get(task.provider)

    def task(self, key: int) -> Task | None:
        """The task as it is known now, which may be newer than the store; None if it is not polled."""
        return self._tasks.get(key)

    def channel(self, provider: str) -> Channel | None:
        return self._channels.get(provider)

    @property
    def followed(self) -> Collection[int]:
        """The keys of the tasks that are polled here."""
        return self._tasks.keys()

    def pauses(self) -> Mapping[str, Pause]:
        """Which providers are paused, and why."""
        return {name: channel.pause for name, channel in self._channels.items() if channel.pause is not None}

    def lag(self) -> float:
        """For how many seconds the longest waiting due task has waited for its turn."""
        return max((channel.oldest_wait() for channel in self._channels.values()), default=0.0)

    # One poll

    def due(self, key: int, late: float = 0.0) -> bool:
        """The task's interval job fired, so late (seconds): stand in line, or save at last an end not stored yet. False
        if it waits already: its turn will say when it is due again."""
        task = self._tasks.get(key)
        if task is None or self._closed:
            return True
        if task.end is None:
            channel = self._channels.get(task.provider)
            return channel is None or channel.join(key, late)
        if not self._ends.saving(key):
            self._crew.spawn(self._ends.save(task))
        return True

    async def _visit(self, channel: Channel, turn: Turn[int]) -> bool:
        """Poll once; True if the task should stand in line again because its provider would not talk to us."""
        task = self._tasks.get(turn.key)
        if task is None or task.end is not None:
            return False
        late = self._clock.monotonic() - turn.due > LATE * task.interval
        if late or turn.key in channel.patient:  # it waited: its phase begins anew with this poll
            channel.patient.discard(turn.key)
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
        if (overdue := self._adoption.last_look(task.key)) is not None:  # that was the last look
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
        if self._tenure.holds():
            await self._ends.expire()

    def close(self) -> None:
        """Start no more polls; those in flight finish."""
        self._closed = True
        for channel in self._channels.values():
            channel.close()

    async def flush(self, keys: Collection[int] | None = None) -> None:
        """At the stop, or before others poll the tasks with these keys: save what polls learned that was not worth a
        write of its own, and ends not yet saved."""
        tasks = [self._tasks[key] for key in (self._tasks if keys is None else keys) if key in self._tasks]
        await asyncio.gather(*(self._ends.save(task) for task in tasks if task.end is not None))
        learned = [task for task in tasks if task.polls and task.end is None]
        portions = [learned[start : start + PORTION] for start in range(0, len(learned), PORTION)]
        await asyncio.gather(*map(self._store.save, portions))  # at once: whoever has no time to wait has asked for all
