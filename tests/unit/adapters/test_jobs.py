"""Jobs in a heap: the order in which they are due, whatever happened to them before."""

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.job import Job
from apscheduler.jobstores.base import ConflictingIdError, JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.adapters.jobs import DEAD_ENTRIES, HeapJobs, Once

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCHEDULER = AsyncIOScheduler()


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def job(name: str, seconds: float) -> Job:
    options = {"executor": "default", "coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    return Job(SCHEDULER, id=name, func=print, args=(), kwargs={}, trigger=Once(), next_run_time=at(seconds), **options)


def due(jobs: HeapJobs, seconds: float) -> list[str]:
    """Those that are due, which are taken, as the scheduler does."""
    found = jobs.get_due_jobs(at(seconds))
    for one in found:
        jobs.remove_job(one.id)
    return [one.id for one in found]


def test_the_earliest_comes_first() -> None:
    """Only what is due, in the order of its times; the next one says when to come back."""
    jobs = HeapJobs()
    for name, seconds in (("late", 3), ("soon", 1), ("now", 0)):
        jobs.add_job(job(name, seconds))
    assert due(jobs, 1) == ["now", "soon"]
    assert jobs.get_next_run_time() == at(3)


def test_what_was_moved_is_due_at_its_new_time_only() -> None:
    """Whether it was put off or brought forward, and whether it was moved away and back again."""
    jobs = HeapJobs()
    for name in ("off", "forward", "back"):
        jobs.add_job(job(name, 5))
    for name, seconds in (("off", 9), ("forward", 1), ("back", 8), ("back", 5)):
        assert jobs.move(name, at(seconds))
    assert not jobs.move("unknown", at(1))
    assert [due(jobs, seconds) for seconds in (0, 1, 4, 5, 8, 9)] == [[], ["forward"], [], ["back"], [], ["off"]]
    assert jobs.get_next_run_time() is None


def test_what_was_dropped_is_neither_due_nor_there() -> None:
    """Also when it is dropped while it fires: its next time does not bring it back."""
    jobs = HeapJobs()
    dropped, kept = job("dropped", 1), job("kept", 2)
    jobs.add_job(dropped)
    jobs.add_job(kept)
    jobs.remove_job("dropped")
    dropped.next_run_time = at(1)
    jobs.update_job(dropped)
    assert jobs.lookup_job("dropped") is None
    assert jobs.get_next_run_time() == at(2)
    assert due(jobs, 5) == ["kept"]
    with pytest.raises(JobLookupError):
        jobs.remove_job("dropped")


def test_a_name_is_taken_once() -> None:
    """APScheduler replaces a job by that answer."""
    jobs = HeapJobs()
    jobs.add_job(job("one", 1))
    with pytest.raises(ConflictingIdError):
        jobs.add_job(job("one", 2))


def test_jobs_that_are_moved_over_and_over_fill_no_memory() -> None:
    """Entries that count no more are carried along up to a number."""
    jobs = HeapJobs()
    jobs.add_job(job("one", 1))
    for number in range(3 * DEAD_ENTRIES):
        jobs.move("one", at(number))
    assert len(jobs._heap) <= DEAD_ENTRIES + 3
    assert due(jobs, 4 * DEAD_ENTRIES) == ["one"]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(("put", "drop", "shift")), st.integers(0, 9)), max_size=25
    )
)
def test_it_does_what_a_plain_dictionary_would(steps: list[tuple[str, str, int]]) -> None:
    """Whatever is added, moved, dropped and shifted in whatever order."""
    jobs, plain = HeapJobs(), {}
    for name, step, seconds in steps:
        if step == "put":
            if not jobs.move(name, at(seconds)):
                jobs.add_job(job(name, seconds))
            plain[name] = at(seconds)
        elif step == "drop" and name in plain:
            jobs.remove_job(name)
            del plain[name]
        elif step == "shift":
            jobs.move_along(timedelta(seconds=seconds))
            plain = {name: when + timedelta(seconds=seconds) for name, when in plain.items()}
        assert jobs.get_next_run_time() == min(plain.values(), default=None)
    assert {one.id: one.next_run_time for one in jobs.get_all_jobs()} == plain
    assert due(jobs, 1e6) == sorted(plain, key=lambda name: (plain[name], name))
