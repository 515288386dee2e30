"""Which of the store's tasks are polled here: all of them, or those of the shards that this node holds."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from notifier.domain.shard import shard_of
from notifier.domain.task import Task, rest_of_interval
from notifier.ports import Chance, Clock, Crew, StoreUnavailableError, TaskStore
from notifier.services.channel import Channel

log = structlog.get_logger()

LAST_LOOK_SECONDS = 5.0
"""A task whose deadline passed while nobody polled it gets this long for one last poll: it may be completed."""
ADOPTED_WITHIN_SECONDS = 5.0
"""Nobody knows how long tasks that others left have waited: they are polled soon, though not in one burst."""
IN_FLIGHT_SECONDS = 2.0
LOOK_SECONDS = 0.05
PORTION = 500


class Polled(Protocol):
    """The tasks that are being polled."""

    def task(self, key: int) -> Task | None: ...

    @property
    def followed(self) -> Collection[int]:
        """Their keys."""
        ...

    def follow(self, task: Task, *, delay: float = 0.0) -> None: ...

    def rest(self, key: int) -> None:
        """No more polls of this task; one in flight finishes."""
        ...

    def in_flight(self, key: int) -> bool: ...

    def forget(self, key: int) -> None: ...

    async def flush(self, keys: Collection[int]) -> None: ...


class Adoption:
    """`owned` are the shards whose tasks are polled here; None: all of them, nobody else polls."""

    def __init__(
        self,
        polled: Polled,
        channels: Mapping[str, Channel],
        *,
        store: TaskStore,
        clock: Clock,
        chance: Chance,
        crew: Crew,
        shared: bool,
    ) -> None:
        self.owned: set[int] | None = set() if shared else None
        self._polled = polled
        self._channels = channels
        self._store = store
        self._clock = clock
        self._chance = chance
        self._crew = crew
        self._last_looks: dict[int, datetime] = {}
        self._readings: dict[int, set[int]] = {}

    def has(self, key: int) -> bool:
        """Whether this task is polled here, if it is to be polled at all."""
        return self.owned is None or shard_of(key) in self.owned

    def heard(self, key: int) -> None:
        """Something newer is known of this task than what is being read from the store."""
        for newer in self._readings.values():
            newer.add(key)

    def last_look(self, key: int) -> datetime | None:
        """The deadline that the task had when it was given a last look, which is over now; None: it was given none."""
        return self._last_looks.pop(key, None)

    async def start(self) -> None:
        """Follow every watched task of the store, the first polls spread out so that they are no burst; only those that
        get a last look go at once. Where many nodes poll, none before it is adopted."""
        if self.owned is None:
            await self._take_up(None)

    async def adopt(self, shards: Collection[int]) -> None:
        """Follow the tasks of these shards as well, in the phase that they had if that is known."""
        if self.owned is not None:
            self.owned.update(shards)  # first: what is registered while the store is read is ours already
            await self._take_up(shards)

    async def _take_up(self, shards: Collection[int] | None) -> None:
        with self._listening() as newer:
            tasks = await self._read(shards)
            counts = Counter(task.provider for task in tasks)
            now = self._clock.now()
            for number, task in enumerate(tasks):
                if number % PORTION == 0:
                    await asyncio.sleep(0)  # a full store must not make the loop deaf
                if task.key not in newer and self.has(task.key):
                    self._follow(task, self._delay(task, counts[task.provider], shards, now), now)

    def _follow(self, task: Task, delay: float, now: datetime) -> None:
        if task.deadline_at <= now:
            self._last_looks[task.key] = task.deadline_at
            self._polled.follow(replace(task, deadline_at=now + timedelta(seconds=LAST_LOOK_SECONDS)))
        else:
            self._polled.follow(task, delay=delay)

    def _delay(self, task: Task, tasks: int, shards: Collection[int] | None, now: datetime) -> float:
        window = self._window(task, tasks)
        if shards is not None:
            if (rest := rest_of_interval(task, now)) > 0:
                return rest
            window = min(window, ADOPTED_WITHIN_SECONDS)
        return window * (self._chance.spread() + 1) / 2

    def _window(self, task: Task, tasks: int) -> float:
        """Over how many seconds first polls are spread: half the rate is left for what else is due."""
        channel = self._channels.get(task.provider)
        return task.interval if channel is None else min(task.interval, 2 * tasks / channel.limits.rate)

    async def refresh(self) -> None:
        """After a reload: take over intervals that changed with their provider's. What was registered, changed or ended
        while the store was read is known better already."""
        with self._listening() as newer:
            for task in await self._read(self.owned):
                if self._polled.task(task.key) is not None and task.key not in newer:
                    self._polled.follow(task)

    @contextmanager
    def _listening(self) -> Iterator[set[int]]:
        """The tasks of which something was heard since the block began: what was read of them is old."""
        newer = set[int]()
        self._readings[id(newer)] = newer
        try:
            yield newer
        finally:
            del self._readings[id(newer)]

    async def _read(self, shards: Collection[int] | None) -> Sequence[Task]:
        usual = {name: channel.limits.interval for name, channel in self._channels.items()}
        tasks = await self._store.watched(usual, shards)
        orphans = Counter(task.provider for task in tasks if task.provider not in self._channels)
        for name, count in orphans.items():
            log.error("provider.missing", provider=name, tasks=count, hint=f"name {name} under providers: again")
        return tasks

    # What others poll from now on

    async def disown(self, shards: Collection[int], *, save: bool) -> None:
        if self.owned is None:
            return
        self.owned.difference_update(shards)
        keys = [key for key in self._polled.followed if shard_of(key) in shards]
        if save:
            await self._settle(keys)
        async for key in _in_portions(keys):
            self._last_looks.pop(key, None)
            self._polled.forget(key)

    async def _settle(self, keys: Sequence[int]) -> None:
        """Wait a little for polls in flight, then save what was learned."""
        async for key in _in_portions(keys):
            self._polled.rest(key)
        until = self._clock.monotonic() + IN_FLIGHT_SECONDS
        while any(map(self._polled.in_flight, keys)) and self._clock.monotonic() < until:
            over = asyncio.Event()
            self._crew.later(LOOK_SECONDS, over.set)
            await over.wait()
        try:
            await self._polled.flush(keys)
        except StoreUnavailableError as error:
            hint = "the next owner asks again"
            log.warning("tasks.unsaved", tasks=len(keys), error=str(error), hint=hint)


async def _in_portions(keys: Iterable[int]) -> AsyncIterator[int]:
    """Others get their turns in between."""
    for number, key in enumerate(keys):
        if number % PORTION == PORTION - 1:
            await asyncio.sleep(0)
        yield key
