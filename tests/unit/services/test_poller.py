"""From a registered watch, over its polls, to the end that is saved and told."""

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from notifier.domain.answer import Completed, Failed, Missed, Running, TaskError, Throttled, Unauthorized, Unavailable
from notifier.domain.receiver import Receiver, Receivers
from notifier.services.channel import MAX_WORDS_REMEMBERED
from tests.fakes import START
from tests.unit.services.world import HOOK, KEY, LIMITS

RUNNING = Running("processing", known=True)
DONE = Completed("completed", ("https://cdn.example/1.mp4",), '{"status":"completed"}')
BARE = Completed("completed", ())
BROKEN = Failed("failed", TaskError("E1", "too dark"))
NOT_FOUND = Missed(False, "HTTP 404")
REFUSED = Missed(True, "HTTP 422")
BAD_GATEWAY = Unavailable("HTTP 502")
THROTTLED = Throttled(7.0)
UNAUTHORIZED = Unauthorized(401)


def at(seconds):
    return START + timedelta(seconds=seconds)


async def test_a_new_watch_is_polled_at_once_and_then_at_its_interval(world):
    """First within the second, then one interval apart."""
    await world.watch()
    await world.crew.advance(90)
    assert world.provider.times("vid_1") == [0, 30, 60, 90]


@pytest.mark.parametrize(
    ("answer", "kind"), [(DONE, "task.completed"), (BROKEN, "task.failed")], ids=["completed", "failed"]
)
async def test_a_final_answer_ends_the_task_and_tells_the_watch(world, answer, kind):
    """One poll, one event; nothing is polled after the end."""
    await world.told("vid_1", RUNNING, answer)
    await world.crew.advance(300)
    assert world.provider.times("vid_1") == [0, 30]
    assert [(body["type"], body["timestamp"]) for body in world.bodies()] == [(kind, "2026-11-22T13:33:30.000000Z")]
    assert world.store.watches["wch_1"].state == kind.removeprefix("task.")
    assert (world.poller.task(1), world.timetable.jobs) == (None, {})


async def test_a_success_without_a_url_is_polled_three_more_times(world):
    """Then it is told without one."""
    await world.told("vid_1", *[BARE] * 9)
    await world.crew.advance(300)
    assert world.provider.times("vid_1") == [0, 30, 60, 90]
    assert world.bodies()[0]["data"]["urls"] == []


@pytest.mark.parametrize(("answer", "reason"), [(NOT_FOUND, "not_found"), (REFUSED, "refused")])
async def test_a_task_that_stays_unknown_is_abandoned_after_the_grace(world, answer, reason):
    """Three in a row are not enough while the first is less than `not_found_grace` ago."""
    await world.told("vid_1", *[answer] * 9)
    await world.crew.advance(300)
    assert world.provider.times("vid_1") == [0, 30, 60, 90, 120]
    assert [(body["type"], body["data"]["reason"]) for body in world.bodies()] == [("task.abandoned", reason)]


async def test_a_row_of_misses_survives_a_restart(world):
    """Each of them is saved."""
    await world.told("vid_1", NOT_FOUND, NOT_FOUND, *[NOT_FOUND] * 9)
    await world.crew.advance(50)
    world.build()
    await world.poller.start()
    await world.crew.advance(69)
    assert world.bodies() == []
    await world.crew.advance(30)
    assert world.bodies()[0]["data"]["reason"] == "not_found"


async def test_an_unusable_answer_backs_off_this_task_alone(world):
    """Doubling from the interval; the first good answer brings the interval back, and others never notice."""
    world.provider.script("vid_1", *[BAD_GATEWAY] * 5, RUNNING)
    await world.watch("vid_1")
    await world.watch("vid_2")
    await world.crew.advance(30 + 60 + 120 + 240 + 300 + 30)
    assert world.provider.times("vid_1") == [0, 30, 90, 210, 450, 750, 780]
    assert world.provider.times("vid_2") == list(range(0, 781, 30))


async def test_backoff_has_jitter(world):
    """Tasks that failed together do not come back together."""
    world.chance.script(1.0, -1.0)
    await world.told("vid_1", BAD_GATEWAY, BAD_GATEWAY)
    await world.crew.advance(85)
    assert world.timetable.postponed == [(1, 36.0), (1, 48.0)]


@pytest.mark.parametrize("trouble", [BAD_GATEWAY, THROTTLED, UNAUTHORIZED])
async def test_trouble_of_the_provider_ends_no_task(world, trouble):
    """However long it goes on, nothing is told but the deadline."""
    world.provider.usual = trouble
    await world.watch()
    await world.crew.advance(7200)
    assert world.sender.posts == []
    assert world.task().last_error is not None


async def test_a_task_of_several_watches_is_polled_once_and_told_to_each(world):
    """One poll for all callback URLs, at the smallest interval, one event for each watch."""
    world.provider.script("vid_1", RUNNING, RUNNING, RUNNING, DONE)
    await world.watch("vid_1", "https://a.example/hook")
    await world.watch("vid_1", "https://b.example/hook", interval=10.0)
    await world.crew.advance(60)
    assert world.provider.times("vid_1") == [0, 10, 20, 30]
    assert {post.url for post in world.sender.posts} == {"https://a.example/hook", "https://b.example/hook"}
    assert len({post.headers["webhook-id"] for post in world.sender.posts}) == 2
    assert {body["data"]["watch_id"] for body in world.bodies()} == {"wch_1", "wch_2"}


async def test_a_poll_that_changes_nothing_writes_nothing(world):
    """Only news goes to the store: here the status, once."""
    await world.watch()
    await world.crew.advance(3000)
    assert world.store.writes == ["register", "save"]


async def test_what_changed_is_saved(world):
    """A restart finds the last status."""
    await world.told("vid_1", RUNNING, Running("rendering", known=False))
    await world.crew.advance(30)
    assert world.store.tasks[1].status == "rendering"


async def test_news_that_cannot_be_saved_is_kept_in_memory(world):
    """Polling goes on; the next change or the stop saves it."""
    await world.accept()
    world.store.down = True
    with capture_logs() as lines:
        await world.crew.run()
    assert ("task.unsaved", "warning") in [(line["event"], line["log_level"]) for line in lines]
    assert world.task().status == "processing"
    world.store.down = False
    await world.poller.flush()
    assert world.store.tasks[1].status == "processing"


async def test_an_end_that_cannot_be_stored_is_kept_and_saved_later(world):
    """Every second it is tried again, without another poll; then the event goes out with the first moment's time."""
    world.provider.script("vid_1", DONE)
    await world.accept()
    world.store.fail(3)
    with capture_logs() as lines:
        await world.crew.run()
        assert world.sender.posts == []
        await world.crew.advance(2.5)
        assert world.sender.posts == []
        await world.crew.advance(0.5)
    unsaved = [line["log_level"] for line in lines if line["event"] == "task.unsaved"]
    assert unsaved == ["error", "debug", "debug"]  # a store that is away for hours must not fill the log
    assert [body["timestamp"] for body in world.bodies()] == ["2026-11-22T13:33:00.000000Z"]
    assert world.provider.times("vid_1") == [0]
    assert world.poller.task(1) is None


async def test_an_end_is_not_saved_twice_at_once(world):
    """A firing that comes while the store is at work waits for its answer."""
    world.provider.script("vid_1", DONE)
    await world.accept()
    world.store.fail(1)
    await world.crew.run()
    gate = Gate(world.store)
    await world.crew.advance(5)
    world.poller.due(1)
    await world.crew.run()
    assert gate.calls == 1
    gate.open()
    await world.crew.run()
    assert len(world.sender.posts) == 1


class Gate:
    """Holds the store's `end()` until it is opened."""

    def __init__(self, store):
        self._end, self._held, self.calls = store.end, [], 0
        store.end = self._wait

    async def _wait(self, task, announce):
        import asyncio  # noqa: PLC0415 -- only this fake needs it

        self.calls += 1
        event = asyncio.Event()
        self._held.append(event)
        await event.wait()
        return await self._end(task, announce)

    def open(self):
        for event in self._held:
            event.set()


async def test_an_end_that_was_saved_after_a_fault_is_told_once(world):
    """A fault of our own in the store's code leaves the end in memory; the next firing saves it."""
    world.provider.script("vid_1", DONE)
    await world.accept()
    end, world.store.end = world.store.end, _broken
    with pytest.raises(ZeroDivisionError):
        await world.crew.run()
    world.store.end = end
    await world.crew.advance(30)
    assert len(world.sender.posts) == 1


async def _broken(*_):
    raise ZeroDivisionError


async def test_an_end_that_somebody_else_saved_is_not_told_by_us(world):
    """The store's compare-and-set decides; we stop polling all the same."""
    world.provider.hold()
    await world.watch()
    await world.store.cancel("wch_1", START, world.poller.task)
    world.provider.script("vid_1", DONE)
    world.provider.release()
    await world.crew.run()
    assert (world.sender.posts, world.poller.task(1)) == ([], None)


async def test_an_answer_for_a_task_that_was_cancelled_meanwhile_is_dropped(world):
    """No event for a cancelled watch, and no save."""
    world.provider.hold()
    world.provider.script("vid_1", DONE)
    await world.watch()
    assert await world.registrar.cancel("wch_1")
    world.provider.release()
    await world.crew.run()
    assert (world.sender.posts, world.store.writes) == ([], ["register", "cancel"])


async def test_a_task_that_was_cancelled_while_waiting_is_not_polled(world):
    """Its turn passes."""
    world.configure(videos=LIMITS.__class__(30.0, 10.0, 1, 120.0))
    world.provider.hold()
    await world.watch("vid_1")
    await world.watch("vid_2")
    await world.registrar.cancel("wch_2")
    world.provider.release()
    await world.crew.run()
    assert [task_id for task_id, _ in world.provider.asked] == ["vid_1"]


async def test_a_late_firing_of_a_task_that_is_gone_is_nothing(world):
    """Timetables may fire once more."""
    world.poller.due(77)
    await world.crew.run()
    assert world.provider.asked == []


async def test_an_event_that_nobody_wants_is_not_sent_and_the_task_ends(world):
    """The endpoint's `events` decide; it leaves no delivery."""
    picky = Receiver((KEY,), events=frozenset({"task.failed"}))
    world.apply(receivers=Receivers(Receiver((KEY,)), {HOOK: picky}))
    await world.told("vid_1", DONE)
    assert (world.store.deliveries, world.store.watches["wch_1"].state) == ({}, "completed")


async def test_a_deadline_that_nobody_wants_to_hear_of_ends_the_watch_all_the_same(world):
    """Without a delivery, and without another poll."""
    picky = Receiver((KEY,), events=frozenset({"task.failed"}))
    world.apply(receivers=Receivers(Receiver((KEY,)), {HOOK: picky}))
    await world.watch("vid_1", deadline=10.0)
    await world.passes(12)
    polls = len(world.provider.asked)
    await world.passes(60)
    assert (world.store.deliveries, world.store.watches["wch_1"].state) == ({}, "abandoned")
    assert len(world.provider.asked) == polls


async def test_a_fault_of_ours_in_one_poll_stops_no_other(world):
    """The task's place is free again, and its next firing polls it."""
    world.provider.script("vid_1", ZeroDivisionError())
    await world.accept()
    with pytest.raises(ZeroDivisionError):
        await world.crew.run()
    await world.crew.advance(30)
    assert world.provider.times("vid_1") == [0, 30]


# Log lines


@pytest.mark.parametrize(
    ("before", "answer", "level"),
    [
        (RUNNING, RUNNING, "debug"),
        (RUNNING, Running("rendering", known=True), "info"),
        (RUNNING, DONE, "info"),
        (RUNNING, BAD_GATEWAY, "warning"),
        (RUNNING, NOT_FOUND, "warning"),
        (RUNNING, THROTTLED, "warning"),
        (RUNNING, UNAUTHORIZED, "warning"),
    ],
)
async def test_a_poll_is_one_line(world, before, answer, level):
    """Debug unless the status changed or it failed."""
    world.provider.script("vid_1", before, answer)
    await world.watch()
    with capture_logs() as lines:
        await world.crew.advance(30)
    (line,) = [line for line in lines if line["event"] == "task.polled"]
    assert (line["log_level"], line["polls"], line["task_id"], line["provider"]) == (level, 2, "vid_1", "videos")
    assert {"outcome", "status", "error"} <= line.keys()


async def test_an_end_is_one_line_for_each_watch_that_it_is_told_to(world):
    """With everything needed to follow it up."""
    with capture_logs() as lines:
        await world.told("vid_1", DONE)
    (line,) = [line for line in lines if line["event"] == "task.ended"]
    assert line == {
        "event": "task.ended",
        "log_level": "info",
        "provider": "videos",
        "task_id": "vid_1",
        "watch_id": "wch_1",
        "event_id": "evt_1",
        "state": "completed",
        "status": "completed",
        "reason": None,
        "polls": 1,
    }


async def test_an_unknown_word_is_logged_once_for_each_provider_and_word(world):
    """However many tasks say it; a status that is missing is no word."""
    world.configure(videos=LIMITS, images=LIMITS)
    odd = Running("archived", known=False)
    for task_id in ("vid_1", "vid_2"):
        for provider in ("videos", "images"):
            world.provider.script(task_id, odd, odd, Running(None, known=False), odd)
            await world.accept(task_id, provider=provider)
    with capture_logs() as lines:
        await world.crew.advance(200)
    told = [(line["provider"], line["status"]) for line in lines if line["event"] == "status.unknown"]
    assert sorted(told) == [("images", "archived"), ("videos", "archived")]


async def test_a_provider_that_makes_up_words_fills_neither_log_nor_memory(world):
    """After a thousand words nobody listens any more."""
    world.configure(videos=LIMITS.__class__(0.01, 100_000.0, 32, 120.0))
    world.provider.script("vid_1", *[Running(f"word-{n}", known=False) for n in range(MAX_WORDS_REMEMBERED + 20)])
    await world.accept()
    with capture_logs() as lines:
        await world.crew.advance(10.25)
    assert len(world.provider.asked) > MAX_WORDS_REMEMBERED + 20
    assert sum(line["event"] == "status.unknown" for line in lines) == MAX_WORDS_REMEMBERED


async def test_polls_are_measured(world):
    """Outcome, how long it took, and how late it began."""
    world.provider.takes = 2.0
    await world.watch()
    await world.crew.advance(2)
    assert world.meter.polls == [("videos", "running", 2.0, 0.0)]


async def test_lag_counts_from_when_a_poll_was_due(world):
    """Also what the firing itself was late; its phase then begins anew, so that the next poll is an interval away."""
    await world.watch()
    world.poller.due(1, 1.5)
    await world.crew.run()
    assert [lag for *_, lag in world.meter.polls] == [0.0, 1.5]
    assert world.timetable.postponed == [(1, 30.0)]


@pytest.mark.parametrize(("told", "second"), [(90.0, 90.0), (2.0, 5.0)])
async def test_a_provider_may_say_when_to_ask_again(world, told, second):
    """The next poll is then, but never sooner than the provider's `min_interval`; later ones come by the interval."""
    world.configure(videos=replace(LIMITS, min_interval=5.0))
    world.provider.script("vid_1", Running("processing", known=True, ask_again=told))
    await world.watch()
    await world.crew.advance(130)
    assert world.provider.times("vid_1")[:3] == [0, second, second + 30]


@pytest.mark.parametrize(("deadline", "times"), [(1000.0, [0, 995]), (31.0, [0, 26]), (7.0, [0, 5])])
async def test_a_hint_leaves_a_look_before_the_deadline(world, deadline, times):
    """A task that ends meanwhile is told as completed, not abandoned."""
    world.configure(videos=replace(LIMITS, min_interval=5.0))
    world.provider.script("vid_1", Running("processing", known=True, ask_again=3600.0), DONE)
    await world.watch(deadline=deadline)
    await world.passes(deadline + 1)
    assert world.provider.times("vid_1") == times
    assert world.bodies()[0]["type"] == "task.completed"


@pytest.mark.parametrize(("told", "times"), [(3600.0, [0, 20, 40, 60]), (10.0, [0, 10, 20, 30, 40, 50, 60])])
async def test_a_hint_is_no_longer_than_an_interval_that_a_watch_asked_for(world, told, times):
    """Who wants to know sooner does; a shorter hint counts."""
    world.provider.usual = Running("processing", known=True, ask_again=told)
    await world.watch(interval=20.0)
    await world.crew.advance(60)
    assert world.provider.times("vid_1") == times
