"""Group commit: what is written together succeeds and fails as if it had been written alone."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from notifier.adapters.stores import writer
from notifier.adapters.stores.sqlite import open_sqlite
from notifier.ports import Page, StoreUnavailableError
from tests.contract.stores.building import (
    T0,
    Announcer,
    at,
    completed,
    delivered,
    nothing_known,
    registration,
    tried,
    watch_id,
)


class OurFaultError(Exception):
    pass


def faulty(task, watch):
    raise OurFaultError


async def registered(store, count: int):
    wanted = [registration(n, task=f"vid_{n}") for n in range(count)]
    return [result.task for result in await store.register(wanted, T0, Announcer())]


async def test_a_failing_write_does_not_fail_its_neighbours(store, announcer):
    """Of writes that share a transaction, the one that raises is undone alone, and its caller alone is told."""
    tasks = await registered(store, 9)
    ends = [store.end(completed(task), faulty if n == 4 else announcer) for n, task in enumerate(tasks)]
    results = await asyncio.gather(*ends, return_exceptions=True)
    assert isinstance(results[4], OurFaultError)
    assert [len(owed) for n, owed in enumerate(results) if n != 4] == [1] * 8
    assert [task.task_id for task in await store.watched({})] == ["vid_4"]
    assert (await store.counts()).deliveries["pending"] == 8


async def test_a_failing_write_alone_leaves_nothing_behind(store, announcer):
    """Its part of the work is rolled back, and the next write goes well."""
    (task,) = await registered(store, 1)
    with pytest.raises(OurFaultError):
        await store.end(completed(task), faulty)
    assert (await store.watch(watch_id(0))).watch.state == "watching"
    assert len(await store.end(completed(task), announcer)) == 1


async def test_a_constraint_is_the_failing_writes_own_fault(store):
    """A broken constraint says something of the write, not of the store: neighbours go on, and it is no outage."""
    duplicate = registration(1, task="vid_other")
    results = await asyncio.gather(
        store.register([registration(1)], T0, Announcer()),
        store.register([duplicate], T0, Announcer()),
        store.register([registration(2, task="vid_2")], T0, Announcer()),
        return_exceptions=True,
    )
    assert [isinstance(result, IntegrityError) for result in results] == [False, True, False]
    assert len((await store.watches(Page())).watches) == 2


async def test_writes_happen_in_the_order_in_which_they_were_asked_for(store, announcer):
    """Also within one transaction: the first of two contradicting writes wins."""
    (task,) = await registered(store, 1)
    cancelled, owed = await asyncio.gather(
        store.cancel(watch_id(0), at(5), nothing_known), store.end(completed(task), announcer)
    )
    assert (cancelled.task_key, list(owed)) == (task.key, [])


async def test_callers_are_told_in_order(store):
    """Who wrote first acts first on the outcome."""
    told = []

    async def write(number):
        await store.register([registration(number, task=f"vid_{number}")], T0, Announcer())
        told.append(number)

    await asyncio.gather(*(write(number) for number in range(50)))
    assert told == list(range(50))


async def test_a_cancelled_caller_does_not_undo_its_write(store):
    """Nor does it disturb who waits for the same commit."""
    leaving = asyncio.ensure_future(store.register([registration(1)], T0, Announcer()))
    staying = asyncio.ensure_future(store.register([registration(2, task="vid_2")], T0, Announcer()))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert await store.watch(watch_id(1)) is not None
    assert leaving.cancelled() or leaving.cancelling()


async def test_what_was_asked_for_is_written_before_the_store_closes(backend):
    """Closing loses nothing; afterwards everything is refused as unavailable."""
    store = await backend.open()
    writes = [
        asyncio.ensure_future(store.register([registration(n, task=f"vid_{n}")], T0, Announcer())) for n in range(700)
    ]
    await asyncio.sleep(0)
    await store.close()
    assert all([(await write)[0].created for write in writes])
    for call in (store.ping(), store.counts()):
        with pytest.raises(StoreUnavailableError, match="closed"):
            await call
    await store.close()
    store = await backend.open()
    assert (await store.counts()).watches["watching"] == 700
    await store.close()


async def test_a_burst_shares_its_commits(tmp_path, announcer):
    """Many writes at once take a few fsyncs, not one each."""
    store = await open_sqlite(tmp_path / "notifier.db")
    tasks = await registered(store, 400)
    frames = await _log_frames(tmp_path)
    await asyncio.gather(*(store.save([replace(task, polls=1)]) for task in tasks))
    assert await _log_frames(tmp_path) - frames < 400
    await store.close()


async def _log_frames(folder):
    return (folder / "notifier.db-wal").stat().st_size // 4096


async def test_callers_are_told_in_order_and_a_few_at_a_time(store, monkeypatch):
    """Five hundred that share a commit do not take the event loop for themselves, and nobody who was committed later
    hears of it earlier."""
    monkeypatch.setattr(writer, "TOLD_AT_ONCE", 3)
    loop, turns, told = asyncio.get_running_loop(), [0], []

    def turn():
        turns[0] += 1
        if len(told) < 20:
            loop.call_soon(turn)

    async def register(number):
        await store.register([registration(number, task=f"vid_{number}")], T0, Announcer())
        told.append((number, turns[0]))

    loop.call_soon(turn)
    await asyncio.gather(*(register(number) for number in range(20)))
    assert [number for number, _ in told] == list(range(20))
    at = [when for _, when in told]
    assert max(at.count(when) for when in at) <= 3


async def test_each_of_those_that_go_together_gets_its_own_answer(store, announcer):
    """Ends, attempts and registrations that share their statements are answered as if each had come alone."""
    tasks = await registered(store, 4)
    await store.cancel(watch_id(1), at(1), nothing_known)
    owed = await asyncio.gather(*(store.end(completed(task), announcer) for task in [*tasks, tasks[0]]))
    assert [[delivery.watch_id for delivery in one] for one in owed] == [
        [watch_id(0)], [], [watch_id(2)], [watch_id(3)], [],
    ]  # fmt: skip
    first, third, fourth = (owed[n][0] for n in (0, 2, 3))
    await store.settle(*tried(third))
    kept = await asyncio.gather(*(store.settle(*delivered(one)) for one in (first, third, fourth)))
    assert kept == ["kept", "known", "kept"]
    assert [len((await store.delivery_view(one.id)).log) for one in (first, third, fourth)] == [1, 1, 1]
    same, other = registration(8, task="vid_8"), registration(9, task="vid_8", url="https://other.example.com/")
    asked = await asyncio.gather(*(store.register(ones, T0, announcer) for ones in ([same], [same, other], [])))
    assert [[one.created for one in answers] for answers in asked] == [[True], [False, True], []]
    assert {one.task.key for answers in asked for one in answers if one.created} == {asked[0][0].view.task_key}


async def test_what_is_alike_shares_its_statements(tmp_path, announcer):
    """Two hundred ends at once, and their attempts, take hardly more statements than one."""
    store = await open_sqlite(tmp_path / "notifier.db")
    tasks, statements = await registered(store, 200), []
    event.listen(store._writer._engine, "before_cursor_execute", lambda *execution: statements.append(execution[2]))
    owed = await asyncio.gather(*(store.end(completed(task), announcer) for task in tasks))
    await asyncio.gather(*(store.settle(*delivered(one)) for (one,) in owed))
    assert 5 < len(statements) < 100
    assert (await store.counts()).deliveries["delivered"] == 200
    await store.close()


async def test_what_is_patient_goes_along_with_what_is_not(store, announcer, monkeypatch):
    """Nobody is held up by an attempt that is saved a moment later; whoever comes meanwhile shares the commit."""
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 3600.0)
    tasks = await registered(store, 2)
    owed = [(await store.end(completed(task), announcer))[0] for task in tasks]
    attempts = [asyncio.ensure_future(store.settle(*delivered(one))) for one in owed]
    await asyncio.sleep(0)
    await store.ping()
    assert [await one for one in attempts] == ["kept", "kept"]


async def test_what_is_patient_waits_no_longer_than_for_a_moment(store, announcer):
    """Nobody else need come; and what still waits when the store closes is written."""
    tasks = await registered(store, 2)
    owed = [(await store.end(completed(task), announcer))[0] for task in tasks]
    assert await store.settle(*delivered(owed[0])) == "kept"
    last = asyncio.ensure_future(store.settle(*delivered(owed[1])))
    await asyncio.sleep(0)
    await store.close()
    assert await last == "kept"
