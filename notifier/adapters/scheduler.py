"""APScheduler: an interval job for each watched task, date jobs for waiting deliveries, and housekeeping.

Jobs live in memory and are derived from the store's rows. A firing only says whose time has come: it runs inline, puts
a key in a line and returns, so that ten thousand due tasks cost ten thousand cheap calls and no queue of coroutines.
"""

import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import Parameter, Signature
from typing import Any

import structlog
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from notifier.adapters.jobs import HeapJobs, InlineExecutor, Once, PhasedInterval
from notifier.domain.jump import JUMP_SECONDS, PATIENCE_SECONDS
from notifier.domain.quantity import format_duration
from notifier.ports import Clock, Crew

log = structlog.get_logger()

_BACK = "polls and retries keep their pace"
_PATIENCE = format_duration(PATIENCE_SECONDS)
_AHEAD = f"{_BACK}; deadlines and retention go by the new time in {_PATIENCE}, unless it is set back before"
_LOOK_SECONDS = 1.0
_ANYTHING = Signature([Parameter("arguments", Parameter.VAR_POSITIONAL)])

# APScheduler tells of every firing, and of every one that it skips; under load those lines cost more than the polls.
logging.getLogger("apscheduler").setLevel(logging.CRITICAL)


class LoopScheduler(AsyncIOScheduler):  # type: ignore[misc] # apscheduler ships no types
    """Wakes up once for all the changes of one turn of the event loop, and looks at the clock before it fires anything.

    The original wakes up for each of them, through the pipe that also carries signals to asyncio: a few hundred new
    jobs at once fill it, and then a SIGTERM is lost. All our calls come from the loop's own thread, which needs none.
    What is due no sooner than the next firing wakes nobody.

    It also counts in wall-clock time only: when the clock is set, every job has to move along with it.
    """

    _woken = False
    _firing = False
    _wakes_at: datetime | None = None
    """When the timer goes, by the wall clock; None: there is no timer."""

    def __init__(self, clock: Clock, **options: Any) -> None:
        self._kept = HeapJobs()
        super().__init__(jobstores={"default": self._kept}, **options)
        self._clock = clock
        self._wall_and_steady = (clock.now(), clock.monotonic())

    def look_at_clock(self) -> None:
        """Move the jobs along if the clock was set. Look before adding a job that counts in the new time already."""
        if self._firing:  # APScheduler holds on to the time at which it began: the next look is for both
            return
        wall, steady = self._wall_and_steady
        self._wall_and_steady = (self._clock.now(), self._clock.monotonic())
        jump = (self._wall_and_steady[0] - wall).total_seconds() - (self._wall_and_steady[1] - steady)
        if abs(jump) > JUMP_SECONDS:
            log.warning("clock.jumped", seconds=round(jump, 3), hint=_AHEAD if jump > 0 else _BACK)
            self._kept.move_along(timedelta(seconds=jump))
            self._wakes_at = None

    def _process_jobs(self) -> float | None:
        """Seconds until the next call. The event loop's steady clock counts them; a jump after the look makes them
        wrong, so they are few."""
        self.look_at_clock()
        self._firing = True
        try:
            wait: float | None = super()._process_jobs()
        finally:
            self._firing = False
        self._wakes_at = None
        if wait is not None:
            wait = min(wait, _LOOK_SECONDS)
            self._wakes_at = self._clock.now() + timedelta(seconds=wait)
        return wait

    def move(self, name: str, at: datetime) -> None:
        """A job's next run, if there is such a job: `modify_job` without the checks and messages for what cannot be."""
        if self._kept.move(name, at):
            self.wakeup()

    def _dispatch_event(self, event: Any) -> None:
        """Nobody listens."""

    def wakeup(self) -> None:
        if self._woken:
            return
        first = self._kept.get_next_run_time()
        if self._wakes_at is None or (first is not None and first < self._wakes_at):
            self._woken = True
            self._eventloop.call_soon(self._wake)

    def _start_timer(self, wait_seconds: float | None) -> None:
        self._stop_timer()
        if wait_seconds is not None:
            self._timeout = self._eventloop.call_later(wait_seconds, self._wake)

    def _wake(self) -> None:
        self._woken = False
        if self._eventloop is not None and self.running:
            self._start_timer(self._process_jobs())


class Scheduler:
    """Implements the Timetable and Alarms ports. Start it inside the running event loop."""

    def __init__(self, *, clock: Clock, crew: Crew) -> None:
        self._clock = clock
        self._crew = crew
        self._executor = InlineExecutor(clock)
        self._jobs = LoopScheduler(
            clock,
            timezone=UTC,
            executors={"default": self._executor},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._due_task: Callable[[int, float], bool] = _nobody
        self._due_delivery: Callable[[str, str], object] = _nobody
        self._running: set[str] = set()
        self._beat_at = clock.monotonic()
        self._on_task, self._on_delivery = _unexamined(self._fire_task), _unexamined(self._fire_delivery)

    def start(self, due_task: Callable[[int, float], bool], due_delivery: Callable[[str, str], None]) -> None:
        """Take jobs, but fire none before `resume()`: a full store brings very many at once."""
        self._due_task, self._due_delivery = due_task, due_delivery
        self._jobs.start(paused=True)

    def resume(self) -> None:
        self._jobs.resume()
        self._beat()
        self._add("beat", PhasedInterval(1.0), self._beat, (), self._in(1.0))

    def stop(self) -> None:
        if self._jobs.running:
            self._jobs.shutdown(wait=False)

    # Timetable

    def repeat(self, key: int, interval: float, *, delay: float) -> None:
        self._add(_task_job(key), PhasedInterval(interval), self._on_task, (key,), self._in(delay))

    def postpone(self, key: int, delay: float) -> None:
        self._jobs.look_at_clock()
        self._jobs.move(_task_job(key), self._in(delay))

    def drop(self, key: int) -> None:
        with suppress(JobLookupError):  # never started, or dropped before
            self._jobs.remove_job(_task_job(key))

    def next_at(self, key: int) -> datetime | None:
        job = self._jobs.get_job(_task_job(key))
        return None if job is None else job.next_run_time

    # Alarms

    def ring(self, delivery_id: str, url: str, at: datetime) -> None:
        self._add(delivery_id, Once(), self._on_delivery, (delivery_id, url), at)

    # Housekeeping

    def every(self, name: str, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` about so often; a run that is still going on is not overtaken."""
        self._add(name, PhasedInterval(seconds), self._fire_work, (name, work), self._in(seconds))

    def silent_for(self) -> float:
        """Seconds since APScheduler last showed that it lives; it does so every second."""
        return self._clock.monotonic() - self._beat_at

    def _beat(self) -> None:
        self._beat_at = self._clock.monotonic()

    def _add(
        self, name: str, trigger: BaseTrigger, call: Callable[..., None], args: tuple[Any, ...], at: datetime
    ) -> None:
        self._jobs.look_at_clock()
        self._jobs.add_job(call, trigger, args, id=name, name=name, next_run_time=at, replace_existing=True)

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)

    def _fire_task(self, key: int) -> None:
        if not self._due_task(key, self._executor.late) and isinstance(self._executor.trigger, PhasedInterval):
            self._executor.trigger.skip()

    def _fire_delivery(self, delivery_id: str, url: str) -> None:
        self._due_delivery(delivery_id, url)

    def _fire_work(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if name not in self._running:
            self._running.add(name)
            self._crew.spawn(self._work(name, work))

    async def _work(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        finally:
            self._running.discard(name)


def _unexamined(call: Callable[..., None]) -> Callable[..., None]:
    """The same call, but APScheduler need not find out for each of a hundred thousand jobs what arguments it takes, nor
    whether it has an importable name: that is a third of the cost of a new job."""
    plain = partial(call)
    plain.__signature__ = _ANYTHING  # type: ignore[attr-defined] # inspect.signature() looks here first
    return plain


def _task_job(key: int) -> str:
    return f"task-{key}"


def _nobody(*_: object) -> bool:
    """Nobody listens before the start."""
    return True
