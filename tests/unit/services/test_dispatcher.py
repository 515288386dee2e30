"""From an owed delivery, over its attempts, to a receiver that has it – or had its chances."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from notifier.domain.answer import Completed
from notifier.domain.delivery import RetrySchedule
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.signature import HmacKey, Valid, verify
from tests.fakes import START
from tests.unit.services.mail import DOWN, HUNG, OK, OTHER, answered, send, times
from tests.unit.services.world import HOOK, KEY, World

DONE = Completed("completed", ("https://cdn.example/1.mp4",))
NEW = HmacKey(b"n" * 32)


# One attempt


async def test_an_owed_delivery_goes_out_at_once_signed(world):
    """The body as stored, the event's id, the second of the attempt, our name."""
    await send(world)
    (post,) = world.sender.posts
    assert (post.url, post.body) == (HOOK, b'{"a":1}')
    signature = post.headers["webhook-signature"]
    assert dict(post.headers) == {
        "content-type": "application/json",
        "user-agent": "notifier/1.2.3",
        "webhook-id": "evt_01",
        "webhook-timestamp": str(int(START.timestamp())),
        "webhook-signature": signature,
    }
    assert verify([KEY], "evt_01", post.headers["webhook-timestamp"], signature, post.body, now=int(START.timestamp()))
    assert (world.delivery("evt_01").state, world.alarms.pending) == ("delivered", {})


async def test_every_attempt_is_signed_afresh_over_the_same_body(world):
    """The timestamp is the attempt's, so that late retries are not taken for stale; id and body never change."""
    await send(world, DOWN, DOWN)
    await world.crew.advance(60)
    seconds = [int(post.headers["webhook-timestamp"]) - int(START.timestamp()) for post in world.sender.posts]
    assert seconds == [0, 5, 35]
    assert {(post.headers["webhook-id"], post.body) for post in world.sender.posts} == {("evt_01", b'{"a":1}')}
    for post in world.sender.posts:
        stamp = post.headers["webhook-timestamp"]
        verdict = verify([KEY], "evt_01", stamp, post.headers["webhook-signature"], post.body, now=int(stamp))
        assert verdict == Valid()


async def test_a_timestamp_is_whole_seconds_and_not_ahead(world):
    """Rounded down."""
    world.clock.jump(0.999)
    await send(world)
    assert world.sender.posts[0].headers["webhook-timestamp"] == str(int(START.timestamp()))


async def test_an_endpoints_secrets_and_headers_are_its_own(world):
    """They replace the global secrets for its URL; what it adds cannot replace what is ours."""
    headers = {"X-Env": "production", "webhook-id": "evil", "user-agent": "evil"}
    world.apply(receivers=Receivers(Receiver((KEY,)), {HOOK: Receiver((NEW, KEY), headers)}))
    await send(world, url=HOOK)
    await send(world, url=OTHER, number=2)
    own, usual = world.sender.posts
    assert (own.headers["X-Env"], own.headers["webhook-id"]) == ("production", "evt_01")
    assert own.headers["user-agent"] == "notifier/1.2.3"
    assert len(own.headers["webhook-signature"].split(" ")) == 2
    assert "X-Env" not in usual.headers
    assert len(usual.headers["webhook-signature"].split(" ")) == 1


async def test_an_attempt_is_one_line_and_the_url_has_no_query(world):
    """Info when delivered, a warning when not; secrets in query strings stay out of logs."""
    with capture_logs() as lines:
        await send(world, answered(500), url=HOOK + "?token=s3cret#x")
        await world.crew.advance(10)
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert lines[0] == {
        "event": "delivery.attempted",
        "log_level": "warning",
        "event_id": "evt_01",
        "watch_id": "wch_1",
        "type": "task.completed",
        "url": HOOK,
        "outcome": "failed",
        "http_status": 500,
        "error": "HTTP 500",
        "attempt": 1,
        "duration_ms": 100.0,
        "next_attempt_at": "2026-11-22T13:33:05.000000Z",
    }
    assert (lines[1]["outcome"], lines[1]["attempt"], lines[1]["next_attempt_at"]) == ("delivered", 2, None)


async def test_attempts_are_measured(world):
    """Outcome and duration of each, and how long a receiver had to wait for its event."""
    await send(world, DOWN)
    await world.crew.advance(10)
    assert world.meter.attempts == [("failed", 0.1), ("delivered", 0.05)]
    assert world.meter.latencies == [5.0]
    assert world.meter.events == ["task.completed"]


# The schedule


async def test_a_receiver_that_is_down_is_tried_again_by_the_schedule(world):
    """A wait counts from the end of the attempt; after the last one the delivery is exhausted and kept."""
    world.sender.takes = 2.0
    with capture_logs() as lines:
        await send(world, *[DOWN] * 9)
        await world.crew.advance(1000)
    assert times(world) == [0, 7, 39, 161]
    delivery = world.delivery("evt_01")
    assert (delivery.state, delivery.reason, delivery.attempts) == ("exhausted", "schedule", 4)
    (line,) = [line for line in lines if line["event"] == "delivery.exhausted"]
    assert (line["log_level"], line["reason"], line["attempts"], line["url"]) == ("error", "schedule", 4, HOOK)
    assert "notifier delivery redeliver evt_01" in line["hint"]
    assert world.alarms.pending == {}
    assert [attempt.outcome for attempt in world.store.logs["evt_01"]] == ["failed"] * 4


@pytest.mark.parametrize(("spread", "expected"), [(-1.0, [0, 4, 28]), (1.0, [0, 6, 42])])
async def test_waits_have_jitter(world, spread, expected):
    """A fifth, either way."""
    world.chance.usual = spread
    await send(world, DOWN, DOWN)
    await world.crew.advance(100)
    assert times(world) == expected


@pytest.mark.parametrize("receipt", [answered(301), answered(400), answered(404), answered(500), HUNG])
async def test_everything_but_2xx_and_410_is_retried(world, receipt):
    """Redirects are failures; nothing is sent to where they point."""
    await send(world, receipt)
    await world.crew.advance(5)
    assert [post.url for post in world.sender.posts] == [HOOK, HOOK]


async def test_410_ends_a_delivery_at_once(world):
    """With its own reason."""
    with capture_logs() as lines:
        await send(world, answered(410))
        await world.crew.advance(1000)
    assert (times(world), world.delivery("evt_01").reason) == ([0], "gone")
    assert [line["reason"] for line in lines if line["event"] == "delivery.exhausted"] == ["gone"]


async def test_retry_after_is_obeyed_twenty_times_and_uses_up_nothing(world):
    """Then the schedule begins."""
    await send(world, *[answered(429, 100.0)] * 22, DOWN, DOWN, DOWN)
    await world.crew.advance(100_000)
    expected = [number * 100.0 for number in range(21)]
    assert times(world) == [*expected, 2005, 2035, 2155]
    delivery = world.delivery("evt_01")
    assert (delivery.deferrals, delivery.failures, delivery.reason) == (20, 4, "schedule")


async def test_a_new_schedule_holds_from_the_next_attempt_on(world):
    """Also a shorter one."""
    await send(world, *[DOWN] * 9)
    world.apply(schedule=RetrySchedule((5.0,)))
    await world.crew.advance(1000)
    assert times(world) == [0, 5]
    assert world.delivery("evt_01").state == "exhausted"


# Redelivering


async def test_a_redelivery_is_the_same_event_with_a_fresh_schedule(world):
    """Same id, same body; it works for exhausted and delivered ones, and its latency is nobody's."""
    await send(world, *[DOWN] * 5)
    await world.crew.advance(1000)
    with capture_logs() as lines:
        assert await world.dispatcher.redeliver("evt_01")
    assert [line["event"] for line in lines] == ["delivery.redelivered"]
    await world.crew.advance(5)
    assert times(world)[4:] == [1000, 1005]
    assert world.delivery("evt_01").state == "delivered"
    assert await world.dispatcher.redeliver("evt_01")
    await world.crew.run()
    assert {(post.headers["webhook-id"], post.body) for post in world.sender.posts} == {("evt_01", b'{"a":1}')}
    assert (len(world.sender.posts), world.delivery("evt_01").attempts) == (7, 7)
    assert world.meter.latencies == []
    assert world.meter.events == ["task.completed"]


async def test_a_pending_or_unknown_delivery_is_not_redelivered(world):
    """The one is on its way, the other does not exist; nothing is logged or sent."""
    await send(world, DOWN)
    with capture_logs() as lines:
        assert not await world.dispatcher.redeliver("evt_01")
        assert not await world.dispatcher.redeliver("evt_99")
        await world.crew.run()
    assert (lines, len(world.sender.posts)) == ([], 1)


# Which events are owed


async def test_an_event_that_an_endpoint_does_not_list_is_not_owed(world):
    """Nor one for a task that goes on."""
    picky = Receiver((KEY,), events=frozenset({"task.failed"}))
    world.apply(receivers=Receivers(Receiver((KEY,)), {OTHER: picky}))
    await world.accept("vid_1", HOOK)
    await world.accept("vid_1", OTHER)
    world.provider.script("vid_1", DONE)
    assert world.dispatcher.owe(world.task(), world.store.watches["wch_1"]) is None
    await world.crew.run()
    assert [post.url for post in world.sender.posts] == [HOOK]
    assert list(world.store.deliveries) == ["evt_1"]


# For any receiver


receipts = st.one_of(
    st.sampled_from([DOWN, HUNG, OK, answered(410), answered(429)]),
    st.builds(answered, st.integers(200, 599), st.none() | st.floats(0, 1e6)),
    st.builds(answered, st.sampled_from([429, 503]), st.floats(0, 100)),
)


@given(st.lists(receipts, min_size=24, max_size=30), st.floats(-1, 1), st.integers(0, 3))
@settings(max_examples=10, deadline=None)
async def test_every_delivery_comes_to_an_end(said, spread, failures):
    """Whatever the receiver says and whenever the store fails: bounded attempts, none early, all of them kept."""
    world = World()
    world.chance.usual = spread
    delivery = await world.owed()
    world.store.fail(failures)
    world.sender.script(HOOK, *[replace(receipt, duration=0.0) for receipt in said], *[DOWN] * 9)
    world.dispatcher.accept([delivery])
    await world.crew.advance(86_400.0 * 25)
    ended = world.delivery("evt_01")
    log = world.store.logs["evt_01"]
    assert ended.state != "pending"
    assert ended.attempts == len(world.sender.posts) == len(log) <= 1 + 3 + 20
    waits = iter((5.0, 30.0, 120.0))
    for attempt, receipt, post, later in zip(log, said, world.sender.posts, world.sender.posts[1:], strict=False):
        least = min(max(receipt.retry_after, 1.0), 86_400.0) if attempt.outcome == "deferred" else 0.8 * next(waits)
        assert later.at - post.at >= timedelta(seconds=least - 1e-3)


async def test_a_wait_that_was_written_down_by_a_wrong_clock_is_cut_short(world):
    """A clock a year ahead, set right before the restart: nobody waits longer than anybody ever does."""
    delivery = await world.owed()
    world.store.deliveries[delivery.id] = replace(delivery, next_attempt_at=START + timedelta(days=400))
    await world.dispatcher.start()
    await world.crew.advance(24 * 3600 - 1)
    assert world.sender.posts == []
    await world.crew.advance(2)
    assert world.delivery("evt_01").state == "delivered"


async def test_a_clock_that_is_set_back_while_an_attempt_is_saved_delays_nothing(world):
    """The wait counts from the end of the attempt, by a clock that only grows."""
    settle = world.store.settle

    async def slow(*settled):
        world.clock.jump(-86_400)
        return await settle(*settled)

    world.store.settle = slow
    await send(world, DOWN)
    world.store.settle = settle
    await world.crew.advance(7)
    assert world.delivery("evt_01").state == "delivered"
