"""Time, chance and work as the services see them, by hand: nothing happens before a test says so.

Everything that waits, waits in the `FakeCrew`: its calls for later, the timetable's firings and the alarms share one
agenda, and `advance()` walks through it in order. Nothing here sleeps, opens a socket or draws a random number.
"""

import asyncio
import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from notifier.domain.jump import SettledTime

START = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
ROUNDS_TO_REST = 4
"""Turns of the event loop in which nothing begins or ends; then everybody waits for the clock or for the test."""
MOST_STEPS = 50_000


class FakeClock:
    """Stands still until it is told. `jump()` sets the wall clock alone, as an operator would; over `away()` the
    process was not there, and the next one believes the clock that it finds."""

    def __init__(self) -> None:
        self._steady = 1000.0
        self._offset = timedelta(0)
        self._settled = SettledTime(self.now(), self._steady)

    def now(self) -> datetime:
        return START + timedelta(seconds=self._steady - 1000.0) + self._offset

    def settled(self) -> datetime:
        return self._settled.at(self.now(), self._steady)

    def monotonic(self) -> float:
        return self._steady

    def move_to(self, steady: float) -> None:
        assert steady >= self._steady, "a monotonic clock does not go back"
        self._steady = steady

    def jump(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)

    def away(self, seconds: float) -> None:
        self.jump(seconds)
        self._settled = SettledTime(self.now(), self._steady)


class FakeChance:
    """Spreads as scripted, then always `usual`; ids are counted: evt_1, evt_2, wch_1 …"""

    def __init__(self, *spreads: float, usual: float = 0.0) -> None:
        self.usual = usual
        self._spreads = deque(spreads)
        self._ids: Counter[str] = Counter()

    def spread(self) -> float:
        return self._spreads.popleft() if self._spreads else self.usual

    def script(self, *spreads: float) -> None:
        self._spreads.extend(spreads)

    def new_id(self, prefix: str) -> str:
        self._ids[prefix] += 1
        return f"{prefix}{self._ids[prefix]}"

    def random_bytes(self, count: int) -> bytes:
        """The same byte all through: 1, then 2, then 3 …"""
        self._ids["bytes"] += 1
        return bytes([self._ids["bytes"]]) * count


class FakeCrew:
    """Runs what is spawned when the test says `run()`, and calls for later when `advance()` comes to them.

    A fault in spawned work is raised by the `run()` or `advance()` that meets it.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._cancelled: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        self._moves = 0

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._moves += 1
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        number = next(self._order)
        heapq.heappush(self._agenda, (self._clock.monotonic() + max(seconds, 0.0), number, call))
        return lambda: self._cancelled.add(number)

    async def sleep(self, seconds: float) -> None:
        """For fakes that take their time: over when the test has advanced so far."""
        over = asyncio.Event()
        self.later(seconds, over.set)
        await over.wait()

    @property
    def at_work(self) -> int:
        return len(self._tasks)

    @property
    def awaited(self) -> int:
        """How many calls for later are still to come."""
        return len([entry for entry in self._agenda if entry[1] not in self._cancelled])

    async def run(self) -> None:
        """Everything that needs no time to pass, and what is due by now, until everybody rests."""
        await self._until(self._clock.monotonic())

    async def advance(self, seconds: float) -> None:
        """So much time passes; what falls due meanwhile happens at its own moment, in order."""
        target = self._clock.monotonic() + seconds
        await self._until(target)
        self._clock.move_to(target)

    async def aclose(self) -> None:
        """Cancel who is still at work: a test may end while somebody is held."""
        while self._tasks:
            left = list(self._tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _until(self, target: float) -> None:
        await self._rest()
        for _ in range(MOST_STEPS):
            if not self._agenda or self._agenda[0][0] > target:
                return
            at, number, call = heapq.heappop(self._agenda)
            if number in self._cancelled:
                self._cancelled.discard(number)
                continue
            self._clock.move_to(max(at, self._clock.monotonic()))
            call()
            await self._rest()
        raise AssertionError("this never comes to rest")

    async def _rest(self) -> None:
        quiet = 0
        while quiet < ROUNDS_TO_REST:
            before = self._moves
            await asyncio.sleep(0)
            quiet = quiet + 1 if before == self._moves else 0
        if self._faults:
            raise self._faults.pop(0)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._moves += 1
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._faults.append(fault)


NOT_NEEDED = 16
"""Intervals between the firings of a job that nobody needs."""


class FakeTimetable:
    """Interval jobs without jitter; `on_due` is called at each firing. `jobs` shows what is going on."""

    def __init__(self, crew: FakeCrew, clock: FakeClock) -> None:
        self._crew = crew
        self._clock = clock
        self.on_due: Callable[[int], bool] = lambda _: True
        self.fired: list[int] = []
        self.jobs: dict[int, float] = {}
        self.postponed: list[tuple[int, float]] = []
        self._next: dict[int, datetime] = {}
        self._cancel: dict[int, Callable[[], None]] = {}

    def repeat(self, key: int, interval: float, *, delay: float) -> None:
        self.jobs[key] = interval
        self._set(key, delay)

    def postpone(self, key: int, delay: float) -> None:
        if key in self.jobs:
            self.postponed.append((key, delay))
            self._set(key, delay)

    def drop(self, key: int) -> None:
        if self.jobs.pop(key, None) is not None:
            self._cancel.pop(key)()
            del self._next[key]

    def next_at(self, key: int) -> datetime | None:
        return self._next.get(key)

    def clear(self) -> None:
        """As after a restart: jobs live in memory."""
        for key in list(self.jobs):
            self.drop(key)

    def _set(self, key: int, delay: float) -> None:
        if key in self._cancel:
            self._cancel[key]()
        self._next[key] = self._clock.now() + timedelta(seconds=delay)
        self._cancel[key] = self._crew.later(delay, lambda: self._fire(key))

    def _fire(self, key: int) -> None:
        self.fired.append(key)
        self._set(key, self.jobs[key])
        if not self.on_due(key):
            self._set(key, NOT_NEEDED * self.jobs[key])


class FakeAlarms:
    """Rings once for each delivery; a later `ring()` replaces the one before. `rung` lists what was asked for."""

    def __init__(self, crew: FakeCrew, clock: FakeClock) -> None:
        self._crew = crew
        self._clock = clock
        self.on_due: Callable[[str, str], None] = lambda *_: None
        self.rung: list[tuple[str, datetime]] = []
        self.pending: dict[str, datetime] = {}
        self._cancel: dict[str, Callable[[], None]] = {}

    def ring(self, delivery_id: str, url: str, at: datetime) -> None:
        self.rung.append((delivery_id, at))
        if delivery_id in self.pending:
            self._cancel[delivery_id]()
        self.pending[delivery_id] = at
        delay = (at - self._clock.now()).total_seconds()
        self._cancel[delivery_id] = self._crew.later(delay, lambda: self._fire(delivery_id, url))

    def clear(self) -> None:
        """As after a restart: alarms live in memory."""
        for delivery_id in self.pending:
            self._cancel[delivery_id]()
        self.pending.clear()

    def _fire(self, delivery_id: str, url: str) -> None:
        del self.pending[delivery_id]
        self.on_due(delivery_id, url)


class FakeMeter:
    """Implements PollMeter, AttemptMeter and FileMeter by writing everything down."""

    def __init__(self) -> None:
        self.polls: list[tuple[str, str, float, float]] = []
        self.pauses: list[tuple[str, str | None]] = []
        self.events: list[str] = []
        self.attempts: list[tuple[str, float]] = []
        self.latencies: list[float] = []
        self.fetches: list[tuple[str, int]] = []

    def polled(self, provider: str, outcome: str, *, duration: float, lag: float) -> None:
        self.polls.append((provider, outcome, duration, lag))

    def paused(self, provider: str, reason: str | None) -> None:
        self.pauses.append((provider, reason))

    def announced(self, event_type: str) -> None:
        self.events.append(event_type)

    def attempted(self, outcome: str, *, duration: float) -> None:
        self.attempts.append((outcome, duration))

    def delivered(self, latency: float) -> None:
        self.latencies.append(latency)

    def fetched(self, outcome: str, size: int = 0) -> None:
        self.fetches.append((outcome, size))
