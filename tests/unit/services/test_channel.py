"""Many tasks and one provider: rate, concurrency, fairness, pauses."""

from collections import Counter
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from notifier.domain.answer import Missed, Running, Throttled, Unauthorized, Unavailable
from tests.fake_pool import FakeTenure
from tests.unit.services.world import LIMITS, World

RUNNING = Running("processing", known=True)


async def crowd(world, count):
    for number in range(count):
        await world.accept(f"vid_{number}")
    await world.crew.run()


def begun(world, since=0.0, until=float("inf")):
    return [task for task, at in world.provider.asked if since <= at - 1000 < until]


async def test_polls_keep_to_the_rate(world):
    """One second's worth at once, then so many a second; nobody is forgotten and nobody goes twice before others."""
    await crowd(world, 100)
    assert len(begun(world)) == 10
    for second in range(1, 10):
        await world.crew.advance(1)
        assert len(begun(world)) == 10 + 10 * second
    assert Counter(begun(world)) == {f"vid_{number}": 1 for number in range(100)}


async def test_who_waits_is_not_called_for_all_the_time(world):
    """The rate lets a task go every ten intervals: the firings between cost time and bring nothing. Its turn is never
    lost, and what is called for less often is polled no later."""
    world = World(replace(LIMITS, rate=1.0))
    await crowd(world, 300)
    await world.crew.advance(3000)
    assert len(world.timetable.fired) < 3 * len(begun(world))
    assert set(Counter(begun(world, since=300)).values()) == {9}


async def test_who_waited_patiently_is_called_for_when_the_provider_comes_back(world):
    """It was taken out of the configuration while tasks waited for it."""
    world = World(replace(LIMITS, rate=1.0))
    await crowd(world, 300)
    await world.crew.advance(200)
    world.configure()
    await world.crew.advance(10)
    world.configure(videos=replace(LIMITS, rate=100.0))
    await world.crew.advance(31)
    assert len(set(begun(world, since=210))) == 300


async def test_when_the_rate_is_too_low_polls_are_late_but_fair():
    """Everybody goes about equally often, in turn, and waiting costs no wake-up and no line."""
    world = World(replace(LIMITS, rate=1.0))
    await crowd(world, 90)
    with capture_logs() as lines:
        await world.crew.advance(899)
    counts = Counter(begun(world))
    assert len(counts) == 90
    assert max(counts.values()) - min(counts.values()) <= 2
    assert sum(counts.values()) == 900
    assert len(lines) <= 900
    assert max(lag for *_, lag in world.meter.polls) == pytest.approx(89.0, abs=1.5)


async def test_lag_is_told_while_it_lasts():
    """How long the longest waiting task has been due; nothing when nobody waits."""
    world = World(replace(LIMITS, rate=1.0))
    assert world.poller.lag() == 0.0
    await crowd(world, 4)
    await world.crew.advance(1.5)
    assert world.poller.lag() == 1.5
    await world.crew.advance(10)
    assert world.poller.lag() == 0.0


async def test_lag_is_the_longest_of_all_providers(world):
    """One that keeps up does not hide one that does not."""
    world.configure(videos=LIMITS, slow=replace(LIMITS, rate=0.1))
    await world.watch("img_1", provider="videos")
    for number in range(2):
        await world.watch(f"vid_{number}", provider="slow")
    await world.crew.advance(6)
    assert world.poller.lag() == 6.0


async def test_no_more_polls_are_in_flight_than_allowed():
    """The others go as places become free."""
    world = World(replace(LIMITS, rate=1000.0, concurrency=3))
    world.provider.hold()
    await crowd(world, 10)
    assert world.provider.in_flight == 3
    world.provider.release(2)
    world.provider.held = True
    await world.crew.run()
    assert (world.provider.in_flight, len(begun(world))) == (3, 5)
    world.provider.release()
    await world.crew.run()
    assert (world.provider.most_in_flight, len(begun(world))) == (3, 10)
    await world.crew.aclose()


async def test_a_stuck_task_delays_no_other():
    """One poll hangs until its time-out; the others go on at their interval."""
    world = World()
    world.provider.hold()
    await world.watch("stuck")
    world.provider.held = False
    await world.watch("vid_1")
    await world.crew.advance(90)
    assert world.provider.times("vid_1") == [0, 30, 60, 90]
    assert world.provider.times("stuck") == [0]
    await world.crew.aclose()


async def test_polls_of_one_task_never_overlap():
    """A poll that takes longer than the interval is waited for; firings meanwhile are not saved up."""
    world = World()
    world.provider.takes = 45.0
    await world.watch()
    await world.crew.advance(200)
    assert world.provider.times("vid_1") == [0, 60, 120, 180]
    assert world.provider.most_in_flight == 1
    await world.crew.aclose()


@pytest.mark.parametrize("told", [7.0, 3600.0])
async def test_retry_after_pauses_the_whole_provider(world, told):
    """As long as told: nobody is polled, nobody suffers, and all go on afterwards."""
    world.provider.script("vid_0", Throttled(told))
    await crowd(world, 5)
    before = len(begun(world))
    assert world.poller.pauses()["videos"].reason == "throttled"
    await world.crew.advance(told - 0.01)
    assert len(begun(world)) == before
    await world.crew.advance(0.02)
    assert len(set(begun(world, since=told - 0.01))) == 5
    assert world.poller.pauses() == {}


async def test_throttling_that_tells_nothing_backs_off(world):
    """From the provider's interval, doubling up to five minutes."""
    world.provider.usual = Throttled(None)
    await world.watch()
    await world.crew.advance(30 + 60 + 120 + 240 + 300 + 300)
    assert world.provider.times("vid_1") == [0, 30, 90, 210, 450, 750, 1050]


async def test_a_bad_key_pauses_the_provider_and_ends_nothing(world):
    """Backing off up to five minutes, shown with its reason, until the key works."""
    world.provider.usual = Unauthorized(401)
    await world.watch()
    await world.watch("vid_2")
    assert world.poller.pauses()["videos"].reason == "unauthorized"
    await world.crew.advance(1049)
    assert [at - 1000 for _, at in world.provider.asked] == [0, 30, 90, 210, 450, 750]
    world.provider.usual = RUNNING
    await world.crew.advance(1)
    assert world.poller.pauses() == {}
    assert (world.task(1).end, world.task(2).end) == (None, None)
    assert world.meter.pauses[-1] == ("videos", None)


async def test_a_pause_has_jitter(world):
    """Several daemons do not come back at the same moment."""
    world.chance.usual = 1.0
    world.provider.script("vid_1", Throttled(None))
    await world.watch()
    assert world.poller.pauses()["videos"].until == 1036.0


async def test_many_refusals_at_once_are_one_strike(world):
    """Forty requests in flight do not double a backoff forty times, and are one line."""
    world.configure(videos=replace(LIMITS, rate=100.0, concurrency=40))
    world.provider.hold()
    await crowd(world, 40)
    world.provider.usual = Unauthorized(401)
    with capture_logs() as lines:
        world.provider.release()
        await world.crew.run()
    pause = world.poller.pauses()["videos"]
    assert (pause.strikes, pause.until) == (1, 1030.0)
    assert [line["event"] for line in lines].count("provider.paused") == 1


async def test_a_longer_wait_that_is_told_later_counts(world):
    """The longest Retry-After of those in flight holds."""
    world.provider.hold()
    await crowd(world, 2)
    world.provider.script("vid_0", Throttled(10.0))
    world.provider.script("vid_1", Throttled(60.0))
    world.provider.release()
    await world.crew.run()
    assert world.poller.pauses()["videos"].until == 1060.0


async def test_after_a_pause_one_goes_first(world):
    """Only when it is answered well do the others follow."""
    world.provider.script("vid_0", Throttled(7.0))
    world.configure(videos=replace(LIMITS, concurrency=1))
    await crowd(world, 5)
    world.configure(videos=LIMITS)
    await world.crew.advance(5)
    world.provider.hold()
    await world.crew.advance(2)
    assert world.provider.in_flight == 1
    world.provider.release()
    await world.crew.run()
    assert len(begun(world, since=7)) == 5


async def test_who_was_refused_is_asked_again_after_the_pause(world):
    """It stands in line again at once, not only at its next firing."""
    world.provider.script("vid_1", Throttled(7.0))
    await world.watch()
    await world.crew.advance(8)
    assert world.provider.times("vid_1") == [0, 7]


async def test_good_answers_of_requests_sent_before_the_pause_do_not_end_it(world):
    """They say nothing about what the provider thinks now."""
    world.provider.hold()
    await crowd(world, 2)
    world.provider.script("vid_0", Throttled(60.0))
    world.provider.release(1)
    await world.crew.run()
    world.provider.release()
    await world.crew.advance(59)
    assert world.poller.pauses()["videos"].until == 1060.0
    assert len(begun(world)) == 2


@pytest.mark.parametrize("answer", [RUNNING, Missed(False, "HTTP 404"), Unavailable("HTTP 500")])
async def test_any_answer_that_is_no_refusal_ends_a_pause(world, answer):
    """The next refusal begins a new one, from the first step."""
    world.provider.script("vid_1", Unauthorized(401), Unauthorized(401), answer, Unauthorized(401))
    await world.watch()
    with capture_logs() as lines:
        await world.crew.advance(600)
    assert ("provider.resumed", "unauthorized") in [(line["event"], line.get("after")) for line in lines]
    assert [line["strikes"] for line in lines if line["event"] == "provider.paused"] == [2, 1]
    assert [reason for _, reason in world.meter.pauses] == ["unauthorized", "unauthorized", None, "unauthorized", None]


async def test_each_strike_is_one_warning(world):
    """With the reason and how long the pause will be."""
    world.provider.script("vid_1", Throttled(None), Unauthorized(403))
    with capture_logs() as lines:
        await world.watch()
        await world.crew.advance(30)
    told = [(line["reason"], line["seconds"], line["strikes"]) for line in lines if line["event"] == "provider.paused"]
    assert told == [("throttled", 30.0, 1), ("unauthorized", 60.0, 2)]


async def test_another_reason_in_the_same_strike_is_told(world):
    """Throttling and then a bad key are two things to look at."""
    world.provider.hold()
    await crowd(world, 2)
    world.provider.script("vid_0", Throttled(60.0))
    world.provider.script("vid_1", Unauthorized(401))
    with capture_logs() as lines:
        world.provider.release()
        await world.crew.run()
    assert [line["reason"] for line in lines if line["event"] == "provider.paused"] == ["throttled", "unauthorized"]


async def test_a_paused_provider_is_no_lag(world):
    """It waits on purpose."""
    world.provider.script("vid_1", Throttled(60.0))
    await world.watch()
    await world.crew.advance(40)
    assert world.poller.lag() == 0.0


async def test_one_provider_pauses_and_others_go_on(world):
    """Each has its own line, rate and pause."""
    world.configure(videos=LIMITS, images=LIMITS)
    world.provider.script("vid_1", Throttled(600.0))
    await world.watch("vid_1", provider="videos")
    await world.watch("img_1", provider="images")
    await world.crew.advance(90)
    assert world.provider.times("vid_1") == [0]
    assert world.provider.times("img_1") == [0, 30, 60, 90]
    assert list(world.poller.pauses()) == ["videos"]


async def test_waiting_needs_one_wake_up_at_a_time(world):
    """A hundred tasks in line cost one timer, not a hundred."""
    await crowd(world, 100)
    firings = len(world.timetable.jobs)
    assert world.crew.awaited == firings + 1


async def test_a_poll_that_waited_for_its_turn_begins_its_phase_anew(world):
    """Consecutive polls are one interval apart, whatever the interval job's own beat is."""
    world.configure(videos=replace(LIMITS, rate=0.5))
    for number in range(3):
        await world.accept(f"vid_{number}")
    await world.crew.advance(70)
    polled = [[round(at, 3) for at in world.provider.times(f"vid_{number}")] for number in range(3)]
    assert polled == [[0, 30, 60], [2, 32, 62], [4, 34, 64]]


async def test_who_was_cancelled_while_waiting_uses_up_no_rate(world):
    """A thousand watches that nobody wants any more must not hold up the next one."""
    world.configure(videos=replace(LIMITS, rate=1.0))
    for number in range(100):
        await world.accept(f"vid_{number}")
    for number in range(1, 101):
        await world.registrar.cancel(f"wch_{number}")
    began = world.clock.monotonic()
    await world.accept("vid_new")
    await world.crew.advance(2)
    assert world.provider.times("vid_new") != []
    assert world.clock.monotonic() - began == 2


async def test_who_is_cancelled_between_turn_and_poll_is_not_polled(world):
    """The turn was taken, but nobody wants to know any more."""
    await world.accept("vid_1")
    world.poller.due(1)
    world.poller.forget(1)
    await world.crew.run()
    assert world.provider.asked == []


async def test_nobody_is_asked_while_the_lease_does_not_hold():
    """Others may poll these tasks by then; they wait, and go on when it holds again."""
    tenure = FakeTenure()
    world = World(tenure=tenure)
    await crowd(world, 3)
    tenure.holding = False
    await world.crew.advance(100)
    assert len(begun(world)) == 3
    tenure.holding = True
    await world.crew.advance(1.5)
    assert len(begun(world)) == 6


async def test_a_process_that_was_stopped_between_look_and_question_asks_nothing():
    """Two turns were given while the lease held; when the second comes to be taken, others may have its task. It is not
    lost."""

    class Stopped(FakeTenure):
        def holds(self) -> bool:
            return self.holding and (self.node == "woken" or not world.provider.asked)

    tenure = Stopped(holding=False)
    world = World(tenure=tenure)
    await crowd(world, 2)
    tenure.holding = True
    await world.crew.advance(0.9)
    assert len(begun(world)) == 1
    tenure.node = "woken"
    await world.crew.advance(0.9)
    assert sorted(begun(world)) == ["vid_0", "vid_1"]
