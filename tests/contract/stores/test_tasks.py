"""TaskStore: what is polled, what is kept of it, and how it ends."""

import asyncio
import json
from dataclasses import replace

import pytest

from notifier.domain.task import End
from notifier.ports import Expired
from tests.contract.stores.building import (
    DAY,
    T0,
    Announcer,
    at,
    completed,
    delivered,
    failed,
    given_up,
    nothing_known,
    registration,
    watch_id,
)

OTHER = "https://other.example.com/hook"


async def watching(store, *wanted):
    """Register, and give back the (one) task that is to be polled."""
    return (await store.register(wanted or [registration(1)], T0, Announcer()))[-1].task


# Watched


async def test_every_watched_task_and_no_other(store, announcer):
    """Ended and cancelled ones are not polled."""
    await store.register([registration(n, task=f"vid_{n}") for n in range(1, 5)], T0, announcer)
    tasks = {task.task_id: task for task in await store.watched({"videos": 30.0})}
    await store.end(completed(tasks["vid_1"]), announcer)
    await store.end(given_up(tasks["vid_2"]), announcer)
    await store.cancel(watch_id(3), at(5), nothing_known)
    assert [task.task_id for task in await store.watched({"videos": 30.0})] == ["vid_4"]


async def test_a_watch_without_interval_follows_its_provider(store):
    """What the configuration says now counts, not what it said at the registration."""
    await watching(store, registration(1), registration(2, task="vid_2", interval=50.0))
    await watching(store, registration(3, task="vid_2", url=OTHER))
    tasks = {task.task_id: task.interval for task in await store.watched({"videos": 12.0})}
    assert tasks == {"vid_1": 12.0, "vid_2": 12.0}
    tasks = {task.task_id: task.interval for task in await store.watched({"videos": 70.0})}
    assert tasks == {"vid_1": 70.0, "vid_2": 50.0}


async def test_changed_usual_intervals_count_in_what_remains(store):
    """After `watched` told new ones, a task that is left over by a cancellation runs on them."""
    await watching(store, registration(1, interval=5.0), registration(2, url=OTHER))
    await store.watched({"videos": 12.0})
    assert (await store.cancel(watch_id(1), at(5), nothing_known)).task.interval == 12.0


async def test_a_task_of_an_unknown_provider_is_still_named(store):
    """A provider that the configuration lost keeps its tasks: they rest, and reach their deadline."""
    await watching(store, registration(1, interval=45.0), registration(2, task="vid_2"))
    tasks = {task.task_id: task for task in await store.watched({})}
    assert tasks["vid_1"].interval == 45.0
    assert tasks["vid_2"].interval > 0


# Saving


async def test_what_was_learned_is_kept(backend):
    """All that a restart must not forget comes back; how often the provider was unavailable need not."""
    store = await backend.open()
    task = await watching(store)
    learned = replace(
        task,
        status="queued",
        response='{"status":"queued"}',
        polls=7,
        last_polled_at=at(33),
        last_error="HTTP 404",
        misses=2,
        missed_since=at(20),
        bare=1,
    )
    await store.save([replace(learned, setbacks=3)])
    await store.close()
    store = await backend.open()
    assert list(await store.watched({"videos": 30.0})) == [learned]
    view = await store.watch(watch_id(1))
    assert (view.status, view.polls, view.last_polled_at, view.last_error) == ("queued", 7, at(33), "HTTP 404")
    await store.close()


async def test_saving_does_not_touch_an_ended_task(store, announcer):
    """A poll that comes in late changes nothing of the end."""
    task = await watching(store)
    await store.end(completed(task), announcer)
    await store.save([replace(task, status="processing", polls=99)])
    assert (await store.watch(watch_id(1))).status == "completed"


async def test_saving_many_and_none(store, announcer):
    """Any number in one call."""
    results = await store.register([registration(n, task=f"vid_{n}") for n in range(50)], T0, announcer)
    await store.save([])
    await store.save([replace(result.task, polls=n + 1) for n, result in enumerate(results)])
    assert sorted(task.polls for task in await store.watched({"videos": 30.0})) == list(range(1, 51))


# Ending


@pytest.mark.parametrize(("ended", "state"), [(completed, "completed"), (failed, "failed"), (given_up, "abandoned")])
async def test_an_end_ends_every_watch_and_owes_their_deliveries(store, announcer, ended, state):
    """One transaction: the task, its watches, and a pending delivery for each, due when the end was learned."""
    task = ended(await watching(store, registration(1), registration(2, url=OTHER)))
    owed = await store.end(task, announcer)
    assert [delivery.watch_id for delivery in owed] == [watch_id(1), watch_id(2)]
    for delivery in owed:
        event = announcer.events[delivery.watch_id]
        assert (delivery.id, delivery.type, delivery.body) == (event.id, event.type, event.body)
        assert (delivery.state, delivery.created_at, delivery.next_attempt_at) == ("pending", at(60), at(60))
        assert await store.delivery(delivery.id) == delivery
        view = await store.watch(delivery.watch_id)
        assert (view.watch.state, view.watch.ended_at) == (state, at(60))
        assert (view.delivery.id, view.delivery.state, view.delivery.attempts) == (delivery.id, "pending", 0)
        assert (view.status, view.polls) == (task.status, task.polls)
    assert [(told, watch.state) for told, watch in announcer.told] == [(task, state)] * 2
    assert list(await store.watched({"videos": 30.0})) == []


async def test_an_end_is_an_end_once(store, announcer):
    """The second end of a task does nothing and owes nothing, whatever it says."""
    task = await watching(store)
    await store.end(completed(task), announcer)
    assert list(await store.end(failed(task), announcer)) == []
    assert (await store.watch(watch_id(1))).watch.state == "completed"
    assert len(announcer.told) == 1


async def test_of_many_ends_at_once_one_wins(store, announcer):
    """Compare-and-set: however many race, one delivery for each watch."""
    task = await watching(store)
    ends = await asyncio.gather(*(store.end(completed(task, seconds), announcer) for seconds in range(20)))
    assert sorted(len(owed) for owed in ends) == [0] * 19 + [1]
    assert (await store.counts()).deliveries["pending"] == 1


async def test_an_end_of_a_cancelled_task_owes_nothing(store, announcer):
    """Nobody watches it any more."""
    task = await watching(store)
    await store.cancel(watch_id(1), at(5), nothing_known)
    assert list(await store.end(completed(task), announcer)) == []


async def test_an_unwanted_event_ends_the_watch_without_a_delivery(store, announcer):
    """An endpoint that does not list the type is not told; its watch ends all the same."""
    announcer.unwanted.add("task.completed")
    task = await watching(store)
    assert list(await store.end(completed(task), announcer)) == []
    view = await store.watch(watch_id(1))
    assert (view.watch.state, view.delivery) == ("completed", None)


async def test_ending_a_task_that_goes_on_is_our_fault(store, announcer):
    """A task without an end cannot be stored as ended, and stays as it is."""
    task = await watching(store)
    with pytest.raises(ValueError, match="goes on"):
        await store.end(task, announcer)
    assert len(await store.watched({"videos": 30.0})) == 1


async def test_result_urls_and_errors_come_back_as_they_were(store, announcer):
    """What a late watch is told about the end is exactly what was learned at it."""
    task = await watching(store)
    urls = ("https://cdn.example.com/ä?a=1&b=\"2\"", "https://cdn.example.com/\u2028")
    await store.end(replace(task, end=End("completed", at(9), urls=urls)), announcer)
    await store.register([registration(2, url=OTHER)], at(500), announcer)
    assert announcer.told[-1][0].end == End("completed", at(9), urls=urls)


# Deadlines


async def test_a_deadline_abandons_the_watch(store, announcer):
    """At its deadline a watch is abandoned and told why; without any other the task ends with it."""
    task = replace(await watching(store, registration(1, deadline=100.0)), polls=4, status="queued")
    expired = await store.expire(task, at(100), announcer)
    assert expired.task is None
    (owed,) = expired.owed
    assert (owed.type, owed.created_at, owed.next_attempt_at) == ("task.abandoned", at(100), at(100))
    data = json.loads(owed.body)["data"]
    assert (data["reason"], data["status"], data["polls"]) == ("deadline", "queued", 4)
    view = await store.watch(watch_id(1))
    assert (view.watch.state, view.watch.ended_at, view.status, view.polls) == ("abandoned", at(100), "queued", 4)
    assert list(await store.watched({"videos": 30.0})) == []
    assert list(await store.end(completed(task), announcer)) == []


async def test_a_deadline_leaves_those_with_a_later_one(store, announcer):
    """The task goes on, as its caller knows it, on the terms of who is left."""
    await watching(store, registration(1, deadline=100.0, interval=5.0), registration(2, url=OTHER))
    (task,) = await store.watched({"videos": 30.0})
    task = replace(task, polls=4, setbacks=2)
    expired = await store.expire(task, at(150), announcer)
    assert [owed.watch_id for owed in expired.owed] == [watch_id(1)]
    assert expired.task == replace(task, interval=30.0, deadline_at=at(DAY), fixed=False)
    assert (await store.watch(watch_id(2))).watch.state == "watching"
    owed = await store.end(completed(expired.task, 200), announcer)
    assert [delivery.watch_id for delivery in owed] == [watch_id(2)]


async def test_a_deadline_keeps_what_was_learned_for_those_with_a_later_one(store, announcer):
    """What the abandoned watch's event said of the polls is what both watches show, also after a restart."""
    await watching(store, registration(1, deadline=100.0), registration(2, url=OTHER))
    (task,) = await store.watched({"videos": 30.0})
    await store.expire(replace(task, polls=4, last_polled_at=at(90), status="queued"), at(150), announcer)
    views = [await store.watch(watch_id(number)) for number in (1, 2)]
    assert [view.watch.state for view in views] == ["abandoned", "watching"]
    assert [(view.polls, view.last_polled_at, view.status) for view in views] == [(4, at(90), "queued")] * 2


async def test_a_deadline_that_has_not_come_ends_nothing(store, announcer):
    """One microsecond before it nothing happens, and the task says when to come again."""
    task = await watching(store, registration(1, deadline=100.0))
    expired = await store.expire(replace(task, deadline_at=at(1)), at(99.999999), announcer)
    assert expired == Expired((), task)


async def test_a_deadline_after_the_end_changes_nothing(store, announcer):
    """What has ended cannot be abandoned."""
    task = await watching(store, registration(1, deadline=100.0))
    await store.end(completed(task), announcer)
    assert await store.expire(task, at(500), announcer) == Expired((), None)
    assert (await store.watch(watch_id(1))).watch.state == "completed"


async def test_a_task_abandoned_at_its_deadline_can_be_watched_anew(store, announcer):
    """The next registration polls it afresh."""
    task = await watching(store, registration(1, deadline=100.0))
    await store.expire(task, at(100), announcer)
    (again,) = await store.register([registration(2, url=OTHER)], at(200), announcer)
    assert (again.task.key, again.task.polls, again.task.end) == (task.key, 0, None)


async def test_a_new_task_never_gets_the_key_of_a_deleted_one(store, announcer):
    """A poll in flight for a task that was deleted meanwhile must not be taken for another's."""
    task = await watching(store)
    (owed,) = await store.end(completed(task), announcer)
    await store.settle(*delivered(owed))
    assert await store.clean(at(1000)) == 1
    (fresh,) = await store.register([registration(2, task="vid_2")], at(1001), announcer)
    assert fresh.task.key != task.key


# A task that was given up, and is watched anew


async def given_up_and_watched_anew(store):
    """The task as it was, and as it is."""
    before = await watching(store)
    await store.cancel(watch_id(1), at(5), nothing_known)
    ((again,),) = [await store.register([registration(2)], at(6), Announcer())]
    return before, again.task


async def test_what_was_known_of_an_earlier_watch_is_not_kept(store):
    """Neither by itself nor along with a cancellation: a row of misses is not continued."""
    before, after = await given_up_and_watched_anew(store)
    missed = replace(before, misses=3, polls=9, missed_since=at(3))
    await store.save([missed])
    assert (await store.watched({"videos": 30.0})) == [after]
    await store.register([registration(3, url=OTHER)], at(7), Announcer())
    await store.cancel(watch_id(3), at(8), lambda _: missed)
    assert (await store.watched({"videos": 30.0})) == [after]
    await store.save([replace(after, polls=2)])
    assert [task.polls for task in await store.watched({"videos": 30.0})] == [2]


async def test_an_end_of_an_earlier_watch_ends_no_later_one(store, announcer):
    """By an answer or by the deadline; what is known of the later one does end it."""
    before, after = await given_up_and_watched_anew(store)
    assert list(await store.end(given_up(before), announcer)) == []
    assert await store.expire(before, at(2 * DAY), announcer) == Expired((), None)
    assert (await store.watched({"videos": 30.0})) == [after]
    (owed,) = await store.end(completed(after), announcer)
    assert owed.watch_id == watch_id(2)


async def test_old_and_new_ends_that_share_a_commit(store, announcer):
    """The old one owes nothing, the new one what it owes, in whichever order they were asked for."""
    before, after = await given_up_and_watched_anew(store)
    ends = await asyncio.gather(*(store.end(completed(task), announcer) for task in (before, after)))
    assert [len(owed) for owed in ends] == [0, 1]
