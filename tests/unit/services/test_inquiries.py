"""Questions about ended tasks: in turn with the polls, within a provider's limits, and answered in ten seconds."""

import asyncio
from dataclasses import replace

import pytest

from notifier.domain.answer import Completed, Running, Throttled
from notifier.domain.task import Task
from notifier.services.inquiries import MOST_IN_LINE, PATIENCE_SECONDS, REST_SECONDS, Unasked
from tests.fakes import START
from tests.unit.services.world import LIMITS, World

DONE = Completed("completed", ("https://cdn.example/2.mp4",))
SLOW = replace(LIMITS, rate=1.0)


def ended(number: int = 1, provider: str = "videos") -> Task:
    return Task(100 + number, provider, f"old_{number}", 30.0, START)


@pytest.fixture
async def asked(world):
    """Asks in the background; the replies, with the time of each, come into the list."""
    replies = []

    def ask(*tasks):
        async def one(task):
            reply = await world.inquiries.ask(task)
            replies.append((task.task_id, reply, world.clock.monotonic() - 1000.0))

        for task in tasks:
            world.crew.spawn(one(task))
        return replies

    return ask


async def test_a_question_is_a_poll_with_the_tasks_variables(world, asked):
    """It is counted as one, and its answer comes back as it is."""
    world.provider.script("old_1", DONE)
    replies = asked(replace(ended(), variables='{"model":"m"}'))
    await world.crew.run()
    assert replies == [("old_1", DONE, 0.0)]
    assert [outcome for _, outcome, *_ in world.meter.polls] == ["completed"]


async def test_a_question_takes_its_turn_within_the_rate(asked):
    """Behind the polls that were due before it; and it uses up a poll."""
    world = World(limits=SLOW)
    for number in range(3):
        await world.accept(f"vid_{number}")
    await world.crew.run()
    world.crew.spawn(_ask(world, ended()))
    await world.accept("vid_9")
    await world.crew.advance(5)
    assert [round(world.provider.times(task)[0]) for task in ("old_1", "vid_9")] == [3, 4]


async def _ask(world, task):
    await world.inquiries.ask(task)


async def test_questions_do_not_crowd_out_the_polls(world, asked):
    """Eight of them stand in line at a time, or a second's worth: a poll that is due waits for no more than those."""
    world.provider.takes = 1.0
    asked(*(ended(number) for number in range(40)))
    await world.crew.run()
    assert len(world.provider.asked) == MOST_IN_LINE
    await world.accept("vid_1")
    await world.crew.run()
    assert world.provider.times("vid_1") == [0.0]


async def test_at_a_slow_rate_there_are_fewer_of_them(asked):
    """A poll waits for a second at most: what it waits for at 2/s is two questions."""
    world = World(limits=replace(LIMITS, rate=2.0))
    for number in range(10):
        world.crew.spawn(_ask(world, ended(number)))
    await world.crew.run()
    await world.accept("vid_1")
    await world.crew.advance(5)
    assert 0 < world.provider.times("vid_1")[0] <= 1.5


async def test_all_questions_are_asked_one_after_the_other(world, asked):
    """Each has its place until it is answered."""
    replies = asked(*(ended(number) for number in range(30)))
    await world.crew.advance(5)
    assert len(replies) == len(world.provider.asked) == 30
    assert world.inquiries._open == {}


async def test_a_provider_that_does_not_answer_costs_ten_seconds_once(world, asked):
    """Then nobody else waits for it in vain; later it is asked again."""
    world.provider.takes = 60.0
    replies = asked(ended(1), ended(2))
    await world.crew.advance(PATIENCE_SECONDS)
    silent = Unasked("the provider did not answer within 10 s")
    assert replies == [("old_1", silent, 10.0), ("old_2", silent, 10.0)]
    await world.crew.advance(5)
    asked(ended(3))
    await world.crew.run()
    assert replies[2] == ("old_3", silent, 15.0)
    assert len(world.provider.asked) == 2
    await world.crew.advance(REST_SECONDS - 5)
    world.provider.takes = 0.0
    asked(ended(4))
    await world.crew.advance(1)
    assert isinstance(replies[3][1], Running)


async def test_many_questions_to_a_silent_provider_cost_it_a_few_polls(world, asked):
    """Those that wait behind them give up together with them, for the same reason."""
    world.provider.takes = 60.0
    replies = asked(*(ended(number) for number in range(3 * MOST_IN_LINE)))
    await world.crew.advance(PATIENCE_SECONDS)
    assert {reply for _, reply, _ in replies} == {Unasked("the provider did not answer within 10 s")}
    assert (len(replies), len(world.provider.asked)) == (3 * MOST_IN_LINE, MOST_IN_LINE)
    world.provider.takes = 0.0
    await world.crew.advance(REST_SECONDS)
    asked(*(ended(number) for number in range(3 * MOST_IN_LINE)))
    await world.crew.advance(2)
    assert len(replies) == 6 * MOST_IN_LINE
    assert all(isinstance(reply, Running) for _, reply, _ in replies[3 * MOST_IN_LINE :])


async def test_a_question_that_is_on_its_way_has_its_own_ten_seconds(world, asked):
    """Another one's silence does not end it."""
    world.provider.takes = 60.0
    replies = asked(ended(1))
    await world.crew.advance(5)
    world.provider.takes = 7.0
    asked(ended(2))
    await world.crew.advance(7)
    assert [(task, at) for task, _, at in replies] == [("old_1", 10.0), ("old_2", 12.0)]
    assert isinstance(replies[1][1], Running)


async def test_an_answer_that_comes_too_late_changes_nothing(world, asked):
    """The poll itself goes on, for its provider has its own time-out."""
    world.provider.takes = 12.0
    replies = asked(ended())
    await world.crew.advance(20)
    assert replies == [("old_1", Unasked("the provider did not answer within 10 s"), 10.0)]
    assert len(world.meter.polls) == 1


async def test_without_rate_left_a_question_goes_unasked(world):
    """And costs no poll when its turn would have come."""
    world = World(limits=replace(LIMITS, rate=0.05))
    await world.watch("vid_1")
    replies = []
    world.crew.spawn(_reply(world, ended(), replies))
    await world.crew.advance(25)
    assert replies == [Unasked("the provider's rate and concurrency left no room for a question within 10 s")]
    assert world.provider.times("old_1") == []


async def _reply(world, task, replies):
    replies.append(await world.inquiries.ask(task))


async def test_a_paused_provider_is_not_asked(world, asked):
    """Nor while the pause begins as somebody waits."""
    world.provider.script("vid_1", Throttled(300.0))
    await world.watch("vid_1")
    replies = asked(ended())
    await world.crew.run()
    assert replies == [("old_1", Unasked("the provider is paused (throttled)"), 0.0)]
    assert world.provider.times("old_1") == []


async def test_a_pause_that_begins_while_a_question_waits_is_its_reason(world):
    """It is told when its patience ends."""
    world = World(limits=replace(LIMITS, rate=0.2))
    world.provider.script("vid_1", Throttled(300.0))
    world.provider.takes = 1.0
    await world.watch("vid_1")
    replies = []
    world.crew.spawn(_reply(world, ended(), replies))
    await world.crew.advance(11)
    assert replies == [Unasked("the provider is paused (throttled)")]


async def test_a_question_that_is_throttled_pauses_the_provider(world, asked):
    """As any poll does."""
    world.provider.script("old_1", Throttled(60.0))
    replies = asked(ended())
    await world.crew.run()
    assert replies == [("old_1", Throttled(60.0), 0.0)]
    assert list(world.poller.pauses()) == ["videos"]


async def test_a_provider_that_is_not_configured_is_not_asked(world, asked):
    """The operator took it out."""
    replies = asked(ended(provider="images"))
    await world.crew.run()
    assert replies == [("old_1", Unasked("the configuration no longer names its provider"), 0.0)]


async def test_a_stop_lets_nobody_wait(world, asked):
    """Neither those who ask already nor those who come later."""
    world.provider.hold()
    replies = asked(ended(1))
    await world.crew.run()
    world.inquiries.close()
    asked(ended(2))
    await world.crew.run()
    assert [reply for _, reply, _ in replies] == [Unasked("Notifier is stopping")] * 2


async def test_who_is_cancelled_before_its_turn_holds_up_nobody(world, asked):
    """Those behind it are asked."""
    world.provider.hold()
    replies = asked(*(ended(number) for number in range(MOST_IN_LINE)))
    await world.crew.run()
    asking = asyncio.ensure_future(world.inquiries.ask(ended(50)))
    asked(ended(51))
    await world.crew.run()
    asking.cancel()
    await world.crew.run()
    world.provider.release()
    await world.crew.advance(1)
    assert len(replies) == MOST_IN_LINE + 1


async def test_who_is_cancelled_leaves_the_line(world):
    """And costs nobody a poll."""
    world = World(limits=replace(LIMITS, rate=0.05))
    await world.watch("vid_1")
    asking = asyncio.ensure_future(world.inquiries.ask(ended()))
    await world.crew.run()
    asking.cancel()
    await world.crew.advance(100)
    assert (world.provider.times("old_1"), world.inquiries._open) == ([], {})
