"""APScheduler's jobs in memory: when they fire, where they are kept, and how they are called."""

import heapq
import random
from datetime import datetime, timedelta

import structlog
from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from apscheduler.triggers.base import BaseTrigger

from notifier.domain.jump import JUMP_SECONDS
from notifier.domain.task import PHASE_SPREAD
from notifier.ports import Clock

log = structlog.get_logger()

DEAD_ENTRIES = 1000
"""So many entries of the heap that mean nothing any more (and as many again as there are jobs) are carried along."""

SKIPPED = 16
"""So many intervals pass between firings that nobody needs."""


class PhasedInterval(BaseTrigger):  # type: ignore[misc] # apscheduler ships no types
    """Fires one interval after the last firing, ±6 %: each task keeps its own phase, and crowds drift apart.

    APScheduler's own interval trigger only ever adds its jitter, which makes the interval longer on average.
    """

    __slots__ = ("_rounds", "interval")

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._rounds = 1

    def skip(self) -> None:
        """The firings up to the SKIPPED-th are not needed."""
        self._rounds = SKIPPED

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        rounds, self._rounds = self._rounds, 1
        step = timedelta(seconds=rounds * self.interval * (1 + PHASE_SPREAD * random.uniform(-1.0, 1.0)))  # noqa: S311 -- spreads load
        due: datetime = (previous_fire_time or now) + step
        # After a long sleep of the machine one firing stands for all that were missed.
        return due if due > now else now + step


class Once(BaseTrigger):  # type: ignore[misc] # apscheduler ships no types
    """Fires at its job's first run time only."""

    __slots__ = ()

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        return now if previous_fire_time is None else None


class HeapJobs(BaseJobStore):  # type: ignore[misc] # apscheduler ships no types
    """A job store in which a hundred thousand jobs cost no more each than a thousand: APScheduler's own keeps a sorted
    list, which each change searches in Python and moves in memory.

    An entry of the heap counts while its job is known and due at that very time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, Job] = {}
        self._heap: list[tuple[datetime, str]] = []

    def lookup_job(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """The earliest first. They are out of the heap until each is updated or removed, as the scheduler does next."""
        due: dict[str, Job] = {}
        while self._heap and self._heap[0][0] <= now:
            at, name = heapq.heappop(self._heap)
            if (job := self._jobs.get(name)) is not None and job.next_run_time == at:
                due[name] = job
        return list(due.values())

    def get_next_run_time(self) -> datetime | None:
        while self._heap:
            at, name = self._heap[0]
            if (job := self._jobs.get(name)) is not None and job.next_run_time == at:
                return at
            heapq.heappop(self._heap)
        return None

    def get_all_jobs(self) -> list[Job]:
        return list(self._jobs.values())

    def add_job(self, job: Job) -> None:
        if job.id in self._jobs:
            raise ConflictingIdError(job.id)
        self._put(job)

    def update_job(self, job: Job) -> None:
        """One that was dropped while it fired stays dropped."""
        if job.id in self._jobs:
            self._put(job)

    def move(self, name: str, at: datetime) -> bool:
        """The job, if there is one, is due then."""
        job = self._jobs.get(name)
        if job is None:
            return False
        job.next_run_time = at
        self._put(job)
        return True

    def remove_job(self, job_id: str) -> None:
        if self._jobs.pop(job_id, None) is None:
            raise JobLookupError(job_id)

    def remove_all_jobs(self) -> None:
        self._jobs.clear()
        self._heap.clear()

    def shutdown(self) -> None:
        self.remove_all_jobs()

    def move_along(self, jump: timedelta) -> None:
        """Every job is due by so much later."""
        for job in self._jobs.values():
            job.next_run_time += jump
        self._renew()

    def _put(self, job: Job) -> None:
        self._jobs[job.id] = job
        heapq.heappush(self._heap, (job.next_run_time, job.id))
        if len(self._heap) > 2 * len(self._jobs) + DEAD_ENTRIES:
            self._renew()

    def _renew(self) -> None:
        self._heap = [(job.next_run_time, name) for name, job in self._jobs.items()]
        heapq.heapify(self._heap)


class InlineExecutor(BaseExecutor):  # type: ignore[misc] # apscheduler ships no types
    """Calls the job in the event loop, once for all the times it was due.

    Nothing runs beside it, so the base class's count of running instances, which it keeps for each job that ever was,
    is not kept. `late` is for how many seconds the job that runs now was due; no more than what would be taken for a
    clock that was set. `trigger` is that job's.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.late = 0.0
        self.trigger: BaseTrigger | None = None
        self._clock = clock

    def submit_job(self, job: Job, run_times: list[datetime]) -> None:
        since = (self._clock.now() - run_times[0]).total_seconds()
        self.late, self.trigger = min(max(since, 0.0), JUMP_SECONDS), job.trigger
        try:
            job.func(*job.args)
        except Exception:  # whatever it is, the scheduler goes on and the fault is told
            log.exception("daemon.fault", job=job.id)

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
        """Of the base class, which nobody calls here."""
        self.submit_job(job, run_times)
