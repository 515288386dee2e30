"""Late deliveries: their result URLs are asked for again before they are sent, and no dead link goes out unremarked."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from notifier.domain.answer import Completed, Running, Throttled
from notifier.domain.freshness import Freshness
from notifier.domain.signature import Valid, verify
from notifier.services.inquiries import REST_SECONDS
from tests.fakes import START
from tests.unit.services.mail import DOWN, OTHER, answered, times
from tests.unit.services.world import HOOK, KEY, World

OLD, NEW = Completed("completed", ("https://cdn.example/old.mp4",)), Completed("completed", ("https://cdn.example/new",))
HOUR = Freshness(3600.0, margin=15.0)
DAY = 86_400.0


@pytest.fixture
def world():
    world = World()
    world.apply(freshness=HOUR)
    return world


async def told(world, *later, url=HOOK, task_id="vid_1", first=OLD):
    """One task that completed, and was delivered; asked again, its provider says `later`."""
    world.provider.script(task_id, first, *later)
    await world.watch(task_id, url)


def sent(world, url=HOOK):
    return [json.loads(post.body)["data"] for post in world.sender.to(url)]


async def redelivered(world, after, delivery_id="evt_1"):
    await world.crew.advance(after)
    assert await world.dispatcher.redeliver(delivery_id)
    await world.crew.run()


async def test_a_late_redelivery_has_fresh_urls_under_the_same_id(world):
    """It says when they were learned, is signed over its new body, and keeps the time of the end."""
    await told(world, NEW)
    with capture_logs() as lines:
        await redelivered(world, DAY)
    before, after = world.sender.posts
    data = json.loads(after.body)["data"]
    assert (data["urls"], data["refreshed_at"]) == (["https://cdn.example/new"], "2026-11-23T13:33:00.000000Z")
    assert "refresh_error" not in data
    assert json.loads(after.body)["timestamp"] == json.loads(before.body)["timestamp"]
    assert after.headers["webhook-id"] == before.headers["webhook-id"] == "evt_1"
    stamp = after.headers["webhook-timestamp"]
    assert verify([KEY], "evt_1", stamp, after.headers["webhook-signature"], after.body, now=int(stamp)) == Valid()
    (line,) = [line for line in lines if line["event"] == "delivery.refreshed"]
    assert (line["log_level"], line["event_id"], line["task_id"], line["error"]) == ("info", "evt_1", "vid_1", None)


async def test_a_young_redelivery_has_the_same_bytes(world):
    """Nobody is asked."""
    await told(world, NEW)
    await redelivered(world, 3599)
    before, after = world.sender.posts
    assert before.body == after.body
    assert len(world.provider.asked) == 1


async def test_urls_are_as_good_as_new_after_they_were_asked_for(world):
    """The next attempt within the hour has the same bytes, and the one after it is asked for once more."""
    await told(world, NEW, OLD)
    await redelivered(world, DAY)
    await redelivered(world, 3599)
    await redelivered(world, 1)
    _, second, third, fourth = world.sender.posts
    assert second.body == third.body != fourth.body
    assert len(world.provider.asked) == 3


async def test_a_retry_that_comes_late_is_refreshed_too(world):
    """Not only what somebody asked for by hand: the schedule itself takes days."""
    world.apply(freshness=Freshness(60.0, margin=15.0))
    world.sender.script(HOOK, DOWN, DOWN, DOWN)
    await told(world, NEW)
    await world.crew.advance(200)
    assert [one["urls"] for one in sent(world)] == [list(OLD.urls)] * 3 + [list(NEW.urls)]
    assert times(world) == [0, 5, 35, 155]


async def test_urls_that_have_expired_are_asked_for_whatever_their_age(world):
    """Also those that would expire while the attempt runs."""
    await told(world, NEW, first=replace(OLD, expires_at=START + timedelta(seconds=600)))
    await redelivered(world, 584)
    await redelivered(world, 2)
    assert [one["urls"] for one in sent(world)] == [list(OLD.urls), list(OLD.urls), list(NEW.urls)]
    assert sent(world)[0]["expires_at"] == "2026-11-22T13:43:00.000000Z"


async def test_nothing_is_refreshed_when_that_is_switched_off(world):
    """The operator's wish; a reload changes it."""
    world.apply(freshness=None)
    await told(world, NEW)
    await redelivered(world, DAY)
    assert world.sender.posts[0].body == world.sender.posts[1].body
    world.apply(freshness=HOUR)
    await redelivered(world, 1)
    assert sent(world)[2]["urls"] == list(NEW.urls)


async def test_an_old_link_goes_out_with_a_remark_when_there_is_no_fresh_one(world):
    """The body says why, and is kept so before it is sent; the next attempt asks again."""
    await told(world, Running("queued", known=True), NEW)
    await redelivered(world, DAY)
    remarked = sent(world)[1]
    assert remarked["urls"] == list(OLD.urls)
    assert remarked["refresh_error"] == "the provider no longer says that the task is completed, but queued"
    assert remarked["refreshed_at"] is None
    assert world.delivery().body == world.sender.posts[1].body
    await redelivered(world, 60)
    assert (sent(world)[2]["urls"], "refresh_error" in sent(world)[2]) == (list(NEW.urls), False)


async def test_a_remark_that_is_there_already_is_not_written_again(world):
    """The same bytes need no write."""
    await told(world, Running("queued", known=True), Running("queued", known=True))
    await redelivered(world, DAY)
    await redelivered(world, 60)
    assert world.sender.posts[1].body == world.sender.posts[2].body
    assert world.store.writes.count("rewrite") == 1


async def test_a_paused_provider_delays_nothing(world):
    """The old link goes out at once, remarked."""
    await told(world)
    world.provider.script("vid_2", Throttled(3600.0))
    await world.crew.advance(DAY)
    await world.watch("vid_2", OTHER)
    await redelivered(world, 0)
    assert sent(world)[1]["refresh_error"] == "the provider is paused (throttled)"


async def test_a_provider_that_is_silent_holds_a_delivery_up_for_ten_seconds(world):
    """And the next ones not at all, for a while."""
    await told(world)
    await told(world, task_id="vid_2")
    world.provider.takes = 1e6
    await redelivered(world, DAY)
    await world.crew.advance(9.9)
    assert len(world.sender.posts) == 2
    await world.crew.advance(0.1)
    assert sent(world)[2]["refresh_error"] == "the provider did not answer within 10 s"
    await redelivered(world, REST_SECONDS - 1, "evt_2")
    assert len(world.sender.posts) == 4


async def test_while_one_is_refreshed_nobody_else_waits(world):
    """Not the other URLs of its host, even if it had the only place; it takes its place again afterwards."""
    world.apply(concurrency=1, per_host=1)
    neighbour = HOOK + "/2"
    await told(world, NEW)
    await world.crew.advance(DAY)
    world.provider.takes = 5.0
    assert await world.dispatcher.redeliver("evt_1")
    await world.crew.run()
    world.dispatcher.accept([await world.owed(neighbour, number=7), await world.owed(OTHER, number=8)])
    await world.crew.run()
    assert (len(times(world, neighbour)), len(times(world, OTHER)), len(times(world))) == (1, 1, 1)
    await world.crew.advance(5)
    assert sent(world)[1]["urls"] == list(NEW.urls)
    assert world.sender.most_in_flight == 1


async def test_two_watches_of_a_task_ask_once(world):
    """What the one has learned, the other knows."""
    await told(world, NEW)
    await world.watch("vid_1", OTHER)
    await redelivered(world, DAY)
    await redelivered(world, 30, "evt_2")
    assert sent(world, OTHER)[1]["urls"] == list(NEW.urls)
    assert sent(world, OTHER)[1]["refreshed_at"] == sent(world)[1]["refreshed_at"]
    assert len(world.provider.asked) == 2


async def test_a_backlog_behind_an_open_circuit_is_not_asked_for(world):
    """Only what is about to be attempted: one question for each probe."""
    world.sender.usual = answered(500)
    for number in range(20):
        await told(world, *[NEW] * 40, task_id=f"vid_{number}")
    await world.crew.advance(160)
    assert world.dispatcher.circuit(HOOK) is not None
    assert "exhausted" not in {one.state for one in world.store.deliveries.values()}
    world.apply(freshness=Freshness(10.0, margin=1.0))
    polls, posts = len(world.provider.asked), len(world.sender.posts)
    await world.crew.advance(300)
    assert 0 < len(world.provider.asked) - polls <= len(world.sender.posts) - posts + 1


async def test_a_restart_between_saving_and_sending_sends_what_was_saved(world):
    """As after kill -9: the body that is in the store, under the same id."""
    await told(world, NEW)
    world.sender.hold()
    await redelivered(world, DAY)
    saved = world.delivery().body
    world.build()
    world.apply(freshness=HOUR)
    await world.dispatcher.start()
    world.sender.release()
    await world.crew.run()
    assert {post.body for post in world.sender.posts[1:]} == {saved}
    assert len(world.provider.asked) == 2


async def test_nothing_is_sent_that_could_not_be_saved(world):
    """What the receiver has must be what a restart would send: it is due again in a moment."""
    await told(world, NEW, NEW)
    await world.crew.advance(DAY)
    assert await world.dispatcher.redeliver("evt_1")
    world.provider.takes = 1.0
    await world.crew.run()
    world.store.down = True
    with capture_logs() as lines:
        await world.crew.advance(5)
    assert len(world.sender.posts) == 1
    assert [line["event"] for line in lines][:1] == ["delivery.unread"]
    world.store.down = False
    await world.crew.advance(3)
    assert [one["urls"] for one in sent(world)] == [list(OLD.urls), list(NEW.urls)]


async def test_a_delivery_that_is_deleted_meanwhile_is_not_sent(world):
    """Nor one that somebody else has attempted."""
    await told(world, NEW)
    await world.crew.advance(DAY)
    assert await world.dispatcher.redeliver("evt_1")
    world.provider.takes = 1.0
    await world.crew.run()
    kept = world.store.deliveries.pop("evt_1")
    await world.crew.advance(2)
    world.dispatcher._line_up([kept])
    await world.crew.run()
    assert len(world.sender.posts) == 1
    world.provider.takes = 0.0
    await told(world, task_id="vid_2")
    assert len(world.sender.posts) == 2


async def test_a_fault_of_ours_leaves_the_delivery_owed(world):
    """A minute later it is tried anew."""
    await told(world, NEW)
    await world.crew.advance(DAY)
    subject, faults = world.store.subject, [ZeroDivisionError()]

    async def faulty(delivery_id):
        if faults:
            raise faults.pop()
        return await subject(delivery_id)

    world.store.subject = faulty
    assert await world.dispatcher.redeliver("evt_1")
    with pytest.raises(ZeroDivisionError):
        await world.crew.run()
    await world.crew.advance(60)
    assert sent(world)[1]["urls"] == list(NEW.urls)


async def test_a_stop_does_not_wait_for_a_provider(world):
    """What was being asked for stays owed, and nothing more goes out."""
    await told(world)
    world.provider.takes = 1e6
    await redelivered(world, DAY)
    world.dispatcher.close()
    world.inquiries.close()
    await world.crew.run()
    assert (len(world.sender.posts), world.delivery().state) == (1, "pending")


async def test_an_event_without_urls_is_never_refreshed(world):
    """A failure has none."""
    await told(world, first=Running("processing", known=True))
    await world.crew.advance(0)
    world.dispatcher.accept([await world.owed(number=5)])
    await world.crew.advance(DAY)
    assert await world.dispatcher.redeliver("evt_05")
    await world.crew.run()
    assert world.store.writes.count("rewrite") == 0
