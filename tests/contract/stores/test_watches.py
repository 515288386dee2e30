"""WatchStore: accepting once, cancelling, reconciling with the configuration."""

from dataclasses import replace

from notifier.adapters.stores.store import SqlStore
from notifier.domain.task import Task
from notifier.domain.watch import Watch
from notifier.ports import Cancelled, Page, Registered
from tests.contract.stores.building import (
    DAY,
    HOOK,
    T0,
    Announcer,
    at,
    completed,
    declaration,
    failed,
    given_up,
    nothing_known,
    registration,
    watch_id,
)

OTHER = "https://other.example.com/hook"


async def register(store: SqlStore, *wanted, announcer: Announcer | None = None, seconds: float = 0.0):
    return await store.register(wanted, at(seconds), announcer or Announcer())


async def polled(store: SqlStore) -> dict[str, Task]:
    return {task.task_id: task for task in await store.watched({"videos": 30.0})}


# Registering


async def test_other_variables_are_another_task(store, announcer):
    """The same id of the same provider for the same URL: two tasks with an end each, and each watch stays with its
    own over a restart; equal variables are the same watch."""
    plain, european = registration(1), registration(2, variables='{"region":"eu"}')
    first, second, again = await register(store, plain, european, replace(european, id=watch_id(3)))
    assert (first.created, second.created, again.created) == (True, True, False)
    assert again.view == second.view
    assert first.view.task_key != second.view.task_key
    tasks = {task.key: task.variables for task in await store.watched({"videos": 30.0})}
    assert tasks == {first.view.task_key: "{}", second.view.task_key: '{"region":"eu"}'}
    await store.end(completed(second.task), announcer)
    assert announcer.told[0][1].variables == '{"region":"eu"}'
    states = {view.watch.variables: view.watch.state for view in (await store.watches(Page(10))).watches}
    assert states == {"{}": "watching", '{"region":"eu"}': "completed"}


async def test_declared_watches_keep_to_their_variables(store, announcer):
    """A changed value cancels the one watch and adds another."""
    await store.declare([declaration(1, variables='{"a":"1"}')], at(0), announcer, nothing_known)
    declared = await store.declare([declaration(2, variables='{"a":"2"}')], at(1), announcer, nothing_known)
    assert ([watch.id for watch in declared.added], declared.changed, declared.cancelled) == ([watch_id(2)], 0, 1)


async def test_a_new_watch_is_shown_as_asked_for(store, announcer):
    """A registration's values come back; the deadline counts from now; its task is to be polled, untouched."""
    (result,) = await register(store, registration(1, interval=45.0, deadline=3600.0))
    view = result.view
    assert view.watch == Watch(
        id=watch_id(1),
        provider="videos",
        task_id="vid_1",
        callback_url=HOOK,
        state="watching",
        interval=45.0,
        registered_at=T0,
        deadline_at=at(3600),
        ended_at=None,
        source="intake",
        metadata='{"order":1042}',
    )
    assert (view.status, view.polls, view.last_polled_at, view.last_error, view.delivery) == (None, 0, None, None, None)
    assert result.created
    assert result.owed == ()
    task = Task(view.task_key, "videos", "vid_1", 45.0, at(3600), watched_since=T0, fixed=True)
    assert result.task == task
    assert await store.watch(watch_id(1)) == view


async def test_the_same_promise_is_made_once(store, announcer):
    """A second registration of the same task and URL gives the first watch, unchanged whatever it asks for."""
    (first,) = await register(store, registration(1))
    (second,) = await register(store, registration(2, interval=5.0, metadata="{}", deadline=60.0), seconds=9)
    assert second == Registered(first.view, created=False, task=None)
    assert await store.watch(watch_id(2)) is None


async def test_equal_registrations_in_one_call_make_one_watch(store):
    """Order decides: the first of equal registrations is created, the later ones find it."""
    one, two, three = await register(store, registration(1), registration(2, task="vid_2"), registration(3))
    assert (one.created, two.created, three.created) == (True, True, False)
    assert three.view == one.view


async def test_answers_come_in_the_order_of_the_registrations(store):
    """Old and new ones mixed, each answer stands where its registration stood."""
    await register(store, registration(2, task="vid_2"))
    wanted = [registration(n, task=f"vid_{n}") for n in (3, 2, 1)]
    results = await register(store, *wanted)
    assert [result.view.watch.task_id for result in results] == ["vid_3", "vid_2", "vid_1"]
    assert [result.created for result in results] == [True, False, True]


async def test_nothing_to_register_is_no_error(store):
    """An empty call is answered emptily."""
    assert list(await register(store)) == []


async def test_two_urls_of_one_task_share_its_polling(store):
    """One task for two watches: the smallest interval and the earliest deadline count."""
    await register(store, registration(1, deadline=100.0))
    (second,) = await register(store, registration(2, url=OTHER, interval=7.0))
    assert (second.task.interval, second.task.deadline_at) == (7.0, at(100))
    (third,) = await register(store, registration(3, url=OTHER + "3", interval=50.0, deadline=50.0))
    assert (third.task.interval, third.task.deadline_at) == (7.0, at(50))
    assert len(await polled(store)) == 1


async def test_an_own_interval_longer_than_the_usual_one_counts_alone(store):
    """A watch without an interval follows its provider's; one with an interval does not."""
    (alone,) = await register(store, registration(1, interval=90.0))
    (joined,) = await register(store, registration(2, url=OTHER))
    assert (alone.task.interval, joined.task.interval) == (90.0, 30.0)


async def test_tasks_of_two_providers_are_two_tasks(store):
    """Equal task ids of different providers have nothing to do with each other."""
    one, two = await register(store, registration(1), registration(2, provider="images"))
    assert one.task.key != two.task.key
    assert two.created


async def test_a_known_end_is_told_at_once(store, announcer):
    """A watch of a completed task ends as it begins: its delivery is owed, with what was learned at the end."""
    (first,) = await register(store, registration(1))
    await store.end(replace(completed(first.task), polls=5), announcer)
    (late,) = await register(store, registration(2, url=OTHER), announcer=announcer, seconds=500)
    assert late.task is None
    assert late.created
    watch = late.view.watch
    assert (watch.state, watch.registered_at, watch.ended_at) == ("completed", at(500), at(500))
    assert (late.view.status, late.view.polls) == ("completed", 5)
    (owed,) = late.owed
    assert (owed.state, owed.created_at, owed.next_attempt_at) == ("pending", at(500), at(500))
    assert (owed.watch_id, owed.callback_url) == (watch_id(2), OTHER)
    assert await store.delivery(owed.id) == owed
    task, told = announcer.told[-1]
    assert task.end == completed(first.task).end
    assert (task.polls, task.response, told) == (5, '{"status":"completed"}', watch)
    assert late.view.delivery.id == owed.id
    assert await store.watch(watch_id(2)) == late.view


async def test_a_failure_is_known_too_with_its_error(store, announcer):
    """The provider's error is part of what a late watch is told."""
    (first,) = await register(store, registration(1))
    await store.end(failed(first.task), announcer)
    (late,) = await register(store, registration(2, url=OTHER), announcer=announcer, seconds=500)
    assert late.view.watch.state == "failed"
    assert b'"error":{"code":"nsfw","message":"the prompt was refused"}' in late.owed[0].body


async def test_an_event_that_nobody_wants_leaves_no_delivery(store, announcer):
    """A late watch whose endpoint does not want the type ends without a delivery."""
    (first,) = await register(store, registration(1))
    await store.end(completed(first.task), announcer)
    announcer.unwanted.add("task.completed")
    (late,) = await register(store, registration(2, url=OTHER), announcer=announcer)
    assert late.view.watch.state == "completed"
    assert late.owed == ()
    assert (await store.watch(watch_id(2))).delivery is None


async def test_an_ended_watch_is_not_told_again(store, announcer):
    """The same promise after its end gives the ended watch with its delivery, and owes nothing."""
    (first,) = await register(store, registration(1))
    (owed,) = await store.end(completed(first.task), announcer)
    (again,) = await register(store, registration(2), announcer=announcer, seconds=500)
    assert (again.created, again.task, again.owed) == (False, None, ())
    assert again.view.watch.id == watch_id(1)
    assert again.view.delivery.id == owed.id


async def test_an_abandoned_task_is_polled_afresh(store, announcer):
    """A new watch of an abandoned task starts from nothing: no old miss can end it."""
    (first,) = await register(store, registration(1))
    await store.end(replace(given_up(first.task), polls=9, status="queued", bare=2, last_error="404"), announcer)
    (fresh,) = await register(store, registration(2, url=OTHER), seconds=500)
    assert fresh.created
    assert fresh.task == Task(first.task.key, "videos", "vid_1", 30.0, at(500 + DAY), watched_since=at(500))
    assert (fresh.view.status, fresh.view.polls, fresh.view.last_error) == (None, 0, None)
    assert await polled(store) == {"vid_1": fresh.task}
    assert (await store.watch(watch_id(1))).watch.state == "abandoned"


async def test_the_fresh_task_can_end_again(store, announcer):
    """After an abandoned task came back, its end belongs to the new watch alone."""
    (first,) = await register(store, registration(1))
    await store.end(given_up(first.task), announcer)
    (fresh,) = await register(store, registration(2, url=OTHER), seconds=500)
    owed = await store.end(completed(fresh.task, 600), announcer)
    assert [delivery.watch_id for delivery in owed] == [watch_id(2)]


async def test_a_cancelled_promise_can_be_made_again(store):
    """After a cancellation the same registration makes a new watch, and the task is polled afresh."""
    (first,) = await register(store, registration(1))
    await store.save([replace(first.task, polls=3, misses=2, missed_since=at(3))])
    await store.cancel(watch_id(1), at(5), nothing_known)
    (second,) = await register(store, registration(2), seconds=6)
    assert second.created
    assert second.view.watch.id == watch_id(2)
    assert second.task == Task(first.task.key, "videos", "vid_1", 30.0, at(6 + DAY), watched_since=at(6))


async def test_what_a_registration_says_survives_the_process(backend):
    """A watch is there, with everything, when the store is opened again."""
    store = await backend.open()
    (result,) = await register(store, registration(1, interval=0.25, metadata='{"ü":"\\u0000"}', task="a/ b\u2028"))
    await store.close()
    store = await backend.open()
    assert await store.watch(watch_id(1)) == result.view
    assert list(await store.watched({"videos": 30.0})) == [result.task]
    await store.close()


async def test_many_are_accepted_in_one_call(store):
    """More registrations than one statement can name."""
    wanted = [registration(n, task=f"vid_{n % 1500}", url=f"{HOOK}/{n // 1500}") for n in range(2500)]
    results = await register(store, *wanted)
    assert all(result.created for result in results)
    assert [result.view.watch.id for result in results] == [one.id for one in wanted]
    assert not any(result.created for result in await register(store, *wanted))
    assert (await store.counts()).watches["watching"] == 2500


# Cancelling


async def test_cancelling_the_last_watch_drops_its_task(store):
    """The task's key says what to forget; nobody polls it any more."""
    (one,) = await register(store, registration(1))
    assert await store.cancel(watch_id(1), at(5), nothing_known) == Cancelled(one.task.key, None)
    assert await polled(store) == {}
    watch = (await store.watch(watch_id(1))).watch
    assert (watch.state, watch.ended_at) == ("cancelled", at(5))


async def test_cancelling_leaves_the_task_to_the_others(store):
    """What remains is polled on the terms of those who remain."""
    await register(store, registration(1, interval=5.0, deadline=60.0), registration(2, url=OTHER))
    left = (await polled(store))["vid_1"]
    assert left.interval == 5.0
    cancelled = await store.cancel(watch_id(1), at(5), nothing_known)
    assert cancelled == Cancelled(None, replace(left, interval=30.0, deadline_at=at(DAY), fixed=False))


async def test_cancelling_an_ended_watch_changes_nothing(store, announcer):
    """It stays as it ended; so does one that was cancelled before."""
    (one,) = await register(store, registration(1))
    await store.end(completed(one.task), announcer)
    before = await store.watch(watch_id(1))
    assert await store.cancel(watch_id(1), at(500), nothing_known) == Cancelled(None, None)
    assert await store.watch(watch_id(1)) == before
    await register(store, registration(2, task="vid_2"))
    await store.cancel(watch_id(2), at(5), nothing_known)
    assert await store.cancel(watch_id(2), at(6), nothing_known) == Cancelled(None, None)
    assert (await store.watch(watch_id(2))).watch.ended_at == at(5)


async def test_cancelling_what_does_not_exist(store):
    """None says that there is no such watch."""
    assert await store.cancel("wch_unknown", T0, nothing_known) is None


async def test_no_event_for_a_cancelled_watch(store, announcer):
    """The task's end is told to the others only."""
    (one, _) = await register(store, registration(1), registration(2, url=OTHER))
    await store.cancel(watch_id(1), at(5), nothing_known)
    owed = await store.end(completed(one.task), announcer)
    assert [delivery.watch_id for delivery in owed] == [watch_id(2)]
    assert (await store.watch(watch_id(1))).watch.state == "cancelled"


def polled_since(*tasks: Task):
    """What the daemon knows of these after polls that the store was not told of."""
    return {task.key: replace(task, polls=7, last_polled_at=at(4), status="queued", setbacks=1) for task in tasks}.get


async def test_what_is_known_of_a_cancelled_task_is_kept(store):
    """What a poll showed of a watch is not taken back by its end, although the store was not told of the poll."""
    (one,) = await register(store, registration(1))
    await store.cancel(watch_id(1), at(5), polled_since(one.task))
    view = await store.watch(watch_id(1))
    assert (view.status, view.polls, view.last_polled_at) == ("queued", 7, at(4))


async def test_what_is_known_is_kept_too_when_others_watch(store):
    """The task that goes on does so from what is known, on the terms of those who remain."""
    one, _ = await register(store, registration(1, interval=5.0), registration(2, url=OTHER))
    cancelled = await store.cancel(watch_id(1), at(5), polled_since(one.task))
    view = await store.watch(watch_id(1))
    assert (view.polls, view.last_polled_at) == (7, at(4))
    assert (cancelled.task.polls, cancelled.task.interval) == (7, 30.0)
    assert await polled(store) == {"vid_1": cancelled.task}


async def test_an_end_that_waits_to_be_stored_is_not_kept_by_a_cancellation(store):
    """The watch is cancelled with what the store has: nobody was told of that end, and its status was not shown."""
    (one,) = await register(store, registration(1))
    await store.save([replace(one.task, polls=3, status="queued")])
    await store.cancel(watch_id(1), at(5), {one.task.key: completed(replace(one.task, polls=7))}.get)
    view = await store.watch(watch_id(1))
    assert (view.watch.state, view.status, view.polls) == ("cancelled", "queued", 3)


async def test_a_watch_that_had_ended_keeps_what_was_known_at_its_end(store, announcer):
    """Cancelling it asks for nothing that is known by now."""
    (one,) = await register(store, registration(1))
    await store.end(completed(one.task), announcer)
    before = await store.watch(watch_id(1))
    await store.cancel(watch_id(1), at(500), polled_since(one.task))
    assert await store.watch(watch_id(1)) == before


# Declaring


async def test_declared_watches_are_added(store, announcer):
    """What is new in the file is watched, as coming from the configuration."""
    wanted = [declaration(1), declaration(2, url=OTHER, interval=9.0)]
    declared = await store.declare(wanted, T0, announcer, nothing_known)
    assert (declared.changed, declared.cancelled) == (0, 0)
    assert [watch.id for watch in declared.added] == [watch_id(1), watch_id(2)]
    assert declared.added[1] == (await store.watch(watch_id(2))).watch
    assert [task.interval for task in declared.tasks] == [9.0]
    assert (declared.dropped, declared.owed) == ((), ())
    assert (await store.watch(watch_id(1))).watch.source == "config"


async def test_declaring_the_same_changes_nothing(store, announcer):
    """A reload without changes leaves every watch alone and names no task."""
    await store.declare([declaration(1)], T0, announcer, nothing_known)
    before = await store.watch(watch_id(1))
    again = await store.declare([declaration(2)], at(50), announcer, nothing_known)
    assert (len(again.added), again.changed, again.cancelled, again.tasks, again.dropped) == (0, 0, 0, (), ())
    assert await store.watch(watch_id(1)) == before


async def test_a_changed_declaration_changes_its_watch(store, announcer):
    """Interval, deadline (from the registration on) and metadata are the file's; the task follows."""
    await store.declare([declaration(1), declaration(2, task="vid_2")], T0, announcer, nothing_known)
    changed = declaration(3, interval=9.0, deadline=600.0, metadata="{}")
    declared = await store.declare([changed, declaration(4, task="vid_2")], at(50), announcer, nothing_known)
    assert (len(declared.added), declared.changed, declared.cancelled) == (0, 1, 0)
    watch = (await store.watch(watch_id(1))).watch
    assert (watch.interval, watch.deadline_at, watch.metadata) == (9.0, at(600), "{}")
    assert watch.registered_at == T0
    assert [(task.task_id, task.interval, task.deadline_at) for task in declared.tasks] == [("vid_1", 9.0, at(600))]


async def test_what_the_file_no_longer_lists_is_cancelled(store, announcer):
    """A removed watch is cancelled, and its task dropped when nobody else watches it."""
    first = await store.declare([declaration(1), declaration(2, task="vid_2")], T0, announcer, nothing_known)
    keys = {task.task_id: task.key for task in first.tasks}
    declared = await store.declare([declaration(3)], at(50), announcer, nothing_known)
    assert (declared.cancelled, declared.dropped, declared.tasks) == (1, (keys["vid_2"],), ())
    watch = (await store.watch(watch_id(2))).watch
    assert (watch.state, watch.ended_at) == ("cancelled", at(50))
    assert list(await polled(store)) == ["vid_1"]


async def test_what_is_known_of_tasks_that_the_file_no_longer_lists_is_kept(store, announcer):
    """As with a cancellation: of the task that nobody watches any more, and of the one that others watch; what the
    file still lists is saved by its own polls."""
    listed = [declaration(number, task=f"vid_{number}") for number in (1, 2, 3)]
    await register(store, registration(9, task="vid_2", url=OTHER))
    await store.declare(listed, T0, announcer, nothing_known)
    known = polled_since(*(await polled(store)).values())
    declared = await store.declare(listed[2:], at(50), announcer, known)
    assert [task.polls for task in declared.tasks] == [7]
    views = [await store.watch(watch_id(number)) for number in (1, 2, 3, 9)]
    assert [(view.polls, view.watch.state) for view in views] == [
        (7, "cancelled"),
        (7, "cancelled"),
        (0, "watching"),
        (7, "watching"),
    ]


async def test_a_dropped_task_is_polled_afresh(store, announcer):
    """Nobody watched it: an old row of misses does not count when somebody does again, and no late poll ends it."""
    (task,) = (await store.declare([declaration(1)], T0, announcer, nothing_known)).tasks
    await store.save([replace(task, polls=5, misses=2, missed_since=at(3))])
    await store.declare([], at(50), announcer, nothing_known)
    assert list(await store.end(completed(task), announcer)) == []
    (again,) = await register(store, registration(2), seconds=60)
    assert again.task == Task(task.key, "videos", "vid_1", 30.0, at(60 + DAY), watched_since=at(60))


async def test_a_removed_watch_leaves_its_task_to_others(store, announcer):
    """The task goes on for a watch from the intake, on that one's terms."""
    await register(store, registration(1))
    await store.declare([declaration(2, url=OTHER, interval=5.0)], T0, announcer, nothing_known)
    declared = await store.declare([], at(50), announcer, nothing_known)
    assert (declared.cancelled, declared.dropped) == (1, ())
    assert [task.interval for task in declared.tasks] == [30.0]


async def test_a_watch_from_the_intake_is_not_cancelled_by_its_absence(store, announcer):
    """Its source stays, also after the file listed it, and changed it, for a while."""
    await register(store, registration(1))
    declared = await store.declare([declaration(2, interval=9.0)], T0, announcer, nothing_known)
    assert (len(declared.added), declared.changed) == (0, 1)
    watch = (await store.watch(watch_id(1))).watch
    assert (watch.source, watch.interval) == ("intake", 9.0)
    removed = await store.declare([], at(50), announcer, nothing_known)
    assert removed.cancelled == 0
    assert (await store.watch(watch_id(1))).watch.state == "watching"


async def test_a_declared_watch_that_has_ended_stays_ended(store, announcer):
    """Listed again, changed or removed: what has ended is not told again and does not change."""
    declared = await store.declare([declaration(1)], T0, announcer, nothing_known)
    await store.end(completed(declared.tasks[0]), announcer)
    before = await store.watch(watch_id(1))
    for listed in ([declaration(2)], [declaration(3, interval=9.0, metadata="{}")], [], [declaration(4)]):
        again = await store.declare(listed, at(500), announcer, nothing_known)
        assert (len(again.added), again.changed, again.cancelled, again.tasks, again.owed) == (0, 0, 0, (), ())
    assert await store.watch(watch_id(1)) == before


async def test_a_declared_watch_of_an_ended_task_is_told_at_once(store, announcer):
    """A new watch in the file for a task that we know to have ended owes its delivery now."""
    (one,) = await register(store, registration(1))
    await store.end(completed(one.task), announcer)
    declared = await store.declare([declaration(2, url=OTHER)], at(500), announcer, nothing_known)
    assert (len(declared.added), declared.tasks) == (1, ())
    assert [delivery.watch_id for delivery in declared.owed] == [watch_id(2)]


async def test_a_removed_and_returned_watch_is_new(store, announcer):
    """What was cancelled by its absence and is listed again is another watch."""
    await store.declare([declaration(1)], T0, announcer, nothing_known)
    await store.declare([], at(10), announcer, nothing_known)
    declared = await store.declare([declaration(2)], at(20), announcer, nothing_known)
    assert len(declared.added) == 1
    assert [watch.watch.state for watch in (await store.watches(Page())).watches] == ["watching", "cancelled"]


async def test_a_declaration_given_twice_counts_once(store, announcer):
    """The same promise twice in one declaration is one watch, changed once."""
    declared = await store.declare([declaration(1), declaration(2)], T0, announcer, nothing_known)
    assert len(declared.added) == 1
    again = [declaration(3, interval=9.0), declaration(4, interval=9.0)]
    changed = await store.declare(again, T0, announcer, nothing_known)
    assert (changed.changed, len(changed.tasks)) == (1, 1)


async def test_a_registration_of_a_declared_watch_finds_it(store, announcer):
    """The source that came first stays: the file can still cancel it."""
    await store.declare([declaration(1)], T0, announcer, nothing_known)
    (found,) = await register(store, registration(2))
    assert not found.created
    assert (await store.declare([], at(10), announcer, nothing_known)).cancelled == 1
