"""What other nodes did that concerns this one: heard of at once, and looked for in the store now and then."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from itertools import islice
from typing import Protocol, assert_never

import structlog

from notifier.domain.shard import shard_of
from notifier.domain.task import Task
from notifier.ports import (
    Changed,
    Clock,
    Crew,
    Gathered,
    Missed,
    News,
    Readdressed,
    SharedTasks,
    StoreUnavailableError,
    Tenure,
    Wire,
)

log = structlog.get_logger()

SWEEP_EVERY_SECONDS = 10.0
SWEEP_EVERY_DEAF_SECONDS = 1.0
OVERLAP_SECONDS = 60.0
"""A change is committed so long after it was written down at the latest."""
REREAD_EVERY_SECONDS = 30.0
REREAD_EVERY_DEAF_SECONDS = 5.0
PORTION = 1000


class Follower(Protocol):
    """Who polls this node's tasks."""

    @property
    def owned(self) -> Collection[int] | None:
        """The shards whose tasks are followed here; None: all."""
        ...

    def task(self, key: int) -> Task | None: ...

    def follow(self, task: Task) -> None: ...

    def forget(self, key: int) -> None: ...


class Reread(Protocol):
    """Something that is kept in memory as well as in the store."""

    async def reread(self) -> None:
        """Take over what other nodes changed. StoreUnavailableError: not now."""
        ...


class Newsreader:
    """`rereads` are looked at anew when endpoints have changed, and now and then; `gathered` is called when nodes have
    come or gone, `unwatched` with tasks of this node's that others changed and nobody watches (any more): there may be
    a new watch of one that has ended."""

    def __init__(
        self,
        *,
        wire: Wire,
        store: SharedTasks,
        follower: Follower,
        rereads: Collection[Reread],
        gathered: Callable[[], None],
        unwatched: Callable[[Collection[int]], Awaitable[None]],
        tenure: Tenure,
        crew: Crew,
        clock: Clock,
    ) -> None:
        self._wire = wire
        self._store = store
        self._follower = follower
        self._rereads = rereads
        self._gathered = gathered
        self._unwatched = unwatched
        self._tenure = tenure
        self._crew = crew
        self._clock = clock
        self._keys: set[int] = set()
        self._seen: Mapping[int, datetime] = {}
        self._swept_at = self._reread_at = clock.monotonic()
        self._sweep_now = self._reread_now = self._busy = False

    def start(self) -> None:
        """Listen from now on. Before this nothing of this node's own is to be looked for."""
        self._wire.listen(self.heard)

    def heard(self, news: News) -> None:
        match news:
            case Changed(keys=keys):
                self._keys.update(key for key in keys if self._ours(key))
            case Gathered():
                self._gathered()
            case Readdressed():
                self._reread_now = True
            case Missed():
                self._sweep_now = self._reread_now = True
            case _:
                assert_never(news)
        if not self._busy and (self._keys or self._sweep_now or self._reread_now):
            self._busy = True
            self._crew.spawn(self._look())

    async def tick(self) -> None:
        """Look for what was not heard of. Called about once a second."""
        now, deaf = self._clock.monotonic(), self._wire.deaf
        if now - self._swept_at >= (SWEEP_EVERY_DEAF_SECONDS if deaf else SWEEP_EVERY_SECONDS):
            self._sweep_now = True
        if now - self._reread_at >= (REREAD_EVERY_DEAF_SECONDS if deaf else REREAD_EVERY_SECONDS):
            self._reread_now = True
        if not self._busy:
            self._busy = True
            await self._look()

    def _ours(self, key: int) -> bool:
        owned = self._follower.owned
        return owned is None or shard_of(key) in owned

    async def _look(self) -> None:
        """Until there is nothing new. What the store does not tell now is asked for at the next tick."""
        try:
            while self._tenure.holds() and (self._keys or self._sweep_now or self._reread_now):
                if self._reread_now:
                    await self._reread()
                if self._sweep_now:
                    await self._sweep()
                await self._take_up()
        except StoreUnavailableError as error:
            log.debug("news.unread", error=str(error))
        finally:
            self._busy = False

    async def _reread(self) -> None:
        self._reread_now, started = False, self._clock.monotonic()
        try:
            for one in self._rereads:
                await one.reread()
        except StoreUnavailableError:
            self._reread_now = True
            raise
        self._reread_at = started

    async def _sweep(self) -> None:
        self._sweep_now, started = False, self._clock.monotonic()
        try:
            touched = await self._store.touched(started - self._swept_at + OVERLAP_SECONDS)
        except StoreUnavailableError:
            self._sweep_now = True
            raise
        ours = {key: at for key, at in touched.items() if self._ours(key)}
        self._keys.update(key for key, at in ours.items() if self._seen.get(key) != at)
        self._seen, self._swept_at = ours, started

    async def _take_up(self) -> None:
        """What these tasks are now: told in the order of this node's own commits, so nothing older comes after."""
        portion = set(islice(self._keys, PORTION))
        self._keys -= portion
        try:
            current = await self._store.current(portion) if portion else {}
        except StoreUnavailableError:
            self._keys |= portion
            raise
        for key in portion:
            self._renew(key, current.get(key))
        await self._tell_unwatched(portion - current.keys())

    async def _tell_unwatched(self, keys: Collection[int]) -> None:
        try:
            await self._unwatched(keys)
        except StoreUnavailableError:
            self._reread_now = True  # these are among what is read then
            raise

    def _renew(self, key: int, task: Task | None) -> None:
        known = self._follower.task(key)
        if known is not None and (task is None or task.watched_since != known.watched_since):
            self._follower.forget(key)  # nobody watches it, or somebody again: nothing old can end it then
        if task is not None:
            self._follower.follow(task)
