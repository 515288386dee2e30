"""The scheduler and the crew, on a real event loop."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, tzinfo

import apscheduler.schedulers.base
import pytest
from structlog.testing import capture_logs

from notifier.adapters.crew import AsyncioCrew
from notifier.adapters.jobs import PhasedInterval
from notifier.adapters.scheduler import Scheduler


class SettableClock:
    """The real clocks, the wall clock moved by `offset`."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def set(self, *, days: float) -> None:
        self.offset = timedelta(days=days)

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SettableClock:
    """One that APScheduler goes by as well."""
    clock = SettableClock()

    class Wall(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + clock.offset

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Wall)
    return clock


class Firings:
    def __init__(self) -> None:
        self.tasks: list[tuple[int, float]] = []
        self.needed = True
        self.deliveries: list[tuple[str, str]] = []
        self.late: list[float] = []
        self.on_delivery: Callable[[], None] = lambda: None

    def due_task(self, key: int, late: float) -> bool:
        self.tasks.append((key, time.monotonic()))
        self.late.append(late)
        return self.needed

    def due_delivery(self, delivery_id: str, lane: str) -> None:
        self.deliveries.append((delivery_id, lane))
        self.on_delivery()

    def times(self, key: int) -> list[float]:
        return [at for fired, at in self.tasks if fired == key]


@asynccontextmanager
async def started(clock: SettableClock | None = None) -> AsyncIterator[tuple[Scheduler, Firings]]:
    crew = AsyncioCrew()
    scheduler, firings = Scheduler(clock=clock or SettableClock(), crew=crew), Firings()
    scheduler.start(firings.due_task, firings.due_delivery)
    scheduler.resume()
    try:
        yield scheduler, firings
    finally:
        scheduler.stop()
        await crew.drain(1)


async def test_a_firing_says_how_late_it_is() -> None:
    """An event loop that was busy elsewhere is late like any other, and must not look punctual."""
    async with started() as (scheduler, firings):
        scheduler.repeat(1, 60.0, delay=0.1)
        time.sleep(0.6)  # the loop is deaf meanwhile
        while not firings.tasks:
            await asyncio.sleep(0.01)
    assert 0.45 < firings.late[0] <= 2.0


async def test_a_clock_that_is_set_is_not_lateness(clock: SettableClock) -> None:
    """A job that fires when the clock was set a moment ago says no more than what a busy loop could have caused."""
    async with started(clock) as (scheduler, firings):
        scheduler.repeat(1, 60.0, delay=0.1)
        scheduler.ring("evt_1", "lane", clock.now() + timedelta(seconds=0.05))
        firings.on_delivery = lambda: clock.set(days=1)
        time.sleep(0.2)  # both are due in the same turn
        while not firings.tasks:
            await asyncio.sleep(0.01)
    assert firings.deliveries
    assert firings.late[0] <= 2.0


async def test_a_task_fires_one_interval_apart_each_in_its_own_phase() -> None:
    """The first firing comes after the delay, the others an interval apart, ±6 %; crowds drift apart from
    the second."""
    async with started() as (scheduler, firings):
        began = time.monotonic()
        for key in range(20):
            scheduler.repeat(key, 0.2, delay=0.1)
        await asyncio.sleep(0.95)
        for key in range(20):
            times = firings.times(key)
            assert 0.09 < times[0] - began < 0.5
            assert 2 <= len(times) <= 6
        seconds = [firings.times(key)[1] - firings.times(key)[0] for key in range(20)]
        assert max(seconds) - min(seconds) > 0.01


def test_intervals_stay_within_their_spread_and_keep_their_mean() -> None:
    """Never more than 6 % off, and no longer on average than was asked for."""
    trigger, now = PhasedInterval(100.0), datetime.now(UTC)
    steps = [(trigger.get_next_fire_time(now, now) - now).total_seconds() for _ in range(2000)]
    assert 94 <= min(steps) < 95
    assert 105 < max(steps) <= 106
    assert abs(sum(steps) / len(steps) - 100) < 1


def test_one_firing_stands_for_all_that_were_missed() -> None:
    """After a night of suspension the next firing is an interval away, not a night's worth of them."""
    trigger, now = PhasedInterval(1.0), datetime.now(UTC)
    due = trigger.get_next_fire_time(now - timedelta(hours=8), now)
    assert 0.9 < (due - now).total_seconds() < 1.1


async def test_postponing_dropping_and_replacing() -> None:
    """A postponed job fires later, a dropped one never, a replaced one once at its new time."""
    async with started() as (scheduler, firings):
        for key in (1, 2, 3):
            scheduler.repeat(key, 30, delay=0.2)
        scheduler.postpone(1, 0.6)
        scheduler.drop(2)
        scheduler.repeat(3, 30, delay=0.05)
        scheduler.postpone(99, 1)
        scheduler.drop(99)
        next_at = scheduler.next_at(1)
        assert next_at is not None
        assert 0.4 < (next_at - datetime.now(UTC)).total_seconds() < 0.7
        assert scheduler.next_at(2) is None
        await asyncio.sleep(0.4)
        assert [key for key, _ in firings.tasks] == [3]
        await asyncio.sleep(0.4)
        assert [key for key, _ in firings.tasks] == [3, 1]


async def test_a_job_that_nobody_needs_fires_seldom() -> None:
    """A task that waits for its turn anyway costs next to nothing; put off, it fires by its interval again."""
    async with started() as (scheduler, firings):
        firings.needed = False
        scheduler.repeat(1, 0.05, delay=0.0)
        await asyncio.sleep(0.5)
        assert len(firings.tasks) == 1
        firings.needed = True
        scheduler.postpone(1, 0.05)
        while len(firings.tasks) < 4:
            await asyncio.sleep(0.01)


async def test_alarms_ring_once_and_at_once_when_their_time_has_passed() -> None:
    """Setting one again moves it."""
    async with started() as (scheduler, firings):
        scheduler.ring("evt_past", "lane", datetime.now(UTC) - timedelta(days=1))
        scheduler.ring("evt_moved", "lane", datetime.now(UTC) + timedelta(hours=1))
        scheduler.ring("evt_moved", "lane", datetime.now(UTC) + timedelta(seconds=0.2))
        await asyncio.sleep(0.1)
        assert firings.deliveries == [("evt_past", "lane")]
        await asyncio.sleep(0.3)
        assert firings.deliveries == [("evt_past", "lane"), ("evt_moved", "lane")]


@pytest.mark.parametrize("days", [1, -1])
async def test_a_clock_that_is_set_moves_every_job_along(days: int, clock: SettableClock) -> None:
    """Neither a burst of polls nor a day of silence: the pace stays what it was."""
    async with started(clock) as (scheduler, firings):
        scheduler.repeat(1, 0.5, delay=0.5)
        scheduler.repeat(2, 3600, delay=3600)
        await asyncio.sleep(0.2)
        with capture_logs() as lines:
            clock.set(days=days)
            give_up_at = time.monotonic() + 10
            while len(firings.times(1)) < 4 and time.monotonic() < give_up_at:
                await asyncio.sleep(0.05)
        assert [line["event"] for line in lines] == ["clock.jumped"]
        assert len(firings.times(1)) == 4
        next_at = scheduler.next_at(2)
        assert next_at is not None
        assert 3500 < (next_at - clock.now()).total_seconds() <= 3600
        assert scheduler.silent_for() < 2.5


@pytest.mark.parametrize("days", [1, -1])
async def test_nothing_fires_early_or_late_when_the_clock_is_set(days: int, clock: SettableClock) -> None:
    """Each task keeps its phase and each alarm its distance, whether it is due within the jump or beyond it."""
    phases = {key: 60.0 + 300 * key for key in range(400)}
    async with started(clock) as (scheduler, firings):
        began = clock.now()
        for key, delay in phases.items():
            scheduler.repeat(key, 600, delay=delay)
        scheduler.ring("evt_within", "lane", began + timedelta(hours=1))
        scheduler.ring("evt_beyond", "lane", began + timedelta(days=1, seconds=3))
        scheduler.ring("evt_soon", "lane", began + timedelta(seconds=1.5))  # tells when it is over
        clock.set(days=days)
        give_up_at = time.monotonic() + 10
        while not firings.deliveries and time.monotonic() < give_up_at:
            await asyncio.sleep(0.05)
        assert (firings.tasks, firings.deliveries) == ([], [("evt_soon", "lane")])
        began += timedelta(days=days)
        for key, delay in phases.items():
            next_at = scheduler.next_at(key)
            assert next_at is not None
            assert abs((next_at - began).total_seconds() - delay) < 2
        for alarm, seconds in (("evt_within", 3600), ("evt_beyond", 86403)):
            assert abs((scheduler._jobs.get_job(alarm).next_run_time - began).total_seconds() - seconds) < 2


@pytest.mark.parametrize("days", [1, -1])
async def test_what_is_set_after_a_jump_does_not_move_with_it(days: int, clock: SettableClock) -> None:
    """A poll that ends right after the jump postpones by the new time: its job is neither early nor a day late."""
    async with started(clock) as (scheduler, firings):
        scheduler.repeat(1, 3600, delay=3600)
        clock.set(days=days)
        scheduler.postpone(1, 1800)
        await asyncio.sleep(1.3)  # at least one look of the scheduler's own
        next_at = scheduler.next_at(1)
        assert next_at is not None
        assert 1700 < (next_at - clock.now()).total_seconds() <= 1800
        assert firings.tasks == []


async def test_a_clock_set_back_while_jobs_fire_is_noticed(clock: SettableClock) -> None:
    """The wait for the next job was reckoned with the new time, the job's time with the old one: it is no day."""
    async with started(clock) as (scheduler, firings):
        scheduler.repeat(1, 60.0, delay=1.0)
        scheduler.ring("evt_1", "lane", clock.now())
        firings.on_delivery = lambda: clock.set(days=-1)
        give_up_at = time.monotonic() + 10
        while not firings.tasks and time.monotonic() < give_up_at:
            await asyncio.sleep(0.05)
    assert firings.times(1)


async def test_housekeeping_does_not_overtake_itself() -> None:
    """A run that takes longer than its period is not started a second time."""
    running = most = runs = 0

    async def slowly() -> None:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        await asyncio.sleep(0.2)
        running -= 1

    async with started() as (scheduler, _):
        scheduler.every("slow", 0.05, slowly)
        await asyncio.sleep(0.7)
    assert most == 1
    assert runs >= 2


async def test_a_crew_waits_then_cancels_and_tells_of_faults() -> None:
    """Work that ends in time is finished, the rest is cancelled and counted; a fault is logged, not swallowed."""
    crew, done = AsyncioCrew(), []

    async def work(seconds: float) -> None:
        await asyncio.sleep(seconds)
        done.append(seconds)

    async def break_down() -> None:
        raise RuntimeError("on purpose")

    with capture_logs() as lines:
        crew.spawn(work(0.05))
        crew.spawn(work(60))
        crew.spawn(break_down())
        assert await crew.drain(0.3) == 1
    assert done == [0.05]
    assert [line["event"] for line in lines] == ["daemon.fault"]


async def test_many_jobs_at_once_lose_no_signal_and_leave_nothing_behind() -> None:
    """A SIGTERM that arrives while a batch is registered is heard; jobs that have fired are forgotten."""
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, heard.set)
    try:
        async with started() as (scheduler, firings):
            for number in range(2000):
                scheduler.ring(f"evt_{number}", "lane", datetime.now(UTC))
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(heard.wait(), 5)
            while len(firings.deliveries) < 2000:
                await asyncio.sleep(0.01)
            assert scheduler._jobs._executors["default"]._instances == {}
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


async def test_nothing_fires_before_everything_is_there() -> None:
    """A full store is taken up in portions; the first firing waits for the last."""
    crew = AsyncioCrew()
    scheduler, firings = Scheduler(clock=SettableClock(), crew=crew), Firings()
    scheduler.start(firings.due_task, firings.due_delivery)
    scheduler.repeat(1, 30, delay=0)
    await asyncio.sleep(0.1)
    assert firings.tasks == []
    scheduler.resume()
    await asyncio.sleep(0.1)
    assert [key for key, _ in firings.tasks] == [1]
    scheduler.stop()
