"""Upkeep: what is old goes, what is still needed stays."""

import asyncio

from notifier.ports import Page
from tests.contract.stores.building import (
    T0,
    Announcer,
    at,
    completed,
    declaration,
    delivered,
    given_up,
    nothing_known,
    registration,
    tried,
    watch_id,
)

OTHER = "https://other.example.com/hook"


async def end(store, number: int, *, settle: bool = True):
    """A watch of a task of its own that ended (and was told) `number` seconds after T0."""
    announcer = Announcer()
    (result,) = await store.register([registration(number, task=f"vid_{number}")], T0, announcer)
    (owed,) = await store.end(completed(result.task, number), announcer)
    if settle:
        await store.settle(*delivered(owed))
    return owed


async def remaining(store):
    return {view.watch.id for view in (await store.watches(Page(1000))).watches}


async def test_what_ended_before_is_deleted_with_its_deliveries(store):
    """Strictly before: a watch that ended at that very moment stays."""
    owed = [await end(store, number) for number in (10, 20, 30)]
    assert await store.clean(at(20)) == 1
    assert await remaining(store) == {watch_id(20), watch_id(30)}
    assert await store.delivery_view(owed[0].id) is None
    assert (await store.delivery_view(owed[1].id)).log != ()


async def test_cancelled_and_abandoned_watches_grow_old_too(store):
    """Whatever ended a watch."""
    one, _ = await store.register([registration(1), registration(2, task="vid_2")], T0, Announcer())
    await store.end(given_up(one.task, 10), lambda *_: None)
    await store.cancel(watch_id(2), at(10), nothing_known)
    assert await store.clean(at(11)) == 2
    assert await remaining(store) == set()


async def test_what_is_watched_stays_however_old(store):
    """Nothing that is still promised is deleted."""
    await store.register([registration(1)], T0, Announcer())
    assert await store.clean(at(10**9)) == 0
    assert len(await store.watched({})) == 1


async def test_what_is_declared_stays(store, announcer):
    """A declared watch that has ended must be remembered, or it would be told again at the next reload."""
    declared = await store.declare([declaration(1)], T0, announcer, nothing_known)
    (owed,) = await store.end(completed(declared.tasks[0], 10), announcer)
    await store.settle(*delivered(owed))
    assert await store.clean(at(1000)) == 0
    assert (await store.declare([declaration(2)], at(1001), announcer, nothing_known)).added == ()
    await store.declare([], at(1002), announcer, nothing_known)
    assert await store.clean(at(1003)) == 1


async def test_a_declared_watch_from_the_intake_stays_too(store, announcer):
    """Being listed counts, not who registered it first."""
    await end(store, 1)
    await store.declare([declaration(2, task="vid_1")], at(50), announcer, nothing_known)
    assert await store.clean(at(1000)) == 0


async def test_a_declared_watch_that_was_cancelled_grows_old(store, announcer):
    """The listing is a new watch's from then on."""
    await store.declare([declaration(1)], T0, announcer, nothing_known)
    await store.cancel(watch_id(1), at(5), nothing_known)
    assert await store.clean(at(1000)) == 1


async def test_what_still_owes_a_delivery_stays(store):
    """A pending delivery keeps its watch; a settled one does not."""
    pending = await end(store, 1, settle=False)
    exhausted = await end(store, 2, settle=False)
    await store.settle(*tried(exhausted, state="exhausted", reason="schedule", next_attempt_at=None))
    assert await store.clean(at(1000)) == 1
    assert await store.delivery(pending.id) == pending


async def test_a_task_goes_with_its_last_watch(store, announcer):
    """As long as one watch is left its task's end is known; afterwards the same task is a new one."""
    await end(store, 1)
    (late,) = await store.register([registration(2, task="vid_1", url=OTHER)], at(500), lambda *_: None)
    assert late.view.watch.state == "completed"
    assert await store.clean(at(400)) == 1
    (known,) = await store.register([registration(3, task="vid_1", url=OTHER + "3")], at(500), lambda *_: None)
    assert known.task is None
    assert await store.clean(at(600)) == 2
    (new,) = await store.register([registration(4, task="vid_1")], at(700), announcer)
    assert new.task.polls == 0


async def test_a_watched_task_stays_when_an_old_watch_of_it_goes(store):
    """Deleting a cancelled watch leaves its task to the others."""
    await store.register([registration(1), registration(2, url=OTHER)], T0, Announcer())
    await store.cancel(watch_id(1), at(5), nothing_known)
    assert await store.clean(at(1000)) == 1
    assert len(await store.watched({})) == 1


async def test_more_than_one_portion_is_deleted(store):
    """However much is old, and whatever of it must stay in between, one call deletes all that can go."""
    announcer = Announcer()
    wanted = [registration(n, task=f"vid_{n}") for n in range(900)]
    registered = await store.register(wanted, T0, announcer)
    owed = await asyncio.gather(*(store.end(completed(result.task, 10), announcer) for result in registered))
    await asyncio.gather(*(store.settle(*delivered(delivery)) for n, (delivery,) in enumerate(owed) if n % 3))
    assert await store.clean(at(1000)) == 600
    assert len(await remaining(store)) == 300
    assert await store.clean(at(1000)) == 0


async def test_writes_slip_in_between_the_portions(store):
    """While much is deleted, a registration does not wait for the end of it."""
    await store.declare([declaration(n, task=f"vid_{n}") for n in range(3000)], T0, Announcer(), nothing_known)
    await store.declare([], at(5), Announcer(), nothing_known)
    cleaning = asyncio.ensure_future(store.clean(at(1000)))
    await asyncio.sleep(0)
    await store.register([registration(5000, task="vid_5000")], at(1001), Announcer())
    assert not cleaning.done()
    assert await cleaning == 3000


async def test_ping_writes(store):
    """It answers when a write is durable."""
    await store.ping()
    await store.ping()
