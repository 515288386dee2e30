"""What a reload changes for providers and their tasks."""

from dataclasses import replace

from structlog.testing import capture_logs

from notifier.domain.answer import Completed, Throttled, Unauthorized
from notifier.domain.description import Description, Question
from notifier.domain.template import parse_template
from notifier.services.registrar import WatchRequest
from tests.fake_peers import FakeProvider
from tests.unit.services.world import HOOK, LIMITS, RULES

DONE = Completed("completed", ("https://cdn.example/1.mp4",))


async def crowd(world, count):
    for number in range(count):
        await world.accept(f"vid_{number}")
    await world.crew.run()


async def test_new_limits_hold_from_now_on(world):
    """A higher rate and more places let those who wait go at once."""
    world.configure(videos=replace(LIMITS, rate=1.0, concurrency=1))
    world.provider.hold()
    await crowd(world, 30)
    world.configure(videos=replace(LIMITS, rate=100.0, concurrency=20))
    await world.crew.advance(1)
    assert world.provider.in_flight == 20


async def test_a_replaced_provider_starts_unpaused(world):
    """Another key or address deserves another try at once; a mere change of limits does not."""
    world.provider.usual = Unauthorized(401)
    await world.watch()
    world.configure(videos=replace(LIMITS, rate=20.0))
    assert list(world.poller.pauses()) == ["videos"]
    other = FakeProvider(world.crew, world.clock)
    world.poller.configure({"videos": (other, LIMITS)})
    await world.crew.run()
    assert world.poller.pauses() == {}
    assert other.times("vid_1") == [0]
    assert world.meter.pauses[-1] == ("videos", None)


async def test_what_a_replaced_provider_still_says_pauses_nobody(world):
    """The old key's 401 is about the old key."""
    world.provider.hold()
    await world.watch()
    other = FakeProvider(world.crew, world.clock)
    world.poller.configure({"videos": (other, LIMITS)})
    world.provider.script("vid_1", Unauthorized(401))
    world.provider.release()
    await world.crew.run()
    assert world.poller.pauses() == {}
    assert len(other.asked) == 1


async def test_tasks_of_a_removed_provider_rest_until_it_is_back(world):
    """They are neither polled nor ended, and their deadline still holds."""
    await world.watch("vid_1", deadline=500.0)
    world.poller.configure({})
    await world.passes(100)
    assert world.provider.times("vid_1") == [0]
    world.poller.configure({"videos": (world.provider, LIMITS)})
    await world.passes(50)
    assert world.provider.times("vid_1") == [0, 120, 150]
    world.poller.configure({})
    await world.passes(400)
    assert world.bodies()[0]["data"]["reason"] == "deadline"


async def test_a_removed_provider_is_shown_as_paused_no_more(world):
    """Its gauge goes down, its wake-up is cancelled, and a late answer does not bring it back."""
    world.provider.hold()
    await crowd(world, 2)
    world.provider.script("vid_0", Throttled(60.0))
    world.provider.release(1)
    await world.crew.run()
    world.provider.script("vid_1", Unauthorized(401))
    world.poller.configure({})
    world.provider.release()
    await world.crew.advance(100)
    assert world.meter.pauses == [("videos", "throttled"), ("videos", None)]
    assert world.poller.pauses() == {}


async def test_an_answer_after_the_end_is_dropped(world):
    """A provider that was removed and came back can be asked twice at once; the first end holds."""
    world.provider.hold()
    world.provider.script("vid_1", DONE)
    await world.watch()
    world.poller.configure({})
    world.configure(videos=LIMITS)
    await world.crew.advance(30)
    assert world.provider.in_flight == 2
    world.store.fail(1)
    world.provider.release()
    with capture_logs() as lines:
        await world.crew.run()
    assert [line["event"] for line in lines] == ["task.polled", "task.unsaved"]
    await world.crew.advance(1)
    assert [body["type"] for body in world.bodies()] == ["task.completed"]


async def test_a_new_interval_of_the_provider_is_taken_over(world):
    """By tasks that follow it, at their phase: what is left of the new interval since the last poll."""
    await world.watch("vid_1")
    await world.watch("vid_2", interval=40.0)
    await world.crew.advance(10)
    world.configure(videos=replace(LIMITS, interval=20.0))
    await world.poller.refresh()
    await world.crew.advance(50)
    assert world.provider.times("vid_1") == [0, 20, 40, 60]
    assert world.provider.times("vid_2") == [0, 40]


async def test_a_shorter_interval_that_is_over_already_polls_now(world):
    """And a longer one counts from the last poll too."""
    await world.watch("vid_1")
    await world.crew.advance(25)
    world.configure(videos=replace(LIMITS, interval=15.0))
    await world.poller.refresh()
    await world.crew.advance(1)
    assert world.provider.times("vid_1") == [0, 25]
    world.configure(videos=replace(LIMITS, interval=60.0))
    await world.poller.refresh()
    await world.crew.advance(70)
    assert world.provider.times("vid_1") == [0, 25, 85]


async def test_a_new_interval_before_the_first_poll_polls_now(world):
    """There is no phase to keep yet."""
    world.poller.close()
    world.build()
    world.configure()
    world.configure(videos=LIMITS)
    await world.accept("vid_1")
    world.configure(videos=replace(LIMITS, interval=60.0))
    await world.poller.refresh()
    await world.crew.advance(60)
    assert world.provider.times("vid_1") == [0, 60]


async def test_a_clock_that_was_set_back_delays_no_poll(world):
    """What is left of an interval is never more than the interval."""
    await world.watch("vid_1")
    world.clock.jump(-86_400)
    world.configure(videos=replace(LIMITS, interval=20.0))
    await world.poller.refresh()
    await world.crew.advance(20)
    assert world.provider.times("vid_1") == [0, 20]


async def test_a_task_that_ended_while_the_store_was_read_is_not_taken_up_again(world):
    """The reader sees the store as it was; following it then would poll a task after its end."""
    await world.watch()
    world.poller.forget(1)
    await world.poller.refresh()
    assert world.poller.task(1) is None
    assert world.timetable.jobs == {}


async def test_what_changed_while_the_store_was_read_is_known_better(world):
    """A smaller interval that was registered meanwhile is not undone by the older snapshot."""
    await world.watch()
    stale = await world.store.watched({"videos": 30.0})

    async def slowly(*_):
        await world.watch("vid_1", "https://b.example/hook", interval=10.0)
        return stale

    world.store.watched = slowly
    await world.poller.refresh()
    assert world.poller.task(1).interval == 10.0


class Described(FakeProvider):
    """Is asked with what its description makes of a watch's variables."""

    def __init__(self, world, **defaults):
        super().__init__(world.crew, world.clock)
        question = Question(parse_template("/{vars.region}/{task_id}", "path"))
        self.description = Description("https://api.example", question, variables=defaults)

    async def poll(self, task_id, variables):
        return await super().poll(task_id, self.description.values(task_id, variables))


async def reload_described(world, provider):
    """As the daemon does it: the rules, the providers, the file's watches, and what the store knows."""
    rules = replace(RULES, judge_variables=provider.description.judge_variables)
    world.registrar.configure({"videos": rules}, world.guard)
    world.poller.configure({"videos": (provider, LIMITS)})
    declared = await world.registrar.declare([WatchRequest("vid_1", HOOK), WatchRequest("vid_2", HOOK)])
    await world.poller.refresh()
    await world.crew.run()
    return declared


async def test_another_default_of_a_variable_makes_no_other_task(world):
    """What has ended is not told again, and what runs stays, polled with the new default from now on."""
    before = Described(world, region="us")
    before.script("vid_1", DONE)
    await reload_described(world, before)
    after = Described(world, region="eu", tier="free")
    declared = await reload_described(world, after)
    assert (declared.added, declared.changed, declared.cancelled) == ((), 0, 0)
    await world.passes(60)
    assert [body["data"]["task_id"] for body in world.bodies()] == ["vid_1"]
    assert before.variables[-1] == {"task_id": "vid_2", "vars.region": "us"}
    assert (after.times("vid_1"), after.times("vid_2")) == ([], [30, 60])
    assert after.variables[-1] == {"task_id": "vid_2", "vars.region": "eu", "vars.tier": "free"}
