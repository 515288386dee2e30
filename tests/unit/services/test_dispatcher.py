"""From an owed delivery, over its attempts, to a receiver that has it – or had its chances."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from notifier.domain.address import Refusal
from notifier.domain.answer import Completed
from notifier.domain.delivery import Answered, RetrySchedule, Unanswered
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.signature import HmacKey, Valid, verify
from notifier.services.dispatcher import lane_of, without_query
from tests.fakes import START
from tests.unit.services.world import HOOK, KEY, World

DOWN = Unanswered("connection refused", 0.1)
HUNG = Unanswered("the receiver did not answer within 15s", 15.0, timed_out=True)
OK = Answered(204, None, "", 0.1)
OTHER = "https://other.example/hook"
DONE = Completed("completed", ("https://cdn.example/1.mp4",))
NEW = HmacKey(b"n" * 32)


def answered(http_status, retry_after=None):
    return Answered(http_status, retry_after, "body", 0.1)


def times(world, url=HOOK):
    """When attempts were made at a URL, in seconds since the world began."""
    return [(post.at - START).total_seconds() for post in world.sender.to(url)]


async def send(world, *receipts, url=HOOK, number=1):
    """Owe one delivery to a receiver that says this."""
    world.sender.script(url, *receipts)
    world.dispatcher.accept([await world.owed(url, number=number)])
    await world.crew.run()


async def owe_many(world, count, url=HOOK, first=1):
    world.dispatcher.accept([await world.owed(url, number=first + number) for number in range(count)])
    await world.crew.run()


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


# Many receivers


async def test_a_slow_receiver_holds_up_nobody_else(world):
    """At most `per_host` attempts at one receiver; others go at once."""
    world.sender.hold()
    await owe_many(world, 20)
    assert world.sender.in_flight == 8
    world.sender.held = False
    await send(world, url=OTHER, number=50)
    assert times(world, OTHER) == [0]
    world.sender.release()
    await world.crew.run()
    assert len(list(world.sender.to(HOOK))) == 20
    assert world.sender.most_in_flight == 9


async def test_all_attempts_together_have_a_limit(world):
    """And every lane gets its turn."""
    world.apply(concurrency=3)
    world.sender.hold()
    for number in range(5):
        await owe_many(world, 2, f"https://host-{number}.example/", first=10 * number)
    assert world.sender.in_flight == 3
    world.sender.release()
    await world.crew.run()
    assert (world.sender.most_in_flight, len(world.sender.posts)) == (3, 10)


@pytest.mark.parametrize(
    ("receipts", "places"),
    [((HUNG,), 1), ((HUNG, DOWN), 1), ((HUNG, answered(500)), 8), ((HUNG, OK), 8), ((DOWN,), 8), ((answered(500),), 8)],
)
async def test_a_receiver_that_ran_into_the_timeout_gets_one_place_until_it_answers(world, receipts, places):
    """Any answer will do; a refused connection is none."""
    world.apply(schedule=RetrySchedule((3600.0,)))
    for number, receipt in enumerate(receipts):
        await send(world, receipt, number=number + 1)
    world.sender.hold()
    await owe_many(world, 20, first=10)
    assert world.sender.in_flight == places


async def test_new_limits_hold_from_now_on(world):
    """More places are used at once."""
    world.apply(per_host=1)
    world.sender.hold()
    await owe_many(world, 5)
    assert world.sender.in_flight == 1
    world.apply(per_host=4)
    await world.crew.run()
    assert world.sender.in_flight == 4


async def test_a_delivery_is_never_attempted_twice_at_once(world):
    """An alarm or an accept that comes while it waits or is in flight changes nothing."""
    world.sender.hold()
    await send(world)
    world.dispatcher.due("evt_01", lane_of(HOOK))
    world.dispatcher.accept([world.delivery("evt_01")])
    await world.crew.run()
    assert world.sender.in_flight == 1
    world.sender.release()
    await world.crew.run()
    assert len(world.sender.posts) == 1


async def test_a_dispatcher_that_does_nothing_although_it_should_says_so(world):
    """Deliveries that are due for more than five seconds while nothing is being attempted: readiness looks at it."""
    assert not world.dispatcher.stuck()
    world.apply(concurrency=0)
    await owe_many(world, 1)
    await world.crew.advance(5)
    assert not world.dispatcher.stuck()
    await world.crew.advance(0.1)
    assert world.dispatcher.stuck()


async def test_waiting_for_slow_receivers_is_not_being_stuck(world):
    """As long as something is in flight, there is progress to hope for."""
    world.apply(per_host=1)
    world.sender.hold()
    await owe_many(world, 2)
    await world.crew.advance(60)
    assert not world.dispatcher.stuck()


@pytest.mark.parametrize(
    ("url", "lane"),
    [
        ("https://A.example/x?y=1", "https://a.example"),
        ("https://a.example:8443/x", "https://a.example:8443"),
        ("http://a.example/", "http://a.example"),
        ("https://[2606:4700::1]:1/x", "https://[2606:4700::1]:1"),
    ],
)
def test_receivers_share_a_lane_when_they_share_a_server(url, lane):
    """What is slow is a server, not a path."""
    assert lane_of(url) == lane


@pytest.mark.parametrize("url", ["https://a.example/x?y=1", "https://a.example/x#y?z", "https://a.example/x?y#z"])
def test_urls_are_shown_without_query_and_fragment(url):
    """Both may hold secrets."""
    assert without_query(url) == "https://a.example/x"


# The store


async def test_a_restart_takes_up_every_pending_delivery(world):
    """Each at its time, and at once when that has passed."""
    await send(world, DOWN)
    await send(world, DOWN, DOWN, url=OTHER, number=2)
    await world.crew.advance(6)
    assert times(world, OTHER) == [0, 5]
    world.build()
    await world.dispatcher.start()
    await world.crew.advance(60)
    assert (world.delivery("evt_01").state, world.delivery("evt_02").state) == ("delivered", "delivered")
    assert times(world, OTHER)[2] == 35


async def test_an_attempt_that_cannot_be_saved_is_not_made_again(world):
    """It is kept, and saved every second until the store takes it; then the schedule goes on."""
    world.sender.script(HOOK, DOWN)
    delivery = await world.owed()
    world.store.down = True
    with capture_logs() as lines:
        world.dispatcher.accept([delivery])
        await world.crew.advance(20)
    assert times(world) == [0]
    assert {line["event"] for line in lines} == {"delivery.attempted", "delivery.unsaved"}
    world.store.down = False
    await world.crew.advance(1)
    assert world.store.logs["evt_01"][0].outcome == "failed"
    await world.crew.advance(1)
    assert len(times(world)) == 2
    assert world.delivery("evt_01").state == "delivered"


async def test_a_delivered_attempt_that_cannot_be_saved_is_not_sent_twice(world):
    """The receiver has it already."""
    delivery = await world.owed()
    world.store.fail(3)
    world.dispatcher.accept([delivery])
    await world.crew.advance(30)
    assert (times(world), world.delivery("evt_01").state) == ([0], "delivered")


async def test_a_delivery_that_cannot_be_read_is_tried_again(world):
    """A second later, until the store answers; that is no attempt."""
    await send(world, DOWN)
    world.store.down = True
    with capture_logs() as lines:
        await world.crew.advance(8)
    assert [line["event"] for line in lines] == ["delivery.unread"] * 4
    world.store.down = False
    await world.crew.advance(1)
    assert times(world) == [0, 9]


async def test_a_delivery_that_is_gone_or_settled_is_not_attempted(world):
    """An alarm can come late: after a retention or on another daemon's attempt."""
    await send(world)
    world.dispatcher.due("evt_01", lane_of(HOOK))
    world.dispatcher.due("evt_99", lane_of(HOOK))
    await world.crew.run()
    assert len(world.sender.posts) == 1


async def test_a_fault_of_ours_leaves_the_delivery_owed(world):
    """Its place is free again, and a minute later it is tried anew."""
    world.sender.script(HOOK, ZeroDivisionError())
    world.dispatcher.accept([await world.owed()])
    with pytest.raises(ZeroDivisionError):
        await world.crew.run()
    world.apply(per_host=1)
    await world.crew.advance(59)
    assert times(world) == [0]
    await world.crew.advance(1)
    assert times(world) == [0, 60]


# The stop


async def test_nothing_starts_after_close_and_what_is_in_flight_finishes(world):
    """Its outcome is saved; what waits stays pending for the next start."""
    world.apply(per_host=1)
    world.sender.hold()
    await owe_many(world, 2)
    world.dispatcher.close()
    await owe_many(world, 1, OTHER, first=3)
    world.dispatcher.due("evt_02", lane_of(HOOK))
    world.sender.release()
    await world.crew.advance(10)
    assert [post.headers["webhook-id"] for post in world.sender.posts] == ["evt_01"]
    states = [world.delivery(f"evt_0{number}").state for number in (1, 2, 3)]
    assert states == ["delivered", "pending", "pending"]


async def test_a_stop_saves_attempts_that_the_store_did_not_take(world):
    """All of them, once."""
    first, second = await world.owed(), await world.owed(OTHER, number=2)
    world.store.down = True
    world.dispatcher.accept([first, second])
    await world.crew.run()
    world.dispatcher.close()
    world.store.down = False
    await world.dispatcher.flush()
    await world.dispatcher.flush()
    assert [world.delivery(f"evt_0{number}").state for number in (1, 2)] == ["delivered", "delivered"]
    assert world.store.writes == ["settle", "settle"]


async def test_an_unsaved_attempt_is_saved_also_while_stopping(world):
    """Its alarm may still ring."""
    delivery = await world.owed()
    world.store.fail(1)
    world.dispatcher.accept([delivery])
    await world.crew.run()
    world.dispatcher.close()
    await world.crew.advance(1)
    assert world.delivery("evt_01").state == "delivered"


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


# Test events


async def test_a_test_event_goes_through_the_same_signer_and_is_not_kept(world):
    """Once, whatever comes of it; no lane, no log, no delivery."""
    attempt = await world.dispatcher.test(HOOK)
    (post,) = world.sender.posts
    assert (attempt.outcome, attempt.http_status, attempt.error) == ("delivered", 204, None)
    assert world.bodies()[0]["type"] == "notifier.test"
    stamp = post.headers["webhook-timestamp"]
    verdict = verify([KEY], "evt_1", stamp, post.headers["webhook-signature"], post.body, now=int(stamp))
    assert verdict == Valid()
    assert (world.store.deliveries, world.store.writes, world.alarms.rung) == ({}, [], [])


@pytest.mark.parametrize(
    ("receipt", "error"),
    [
        (DOWN, "connection refused"),
        (answered(500), "HTTP 500"),
        (answered(410), "HTTP 410"),
        (answered(302), "HTTP 302; redirects are not followed"),
        (answered(429, 7.0), "HTTP 429"),
    ],
)
async def test_a_test_event_that_fails_says_how_and_is_not_retried(world, receipt, error):
    """Its outcome is delivered or failed, nothing between."""
    world.sender.script(HOOK, receipt)
    attempt = await world.dispatcher.test(HOOK)
    assert (attempt.outcome, attempt.error, attempt.duration) == ("failed", error, 0.1)
    await world.crew.advance(1000)
    assert len(world.sender.posts) == 1


async def test_a_test_event_to_a_forbidden_url_is_refused(world):
    """By the same guard as watches; nothing goes out."""
    refusal = world.guard.refused[HOOK] = Refusal("private", "10.0.0.1 is private")
    assert await world.dispatcher.test(HOOK) == refusal
    assert world.sender.posts == []


async def test_a_reload_brings_the_guard_and_the_sender_of_the_new_settings(world):
    """Both come with the policy."""
    other = World()
    other.guard.refused[HOOK] = Refusal("private", "no more")
    world.dispatcher.configure(world.policy, other.sender, other.guard)
    await send(world)
    assert (len(world.sender.posts), len(other.sender.posts)) == (0, 1)
    assert isinstance(await world.dispatcher.test(HOOK), Refusal)


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
