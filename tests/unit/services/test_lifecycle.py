"""Deadlines, restarts and stops of the poller."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from notifier.domain.answer import Completed, Running, Throttled, Unauthorized, Unavailable
from notifier.ports import StoreUnavailableError
from notifier.services import poller
from tests.fakes import START
from tests.unit.services.world import LIMITS

DONE = Completed("completed", ("https://cdn.example/1.mp4",))


def reasons(world):
    return [body["data"]["reason"] for body in world.bodies()]


# Deadlines


async def test_the_deadline_abandons_a_task(world):
    """Within a second of it; the event says why and what the provider said last."""
    await world.watch(deadline=100.0)
    await world.passes(99.5)
    assert world.bodies() == []
    await world.passes(0.5)
    (body,) = world.bodies()
    assert (body["type"], body["data"]["reason"], body["data"]["status"]) == (
        "task.abandoned",
        "deadline",
        "processing",
    )
    assert (body["timestamp"], body["data"]["polls"]) == ("2026-11-22T13:34:40.000000Z", 4)
    await world.passes(100)
    assert world.provider.times("vid_1") == [0, 30, 60, 90]


@pytest.mark.parametrize("trouble", [Throttled(3600.0), Unauthorized(401), Unavailable("HTTP 502")])
async def test_the_deadline_holds_while_the_provider_will_not_talk(world, trouble):
    """Paused or not."""
    world.provider.usual = trouble
    await world.watch(deadline=100.0)
    await world.passes(100)
    assert reasons(world) == ["deadline"]


async def test_the_deadline_holds_while_a_poll_hangs(world):
    """What the poll says afterwards changes nothing."""
    world.provider.hold()
    world.provider.script("vid_1", DONE)
    await world.watch(deadline=10.0)
    await world.passes(10)
    world.provider.release()
    await world.crew.run()
    assert reasons(world) == ["deadline"]


async def test_each_watch_has_its_own_deadline(world):
    """The task goes on for those that still wait."""
    await world.watch("vid_1", "https://a.example/hook", deadline=100.0)
    await world.watch("vid_1", "https://b.example/hook", deadline=200.0)
    await world.passes(150)
    assert [post.url for post in world.sender.posts] == ["https://a.example/hook"]
    world.provider.script("vid_1", DONE)
    await world.passes(50)
    assert [body["type"] for body in world.bodies()] == ["task.abandoned", "task.completed"]


async def test_a_deadline_that_moved_holds_as_it_is_now(world):
    """An earlier watch that is cancelled takes its deadline along."""
    await world.watch("vid_1", "https://a.example/hook", deadline=100.0)
    await world.watch("vid_1", "https://b.example/hook", deadline=200.0)
    await world.registrar.cancel("wch_1")
    await world.passes(150)
    assert (world.bodies(), world.store.writes.count("expire")) == ([], 0)
    await world.passes(50)
    assert [post.url for post in world.sender.posts] == ["https://b.example/hook"]


async def test_a_later_watch_with_an_earlier_deadline_is_heard(world):
    """The smallest deadline counts."""
    await world.watch("vid_1", "https://a.example/hook", deadline=200.0)
    await world.watch("vid_1", "https://b.example/hook", deadline=100.0)
    await world.passes(100)
    assert [post.url for post in world.sender.posts] == ["https://b.example/hook"]


async def test_a_task_that_ended_before_its_deadline_is_not_abandoned(world):
    """Nor one that was cancelled."""
    world.provider.script("vid_1", DONE)
    await world.watch("vid_1", deadline=100.0)
    await world.watch("vid_2", deadline=100.0)
    await world.registrar.cancel("wch_2")
    await world.passes(200)
    assert [body["type"] for body in world.bodies()] == ["task.completed"]


async def test_a_deadline_that_cannot_be_stored_is_kept(world):
    """It is tried again at the next look, and the others after it too; the log is told once."""
    await world.watch("vid_1", deadline=10.0)
    await world.watch("vid_2", deadline=11.0)
    await world.passes(9)
    world.store.down = True
    with capture_logs() as lines:
        await world.passes(4)
    unsaved = [(line["task_id"], line["log_level"]) for line in lines if line["event"] == "task.unsaved"]
    assert unsaved == [("vid_1", "error"), *[("vid_1", "debug")] * 6]
    world.store.down = False
    await world.passes(1)
    assert reasons(world) == ["deadline", "deadline"]


async def test_an_end_that_waits_to_be_saved_is_not_abandoned(world):
    """The deadline comes after the end was learned, so the end holds."""
    world.provider.script("vid_1", DONE)
    await world.accept(deadline=10.0)
    world.store.down = True
    await world.passes(20)
    world.store.down = False
    await world.passes(2)
    assert [(body["type"], body["timestamp"]) for body in world.bodies()] == [
        ("task.completed", "2026-11-22T13:33:00.000000Z")
    ]


async def test_an_abandoned_end_is_logged_with_its_reason(world):
    """In the same words as every other end."""
    await world.watch(deadline=1.0)
    with capture_logs() as lines:
        await world.passes(1)
    (line,) = [line for line in lines if line["event"] == "task.ended"]
    assert (line["reason"], line["state"], line["polls"]) == ("deadline", "abandoned", 1)


# Restart


async def test_a_restart_goes_on_with_every_task(world):
    """From the store, with what was learned before."""
    await world.watch("vid_1")
    await world.watch("vid_2", interval=45.0)
    world.build()
    await world.poller.start()
    assert world.timetable.jobs == {1: 30.0, 2: 45.0}
    world.provider.script("vid_1", DONE)
    await world.crew.advance(45)
    assert [body["data"]["task_id"] for body in world.bodies()] == ["vid_1"]


async def test_first_polls_after_a_restart_are_spread(world):
    """Over their interval, or over what half the rate needs for all of them if that is less."""
    for number in range(100):
        await world.accept(f"vid_{number}")
    world.build()
    world.chance.script(*[-1.0 + number / 50 for number in range(100)])
    await world.poller.start()
    firsts = sorted((world.timetable.next_at(key) - world.clock.now()).total_seconds() for key in range(1, 101))
    assert firsts == pytest.approx([number / 5 for number in range(100)])


async def test_few_tasks_do_not_wait_long_after_a_restart(world):
    """One task starts within 2 / rate seconds, never later than its interval."""
    await world.accept()
    world.chance.usual = 1.0
    for rate, seconds in ((10.0, 0.2), (0.01, 30.0)):
        world.limits = replace(LIMITS, rate=rate)
        world.build()
        await world.poller.start()
        assert world.timetable.next_at(1) == world.clock.now() + timedelta(seconds=seconds)


async def test_each_providers_tasks_are_spread_by_themselves(world):
    """Many tasks of one do not put off the few of another."""
    world.configure(videos=LIMITS, images=LIMITS)
    await world.accept("img_1", provider="images")
    for number in range(100):
        await world.accept(f"vid_{number}", provider="videos")
    world.build()
    world.configure(videos=LIMITS, images=LIMITS)
    world.chance.usual = 1.0
    await world.poller.start()
    assert world.timetable.next_at(1) == world.clock.now() + timedelta(seconds=0.2)


async def test_a_deadline_that_passed_while_the_daemon_was_down_gets_a_last_look(world):
    """The task may have completed meanwhile: it is polled at once, and that counts; whatever else it says, that was
    it."""
    await world.watch("vid_1", deadline=100.0)
    await world.watch("vid_2", deadline=100.0)
    for number in range(100):
        await world.accept(f"other_{number}")
    await world.crew.advance(50)
    world.build()
    world.clock.away(1000)
    world.chance.usual = 1.0
    world.provider.script("vid_1", DONE)
    await world.poller.start()
    asked = len(world.provider.times("vid_2"))
    await world.passes(1)
    told = [(body["type"], body["data"]["task_id"]) for body in world.bodies()]
    assert told == [("task.completed", "vid_1"), ("task.abandoned", "vid_2")]
    assert len(world.provider.times("vid_2")) == asked + 1


async def test_a_last_look_at_a_provider_that_does_not_answer_takes_five_seconds(world):
    """Then the deadline holds."""
    await world.watch("vid_1", deadline=10.0)
    world.build()
    world.clock.away(1000)
    world.provider.hold()
    await world.poller.start()
    await world.passes(4.5)
    assert world.bodies() == []
    await world.passes(1)
    assert reasons(world) == ["deadline"]


async def test_a_last_look_does_not_put_off_a_deadline_that_is_still_to_come(world):
    """Five seconds are a minimum for what is late, and nothing more."""
    await world.watch("vid_1", deadline=7.0)
    world.build()
    await world.poller.start()
    await world.passes(6.5)
    assert world.bodies() == []
    await world.passes(0.5)
    assert reasons(world) == ["deadline"]


async def test_tasks_whose_provider_is_gone_are_named_once(world):
    """They rest, and the log says how to wake them."""
    await world.accept("vid_1")
    await world.accept("vid_2")
    world.build()
    world.poller.configure({})
    with capture_logs() as lines:
        await world.poller.start()
    assert [(line["event"], line["provider"], line["tasks"]) for line in lines] == [("provider.missing", "videos", 2)]
    await world.crew.advance(100)
    assert world.provider.asked == []


async def test_a_start_without_the_store_says_so(world):
    """Whoever starts us decides what to do about it."""
    world.store.down = True
    with pytest.raises(StoreUnavailableError):
        await world.poller.start()


# Stop


async def test_nothing_starts_after_close_and_what_is_in_flight_finishes(world):
    """The answer of the last poll still counts."""
    world.configure(videos=replace(LIMITS, concurrency=1))
    world.provider.hold()
    world.provider.script("vid_1", DONE)
    await world.watch("vid_1")
    await world.watch("vid_2")
    world.poller.close()
    world.provider.release()
    await world.crew.advance(100)
    assert [task_id for task_id, _ in world.provider.asked] == ["vid_1"]
    assert [body["type"] for body in world.bodies()] == ["task.completed"]


async def test_a_stop_cancels_what_would_wake_up_later(world):
    """Neither a pause nor the rate keeps a timer."""
    world.provider.script("vid_1", Throttled(60.0))
    await world.watch()
    world.poller.close()
    world.timetable.drop(1)
    assert world.crew.awaited == 0


async def test_a_stop_saves_what_polls_learned(world):
    """Also what was not worth a write of its own: how often and when; a task never polled is not written."""
    await world.watch("vid_1")
    await world.crew.advance(60)
    world.configure(videos=replace(LIMITS, concurrency=0))
    await world.watch("vid_2")
    world.poller.close()
    assert world.store.tasks[1].polls == 1
    saved = []
    save, world.store.save = world.store.save, lambda tasks: _note(saved, tasks, save)
    await world.poller.flush()
    assert [(task.task_id, task.polls) for task in saved] == [("vid_1", 3)]
    assert world.store.tasks[1].last_polled_at == START + timedelta(seconds=60)


async def _note(saved, tasks, save):
    saved.extend(tasks)
    await save(tasks)


async def test_a_stop_asks_for_everything_at_once(world, monkeypatch):
    """It has three seconds: what the store has been asked for by then it writes before it closes."""
    monkeypatch.setattr(poller, "PORTION", 1)
    for number in range(3):
        await world.watch(f"vid_{number}")
    await world.crew.run()
    asked, hangs = [], asyncio.Event()

    async def slowly(tasks):
        asked.extend(tasks)
        await hangs.wait()

    world.store.save = slowly
    stop = asyncio.create_task(world.poller.flush())
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asked) == 3
    hangs.set()
    await stop


async def test_a_stop_saves_ends_that_the_store_did_not_take(world):
    """With the deliveries that they owe; they go out after the restart."""
    world.provider.script("vid_1", DONE)
    await world.accept()
    world.store.down = True
    await world.crew.run()
    world.poller.close()
    world.dispatcher.close()
    world.store.down = False
    await world.poller.flush()
    assert world.sender.posts == []
    assert world.delivery().state == "pending"
    world.build()
    await world.poller.start()
    await world.dispatcher.start()
    await world.crew.run()
    assert [body["type"] for body in world.bodies()] == ["task.completed"]
    assert len(world.provider.asked) == 1


async def test_a_stop_without_the_store_says_so(world):
    """Nothing more can be done: what is lost is learned again after the restart."""
    await world.watch()
    world.store.down = True
    with pytest.raises(StoreUnavailableError):
        await world.poller.flush()


async def test_an_end_that_was_never_saved_is_learned_again(world):
    """After a kill the task is polled once more, and told."""
    world.provider.script("vid_1", DONE, Running("processing", known=True), DONE)
    await world.accept()
    world.store.down = True
    await world.crew.run()
    world.build()
    world.store.down = False
    await world.poller.start()
    await world.crew.advance(60)
    assert [body["type"] for body in world.bodies()] == ["task.completed"]


async def test_a_fault_of_ours_at_one_deadline_loses_none(world):
    """All of them are looked at again half a second later."""
    expire, faults = world.store.expire, [ZeroDivisionError()]

    async def faulty(*arguments):
        if faults:
            raise faults.pop()
        return await expire(*arguments)

    world.store.expire = faulty
    for number in range(3):
        await world.watch(f"vid_{number}", deadline=10.0)
    await world.crew.advance(10)
    with pytest.raises(ZeroDivisionError):
        await world.poller.expire()
    await world.passes(1)
    assert reasons(world) == ["deadline"] * 3


async def test_an_end_that_comes_when_the_deadline_was_saved_is_not_told(world):
    """The store decides which of the two was first, and only that one is logged."""

    async def late(task, announce):
        world.poller.forget(task.key)  # as expire() does when its answer comes first
        return ()

    world.store.end = late
    world.provider.script("vid_1", DONE)
    with capture_logs() as lines:
        await world.watch("vid_1")
    assert [line for line in lines if line["event"] == "task.ended"] == []
