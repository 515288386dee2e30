"""Results are saved before the receiver hears of them, and whoever heard before is told afterwards."""

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from notifier.domain.answer import Completed, Failed, TaskError, Unavailable
from notifier.domain.saving import SWITCHED_OFF, planned
from notifier.domain.task import End, Task
from notifier.ports import Saved, Unsaved
from notifier.services.archivist import SWITCHED_OFF_AT_ONCE
from notifier.services.storehouse import OUR_FAULT
from tests.fake_peers import FakeArchive
from tests.fakes import START
from tests.unit.services.world import HOOK, POLICY, World

URL = "https://cdn.example/1.mp4?signature=secret"
OTHER = "https://other.example.com/hook"
DONE = Completed("completed", (URL,), "{}")
TWO = Completed("completed", (URL, "https://cdn.example/2.mp4"), "{}")
BROKEN = Unsaved("broken", "cdn.example: the connection broke")
EXPIRED = Unsaved("expired", "cdn.example: HTTP 403")
FULL = Unsaved("store", "no space left on device")
MP4 = Saved("", 4, "beef", "video/mp4")


@pytest.fixture
async def world():
    world = World()
    world.archive()
    yield world
    await world.crew.aclose()


def files(world: World, number: int = 0):
    return world.bodies()[number]["data"]["files"]


def told(world: World) -> list[str]:
    return [body["type"] for body in world.bodies()]


def sent(world: World):
    return list(zip(world.sender.posts, world.bodies(), strict=True))


def late(world: World, call):
    """The same, ten seconds later."""

    async def slow(*args):
        await world.crew.sleep(10)
        return await call(*args)

    return slow


async def killed(world: World) -> None:
    """Nothing of the old services goes on."""
    world.archivist.close()
    await world.crew.aclose()


# One event, with its files


async def test_an_event_waits_for_its_files(world):
    """Until they are saved nothing goes out; then the event does, once, and describes them."""
    world.files.hold()
    await world.told("vid_1", TWO)
    await world.crew.advance(60)
    assert world.sender.posts == []
    assert world.delivery().held_until == START + timedelta(seconds=600)
    world.files.release()
    await world.crew.run()
    assert told(world) == ["task.completed"]
    assert files(world) == [
        {
            "url": order.url,
            "location": f"file:///results/videos/vid_1/wch_1-{n}.mp4",
            "size": 4,
            "sha256": "beef",
            "content_type": "video/mp4",
            "saved_at": "2026-11-22T13:34:00.000000Z",
            "error": None,
        }
        for n, order in enumerate(world.files.orders)
    ]
    assert world.sender.posts[0].headers["webhook-id"] == "evt_1"
    assert world.delivery().state == "delivered"
    assert [(order.name, order.provider) for order in world.files.orders] == [
        ("videos/vid_1/wch_1-0", "videos"),
        ("videos/vid_1/wch_1-1", "videos"),
    ]
    await world.crew.advance(1000)
    assert len(world.sender.posts) == 1


async def test_what_failed_or_made_nothing_is_told_at_once(world):
    """There is nothing to wait for."""
    await world.told("vid_1", Failed("failed", TaskError(None, "no")))
    await world.told("vid_2", Completed("completed", (), "{}", final=True))
    assert told(world) == ["task.failed", "task.completed"]
    assert world.files.orders == []


async def test_without_an_archive_nothing_is_saved():
    """Off by default: events are as they always were."""
    world = World()
    await world.told("vid_1", DONE)
    assert (told(world), files(world), world.files.orders) == (["task.completed"], [], [])


async def test_one_task_is_saved_once_for_all_its_watches(world):
    """Each is told of the same file, which is named after the first of them."""
    world.files.hold()
    await world.accept("vid_1")
    world.provider.script("vid_1", DONE)
    await world.watch("vid_1", OTHER)
    world.files.release()
    await world.crew.run()
    assert len(world.files.orders) == 1
    assert sorted(post.url for post in world.sender.posts) == sorted([HOOK, OTHER])
    assert {file["location"] for n in (0, 1) for file in files(world, n)} == {
        "file:///results/videos/vid_1/wch_1-0.mp4"
    }


async def test_at_once_the_event_goes_out_and_news_follows(world):
    """The first says that nothing is saved yet, the second is another event with the same data and the files."""
    world.archive(hold=None)
    world.files.hold()
    await world.told("vid_1", DONE)
    assert told(world) == ["task.completed"]
    assert (files(world)[0]["location"], files(world)[0]["error"]) == (None, None)
    world.files.release()
    await world.crew.run()
    assert told(world) == ["task.completed", "result.saved"]
    first, second = (dict(body["data"]) for body in world.bodies())
    assert first.pop("files") != second.pop("files")
    assert first == second
    assert [post.headers["webhook-id"] for post in world.sender.posts] == ["evt_1", "evt_2"]


async def test_an_endpoint_that_wants_no_news_gets_none(world):
    """Its `events` hold for the news about files as for everything else."""
    world.archive(hold=None)
    usual = replace(POLICY.receivers.usual, events=frozenset({"task.completed"}))
    world.apply(receivers=replace(POLICY.receivers, usual=usual))
    await world.told("vid_1", DONE)
    assert told(world) == ["task.completed"]
    assert len(world.store.deliveries) == 1


async def test_a_watch_of_an_ended_task_is_told_of_the_files_as_they_are(world):
    """Saved ones come along, and nothing is fetched again."""
    await world.told("vid_1", DONE)
    await world.watch("vid_1", OTHER)
    assert told(world) == ["task.completed"] * 2
    assert files(world, 0) == files(world, 1)
    assert len(world.files.orders) == 1


async def test_a_watch_that_comes_while_files_are_saved_waits_with_the_others(world):
    """One held from the end on, one registered later: both hear of the file, in one event each."""
    world.files.hold()
    await world.told("vid_1", DONE)
    await world.watch("vid_1", OTHER)
    assert world.sender.posts == []
    world.files.release()
    await world.crew.run()
    assert told(world) == ["task.completed"] * 2
    assert all(files(world, n)[0]["location"] for n in (0, 1))


async def test_a_cancelled_watch_is_not_told_and_the_other_is(world):
    """Whoever left before the end hears nothing of the files either; whoever leaves after it has ended."""
    first = await world.accept("vid_1", OTHER)
    await world.accept("vid_1")
    await world.registrar.cancel(first.view.watch.id)
    world.files.hold()
    world.provider.script("vid_1", DONE)
    await world.crew.run()
    assert await world.registrar.cancel("wch_2")
    world.files.release()
    await world.crew.run()
    assert [post.url for post in world.sender.posts] == [HOOK]
    assert files(world)[0]["location"].endswith("wch_2-0.mp4")


# The end of the wait


async def test_after_the_wait_the_event_goes_out_with_what_is_known(world):
    """News follows when the files are saved after all."""
    world.files.script(URL, BROKEN, BROKEN)
    world.archive(hold=10.0)
    await world.told("vid_1", DONE)
    await world.crew.advance(9.9)
    assert world.sender.posts == []
    await world.crew.advance(0.2)
    assert told(world) == ["task.completed"]
    assert files(world)[0] | {"url": None} == dict.fromkeys(files(world)[0]) | {"error": BROKEN.message}
    await world.crew.advance(6)
    assert told(world) == ["task.completed", "result.saved"]
    assert files(world, 1)[0]["error"] is None


async def test_a_late_watch_does_not_wait_again(world):
    """When the wait since the end is over, an event is told at once, pending files or not."""
    world.files.hold()
    world.archive(hold=10.0)
    await world.told("vid_1", DONE)
    await world.crew.advance(11)
    await world.watch("vid_1", OTHER)
    assert told(world) == ["task.completed"] * 2
    world.files.release()
    await world.crew.run()
    assert told(world) == ["task.completed"] * 2 + ["result.saved"] * 2


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_clock_that_is_set_changes_no_wait(world, jump):
    """The wait of ten seconds is over after ten seconds, also after a restart with a wrong clock (at most)."""
    world.files.hold()
    world.archive(hold=10.0)
    await world.told("vid_1", DONE)
    world.clock.jump(jump)
    await world.crew.advance(9.9)
    assert world.sender.posts == []
    await world.crew.advance(0.2)
    assert told(world) == ["task.completed"]


async def test_many_events_are_released_together(world):
    """A file server that is down holds up thousands; all of them go out in time."""
    world.files.hold()
    world.archive(hold=10.0)
    for number in range(250):
        world.provider.script(f"vid_{number}", DONE)
        await world.accept(f"vid_{number}")
    world.configure(videos=replace(world.limits, rate=1000.0, concurrency=300))
    await world.crew.advance(30)
    assert told(world).count("task.completed") == 250
    assert world.files.most_in_flight == 4


async def test_a_store_that_is_down_delays_a_release(world):
    """The event is kept, and the log is told once."""
    world.files.hold()
    world.archive(hold=10.0)
    await world.told("vid_1", DONE)
    world.store.down = True
    with capture_logs() as lines:
        await world.crew.advance(20)
    assert [line["log_level"] for line in lines if line["event"] == "delivery.unreleased"].count("error") == 1
    world.store.down = False
    await world.crew.advance(2)
    assert told(world) == ["task.completed"]


async def test_a_fault_of_ours_delays_a_release(world, monkeypatch):
    """It is still owed, and tried again later."""
    world.files.hold()
    world.archive(hold=10.0)
    await world.told("vid_1", DONE)
    right = world.store.release
    monkeypatch.setattr(world.store, "release", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await world.crew.advance(11)
    monkeypatch.setattr(world.store, "release", right)
    await world.crew.advance(61)
    assert told(world) == ["task.completed"]


async def test_what_was_released_meanwhile_is_told_once(world, monkeypatch):
    """The store has nothing to release any more: whoever settled the files has passed the event on."""
    world.files.hold()
    world.archive(hold=10.0)
    await world.told("vid_1", DONE)

    async def nothing(*_):
        return None

    monkeypatch.setattr(world.store, "release", nothing)
    await world.crew.advance(11)
    assert told(world) == []
    world.files.release()
    await world.crew.run()
    assert told(world) == ["task.completed"]


# Tries


async def test_a_try_that_breaks_is_made_again(world):
    """With backoff, and told once; the event waits."""
    world.files.script(URL, BROKEN, BROKEN)
    with capture_logs() as lines:
        await world.told("vid_1", DONE)
        await world.crew.advance(5)
        assert len(world.files.orders) == 2
        await world.crew.advance(10)
    assert told(world) == ["task.completed"]
    delayed = [line["log_level"] for line in lines if line["event"] == "result.delayed"]
    assert delayed == ["info", "debug"]
    (saved,) = [line for line in lines if line["event"] == "result.saved"]
    assert (saved["tries"], saved["n"], saved["size"], saved["task_id"]) == (3, 0, 4, "vid_1")
    assert "secret" not in str(lines)
    assert world.meter.fetches == [("broken", 0), ("broken", 0), ("saved", 4)]


@pytest.mark.parametrize("reason", ["too_large", "refused"])
async def test_what_can_never_be_saved_is_given_up_at_once(world, reason):
    """The event says why."""
    world.files.script(URL, Unsaved(reason, "it is so"))
    with capture_logs() as lines:
        await world.told("vid_1", DONE)
    assert (told(world), files(world)[0]["error"]) == (["task.completed"], "it is so")
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["result.unsaved"]
    await world.crew.advance(1000)
    assert len(world.files.orders) == 1


async def test_after_its_deadline_a_file_is_given_up(world):
    """One last try is made; whoever was told before hears that it came to nothing."""
    world.files.usual = BROKEN
    world.archive(deadline=3600.0)
    await world.told("vid_1", DONE)
    await world.crew.advance(3590)
    assert told(world) == ["task.completed"]
    await world.crew.advance(800)
    assert told(world) == ["task.completed", "result.unsaved"]
    assert files(world, 1)[0]["error"] == BROKEN.message
    tries = len(world.files.orders)
    await world.crew.advance(3600)
    assert len(world.files.orders) == tries


async def test_a_clock_set_ahead_gives_nothing_up(world):
    """Giving up cannot be undone, so a jump must last before it counts."""
    world.files.script(URL, BROKEN)
    await world.told("vid_1", DONE)
    world.clock.jump(100_000)
    world.files.script(URL, BROKEN)
    await world.crew.advance(6)
    assert (await world.store.result(1)).end.files[0].state == "pending"


async def test_one_good_file_is_news_that_something_was_saved(world):
    """Each file says for itself what became of it."""
    world.archive(hold=None)
    world.files.script(URL, Unsaved("too_large", "more than 2 GiB"))
    await world.told("vid_1", TWO)
    assert told(world) == ["task.completed", "result.saved"]
    assert [file["error"] for file in files(world, 1)] == ["more than 2 GiB", None]


async def test_a_dead_url_is_replaced_by_a_fresh_one(world):
    """The provider is asked again, and its new URL is tried at once; the event carries it, and when it was learned."""
    fresh = Completed("completed", ("https://cdn.example/fresh.mp4",), '{"n":2}')
    world.files.script(URL, EXPIRED)
    await world.told("vid_1", DONE, fresh)
    assert [order.url for order in world.files.orders] == [URL, "https://cdn.example/fresh.mp4"]
    data = world.bodies()[0]["data"]
    assert (data["urls"], data["response"]) == (["https://cdn.example/fresh.mp4"], {"n": 2})
    assert data["refreshed_at"] is not None
    assert data["files"][0]["url"] == "https://cdn.example/fresh.mp4"


async def test_fresh_urls_that_are_dead_too_are_tried_with_backoff(world):
    """A provider that makes up a new dead URL each time is not asked without end."""
    world.files.usual = EXPIRED
    answers = [Completed("completed", (f"https://cdn.example/{n}",), "{}") for n in range(50)]
    await world.told("vid_1", DONE, *answers)
    await world.crew.advance(60)
    assert 3 <= len(world.files.orders) <= 6


async def test_a_dead_url_without_a_fresh_one_is_tried_again(world):
    """New files take a moment to show up everywhere."""
    world.files.script(URL, EXPIRED)
    await world.told("vid_1", DONE, Unavailable("HTTP 502"))
    assert world.sender.posts == []
    await world.crew.advance(6)
    assert [order.url for order in world.files.orders] == [URL, URL]
    assert files(world)[0]["error"] is None


# When the archive is not available


async def test_a_full_disk_is_told_once_and_found_free_again(world):
    """For hours: few tries, one line; afterwards everything is saved by itself."""
    world.files.usual = FULL
    with capture_logs() as lines:
        for number in range(20):
            await world.told(f"vid_{number}", DONE)
        await world.crew.advance(4 * 3600)
        tries = len(world.files.orders)
        assert tries < 60
        assert len(told(world)) == 20
        world.files.usual = MP4
        await world.crew.advance(2000)
    assert told(world).count("result.saved") == 20
    said = [line["event"] for line in lines if line["event"].startswith("archive.")]
    assert said == ["archive.unavailable", "archive.available"]


async def test_tries_that_fail_together_are_one_strike(world):
    """Four in flight when the disk filled up do not make the wait sixteen times as long."""
    world.files.hold()
    world.files.usual = FULL
    for number in range(4):
        await world.told(f"vid_{number}", DONE)
    world.files.release()
    await world.crew.run()
    world.files.usual = MP4
    await world.crew.advance(6)
    assert len(told(world)) == 4


async def test_a_store_that_is_down_costs_no_download(world):
    """What was saved is written down as soon as the store takes it; the log is told once."""
    world.files.hold()
    await world.told("vid_1", DONE)
    world.store.down = True
    world.files.release()
    with capture_logs() as lines:
        await world.crew.advance(30)
    assert [line["log_level"] for line in lines if line["event"] == "result.unkept"].count("error") == 1
    world.store.down = False
    await world.crew.advance(2)
    assert told(world) == ["task.completed"]
    assert len(world.files.orders) == 1


async def test_a_task_that_cannot_be_read_is_read_again(world):
    """A store that is down only delays."""
    world.files.script(URL, BROKEN)
    await world.told("vid_1", DONE)
    world.store.down = True
    await world.crew.advance(20)
    world.store.down = False
    await world.crew.advance(2)
    assert told(world) == ["task.completed"]


async def test_an_end_that_the_store_takes_late_is_saved_then(world):
    """Nothing is fetched for an end that is not kept."""
    world.provider.script("vid_1", DONE)
    await world.accept("vid_1")
    world.store.down = True
    await world.crew.advance(10)
    assert world.files.orders == []
    world.store.down = False
    await world.crew.advance(2)
    assert told(world) == ["task.completed"]
    assert len(world.files.orders) == 1


async def test_a_fault_of_ours_is_survived(world):
    """The file is still to be saved, and tried again later."""
    result = world.store.result
    world.store.result = ZeroDivisionError  # not even to be called so
    with pytest.raises(TypeError):
        await world.told("vid_1", DONE)
    world.store.result = result
    await world.crew.advance(61)
    assert told(world) == ["task.completed"]


async def test_a_fault_of_ours_is_a_failed_try_of_one_file(world):
    """The others of its task are saved; it is tried again, until the deadline and no longer. The log has the fault, and
    the event only that there was one."""
    world.archive(deadline=300.0, hold=None)
    world.files.script(URL, *[ZeroDivisionError("http://10.0.0.1/internal")] * 20)
    with capture_logs() as lines:
        await world.told("vid_1", TWO)
        await world.crew.advance(3600)
    assert told(world) == ["task.completed", "result.saved"]
    assert [file["error"] for file in files(world, 1)] == [OUR_FAULT, None]
    assert 5 < [order.url for order in world.files.orders].count(URL) < 10
    assert {line["event"] for line in lines if line["log_level"] == "error"} == {"daemon.fault"}


# Restart, stop, reload


async def test_a_restart_takes_up_what_was_begun(world):
    """A try that was cut off begins anew; the event is the same one."""
    world.files.hold()
    await world.told("vid_1", DONE)
    await killed(world)
    world.files.release()
    world.build()
    await world.dispatcher.start()
    await world.archivist.start()
    await world.crew.run()
    assert len(world.files.orders) == 2
    assert [post.headers["webhook-id"] for post in world.sender.posts] == ["evt_1"]
    assert files(world)[0]["location"] is not None


async def test_a_restart_takes_up_every_task(world):
    """However many were under way."""
    world.files.hold()
    for number in range(3):
        await world.told(f"vid_{number}", DONE)
    await killed(world)
    world.files.release()
    world.build()
    await world.archivist.start()
    await world.crew.run()
    assert told(world) == ["task.completed"] * 3


async def test_a_restart_keeps_the_waits(world):
    """Of the next try and of the event; neither begins anew, and neither outlasts a wrong clock."""
    world.files.usual = BROKEN
    world.archive(hold=20.0)
    await world.told("vid_1", DONE)
    await world.crew.advance(6)
    await killed(world)
    world.build()
    await world.archivist.start()
    await world.crew.run()
    assert len(world.files.orders) == 2
    await world.crew.advance(13.9)
    assert world.sender.posts == []
    await world.crew.advance(0.2)
    assert told(world) == ["task.completed"]


async def test_a_wrong_clock_at_a_restart_holds_nothing_for_longer(world):
    """It was set back by a day while nobody looked: an event waits for `wait` at most all the same."""
    world.files.hold()
    world.archive(hold=10.0)
    await world.told("vid_1", DONE)
    await killed(world)
    world.clock.away(-86_400.0)
    world.build()
    await world.archivist.start()
    await world.crew.advance(9.9)
    assert world.sender.posts == []
    await world.crew.advance(0.2)
    assert told(world) == ["task.completed"]


async def test_a_restart_without_an_archive_releases_what_was_held(world):
    """Whoever waits is told that archiving is switched off; nobody waits for ever."""
    world.files.hold()
    await world.told("vid_1", DONE)
    await killed(world)
    world.saving = None
    world.build()
    world.store.result = late(world, world.store.result)  # nobody may overtake who says what became of the file
    with capture_logs() as lines:
        await world.archivist.start()
        await world.crew.advance(30)
    assert (told(world), files(world)[0]["error"]) == (["task.completed"], SWITCHED_OFF)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["result.unsaved"]


async def test_a_restart_without_an_archive_lets_nobody_wait_for_another_try(world):
    """However long that was to be: one event, at once, which says why."""
    world.files.usual = BROKEN
    await world.told("vid_1", DONE)
    await world.crew.advance(300)
    await killed(world)
    world.saving = None
    world.build()
    await world.archivist.start()
    await world.crew.run()
    assert (told(world), files(world)[0]["error"]) == (["task.completed"], SWITCHED_OFF)
    await world.crew.advance(1000)
    assert len(world.sender.posts) == 1


async def test_many_are_told_at_once_that_archiving_is_switched_off(world):
    """Nobody's hold may be over before: each hears of it in one event, however many there are and whoever saved how
    many at a time before."""
    world.files.usual = BROKEN
    for number in range(3 * SWITCHED_OFF_AT_ONCE):
        await world.told(f"vid_{number}", DONE)
    world.store.keep = late(world, world.store.keep)
    world.archive(concurrency=1)
    world.archivist.configure(None)
    await world.crew.advance(31)
    assert told(world) == ["task.completed"] * 3 * SWITCHED_OFF_AT_ONCE


async def test_a_watch_that_comes_after_switching_off_hears_of_it(world):
    """Its task's files were pending when the archive went, and it came before that was written down."""
    world.files.hold()
    await world.told("vid_1", DONE)
    world.archivist.configure(None)
    await world.watch("vid_1", OTHER)
    world.files.usual = BROKEN
    world.files.release()
    await world.crew.run()
    assert sorted((post.url, body["type"], body["data"]["files"][0]["error"]) for post, body in sent(world)) == [
        (HOOK, "task.completed", SWITCHED_OFF),
        (OTHER, "result.unsaved", SWITCHED_OFF),
        (OTHER, "task.completed", None),
    ]


async def test_what_is_held_goes_out_though_its_endpoint_wants_no_more_of_it(world):
    """It was owed before that was said, and nothing that is owed is forgotten."""
    world.files.hold()
    await world.told("vid_1", DONE)
    usual = replace(POLICY.receivers.usual, events=frozenset({"task.failed"}))
    world.apply(receivers=replace(POLICY.receivers, usual=usual))
    world.files.release()
    await world.crew.run()
    assert told(world) == ["task.completed"]
    assert world.delivery().state == "delivered"


async def test_another_archive_is_tried_at_once(world):
    """A reload away from the full disk: nobody waits for what that was given, be it minutes."""
    world.files.usual = FULL
    world.archive(concurrency=1)
    for number in range(3):
        await world.told(f"vid_{number}", DONE)
    await world.crew.advance(500)
    world.archive(archive=FakeArchive(world.crew))
    await world.crew.run()
    assert told(world) == ["task.completed"] * 3
    assert all(files(world, n)[0]["location"] for n in range(3))


async def test_another_archive_waits_for_no_try_of_the_old_one(world):
    """A file that failed six times is minutes away from its next one."""
    world.files.usual = BROKEN
    await world.told("vid_1", DONE)
    await world.crew.advance(200)
    world.archive(archive=FakeArchive(world.crew))
    await world.crew.run()
    assert told(world) == ["task.completed"]


async def test_what_fails_in_the_old_archive_is_tried_in_the_new_one_at_once(world):
    """The try was in flight at the reload; what it says of the old archive holds up nobody, others neither."""
    world.files.hold()
    world.files.usual = FULL
    await world.told("vid_1", DONE)
    new = FakeArchive(world.crew)
    new.hold()
    world.archive(archive=new)
    world.files.release()
    await world.told("vid_2", DONE)
    assert [order.name for order in new.orders] == ["videos/vid_1/wch_1-0", "videos/vid_2/wch_2-0"]
    new.release()
    await world.crew.run()
    assert told(world) == ["task.completed"] * 2


async def test_what_is_held_for_nothing_goes_out_all_the_same(world):
    """A delivery without pending files, whoever left it behind, waits no longer than any other."""
    await world.told("vid_1", DONE)
    world.store.deliveries["evt_1"] = replace(world.delivery(), state="pending", held_until=START)
    world.saving = None
    world.build()
    await world.archivist.start()
    await world.crew.run()
    assert len(world.sender.posts) == 2


async def test_switching_off_tells_who_waits_for_another_try(world):
    """A reload without the archive settles everything; one with it again saves what ends from then on."""
    world.files.script(URL, BROKEN)
    await world.told("vid_1", DONE)
    world.archivist.configure(None)
    await world.crew.run()
    assert (told(world), files(world)[0]["error"]) == (["task.completed"], SWITCHED_OFF)
    world.archive()
    await world.told("vid_2", DONE)
    assert files(world, 1)[0]["error"] is None
    assert len(world.files.orders) == 2


async def test_switching_off_while_a_file_is_on_its_way_lets_it_finish(world):
    """The rest of the task is given up."""
    world.files.hold()
    await world.told("vid_1", TWO)
    world.archivist.configure(None)
    world.files.release()
    await world.crew.run()
    assert [file["error"] for file in files(world)] == [None, SWITCHED_OFF]


async def test_another_concurrency_holds_from_the_next_task_on(world):
    """So many tasks are saved at once."""
    world.archive(concurrency=1)
    world.files.hold()
    for number in range(6):
        await world.told(f"vid_{number}", DONE)
    assert world.files.in_flight == 1
    world.archive(concurrency=3)
    await world.crew.run()
    assert world.files.in_flight == 3
    world.files.release()
    await world.crew.run()
    assert len(told(world)) == 6


async def test_nothing_begins_after_the_close(world):
    """Neither tries nor releases; the store knows what is left."""
    world.archive(hold=10.0)
    world.files.script(URL, BROKEN)
    await world.told("vid_1", DONE)
    world.archivist.close()
    await world.told("vid_2", DONE)
    await world.crew.advance(100)
    assert len(world.files.orders) == 1
    assert world.sender.posts == []


async def test_ten_thousand_ends_cost_a_key_each(world):
    """What waits to be saved is in the store; memory holds who, not what."""
    world.files.hold()
    world.configure(videos=replace(world.limits, rate=100_000.0, concurrency=1000))
    for number in range(300):
        world.provider.script(f"vid_{number}", DONE)
        await world.accept(f"vid_{number}")
    await world.crew.run()
    assert len(world.files.orders) == 4
    assert world.crew.at_work == 4


async def test_ten_thousand_results_are_saved_few_at_a_time(world):
    """However many there are to be saved, so many are in flight as `archive.concurrency` says."""
    world.files.hold()
    end = End("completed", START, urls=(URL,))
    for key in range(1, 10_001):
        world.store.tasks[key] = planned(Task(key, "videos", f"vid_{key}", 30.0, START, end=end))
    for task in world.store.tasks.values():
        world.archivist.follow(task)
    await world.crew.run()
    assert world.files.most_in_flight == len(world.files.orders) == world.crew.at_work == 4
