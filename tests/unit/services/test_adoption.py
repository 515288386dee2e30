"""Tasks that come and go with their shards: polled here for as long as they are this node's, and not a poll longer."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from notifier.domain.answer import Completed, Unavailable
from notifier.domain.shard import SHARDS
from notifier.ports import StoreUnavailableError
from notifier.services import adoption
from tests.fake_pool import FakeTenure
from tests.unit.services.world import LIMITS, World

DONE = Completed("completed", ("https://cdn.example/1.mp4",))
ALL = range(SHARDS)


@pytest.fixture
async def world():
    """A node that shares its store, and holds nothing yet; all of the provider's rate is its own."""
    world = World(shared=True, tenure=FakeTenure())
    world.poller.share("videos", LIMITS.rate)
    world.poller.owned.clear()
    yield world
    await world.crew.aclose()


async def stored(world, *numbers, **changes):
    """Tasks that other nodes have registered, and perhaps polled."""
    for number in numbers:
        await world.accept(f"vid_{number}")
        world.store.tasks[number] = replace(world.store.tasks[number], **changes)


async def test_nothing_is_polled_before_it_is_adopted(world):
    """Neither what the store has to be polled nor what is registered here."""
    await stored(world, 1)
    await world.poller.start()
    await world.passes(60)
    assert world.provider.asked == []
    assert len(world.poller.followed) == 0


async def test_what_is_adopted_is_polled_soon(world):
    """Within five seconds, though its interval is longer; tasks of other shards are not."""
    await stored(world, 1, 2)
    await world.poller.adopt([1])
    await world.passes(5)
    assert [task_id for task_id, *_ in world.provider.asked] == ["vid_1"]
    assert world.poller.task(2) is None


async def test_an_adopted_task_keeps_its_phase(world):
    """What was polled ten seconds ago is polled in twenty: together the nodes poll as one node would."""
    await stored(world, 1, last_polled_at=world.clock.now() - timedelta(seconds=10), polls=3)
    await world.poller.adopt([1])
    await world.passes(19)
    assert world.provider.asked == []
    await world.passes(2)
    assert world.provider.times("vid_1") == [20]
    assert world.task().polls == 4


async def test_a_deadline_that_passed_meanwhile_leaves_one_last_look(world):
    """A completed task is not abandoned because nobody polled it for a while."""
    await stored(world, 1)
    await world.crew.advance(90_000)
    world.provider.script("vid_1", DONE)
    await world.poller.adopt([1])
    await world.passes(10)
    assert [body["type"] for body in world.bodies()] == ["task.completed"]


async def test_what_is_registered_while_the_store_is_read_is_polled(world):
    """It is this node's already, and not among what was read; what is cancelled meanwhile is not taken up again."""
    await stored(world, 1)
    stale = await world.store.watched({"videos": 30.0})

    async def slowly(*_):
        await stored(world, 2)
        await world.registrar.cancel("wch_1")
        return stale

    world.store.watched = slowly
    await world.poller.adopt(ALL)
    assert world.poller.task(2) is not None
    assert world.poller.task(1) is None


async def test_a_shard_that_is_gone_before_its_tasks_are_read_brings_none(world):
    """Lost while the store was read: what was read is not followed."""
    await stored(world, 1)
    stale = await world.store.watched({"videos": 30.0})

    async def slowly(*_):
        await world.poller.disown(ALL, save=False)
        return stale

    world.store.watched = slowly
    await world.poller.adopt(ALL)
    assert len(world.poller.followed) == 0


async def test_what_ends_while_others_are_taken_up_is_not_taken_up_again(world, monkeypatch):
    """Between two portions of a full store others get their turns: one of them cancels what comes later."""
    monkeypatch.setattr(adoption, "PORTION", 1)
    await stored(world, 1, 2, 3)
    taking = asyncio.create_task(world.poller.adopt(ALL))
    while world.poller.task(1) is None:
        await asyncio.sleep(0)
    assert world.poller.task(3) is None
    await world.registrar.cancel("wch_3")
    await taking
    assert len(world.poller.followed) == 2


async def test_two_readings_at_a_time_hear_of_the_same(world):
    """A reload reads while a shard is taken up: whichever is over first, the other one still hears of cancels."""
    await stored(world, 1)
    stale, going_on = await world.store.watched({"videos": 30.0}), [asyncio.Event(), asyncio.Event()]
    turns = iter(going_on)

    async def slowly(*_):
        await next(turns).wait()
        return stale

    world.store.watched = slowly
    adopting = asyncio.create_task(world.poller.adopt(ALL))
    await asyncio.sleep(0)
    refreshing = asyncio.create_task(world.poller.refresh())
    await asyncio.sleep(0)
    going_on[1].set()
    await refreshing
    await world.registrar.cancel("wch_1")
    going_on[0].set()
    await adopting
    assert len(world.poller.followed) == 0


async def test_a_reload_reads_only_what_is_held(world):
    """Intervals of other nodes' tasks are their affair."""
    await stored(world, 1, 2)
    await world.poller.adopt([1])
    world.configure(videos=replace(LIMITS, interval=10.0))
    await world.poller.refresh()
    assert world.task(1).interval == 10.0
    assert len(world.poller.followed) == 1


# Handing over


async def test_a_hand_over_saves_what_was_learned(world):
    """Polls that were not worth a write are kept for the next owner, so that the task keeps its phase and its count."""
    await stored(world, 1, 2)
    await world.poller.adopt(ALL)
    await world.passes(35)
    await world.poller.disown([1], save=True)
    assert world.store.tasks[1].polls == 2
    assert world.store.tasks[1].last_polled_at is not None
    assert world.store.tasks[2].polls == 1  # the first of them changed its status
    before = len(world.provider.times("vid_1"))
    await world.passes(60)
    assert len(world.provider.times("vid_1")) == before
    assert len(world.provider.times("vid_2")) > before
    assert world.poller.task(1) is None


async def test_what_is_lost_is_not_saved(world):
    """Another owner knows better."""
    await stored(world, 1)
    await world.poller.adopt(ALL)
    await world.passes(35)
    world.store.writes.clear()
    await world.poller.disown(ALL, save=False)
    assert world.store.writes == []
    assert len(world.poller.followed) == 0


async def handed_over_during_a_poll(world):
    """The task's answer, which is the end, is on its way."""
    await stored(world, 1)
    await world.poller.adopt(ALL)
    world.provider.script("vid_1", DONE)
    world.provider.hold()
    await world.passes(5)
    world.crew.spawn(world.poller.disown(ALL, save=True))


async def test_a_hand_over_waits_for_a_poll_in_flight(world):
    """Two seconds at most: an answer that comes in time is not asked for again."""
    await handed_over_during_a_poll(world)
    await world.crew.advance(1.0)
    world.provider.release()
    await world.crew.advance(0.2)
    assert len(world.poller.followed) == 0
    assert [body["type"] for body in world.bodies()] == ["task.completed"]


async def test_a_hand_over_does_not_wait_for_ever(world):
    """A poll that hangs is cut short of its effect: what it says later changes nothing."""
    await handed_over_during_a_poll(world)
    await world.crew.advance(2.2)
    assert len(world.poller.followed) == 0
    world.provider.release()
    await world.crew.run()
    assert world.store.tasks[1].end is None
    assert world.bodies() == []


async def test_a_store_that_takes_nothing_does_not_stop_a_hand_over(world):
    """The next owner asks again; one line says so."""
    await stored(world, 1)
    await world.poller.adopt(ALL)
    await world.passes(35)
    world.store.down = True
    with capture_logs() as lines:
        await world.poller.disown(ALL, save=True)
    assert len(world.poller.followed) == 0
    assert [line["event"] for line in lines] == ["tasks.unsaved"]


async def test_a_task_of_no_provider_can_be_handed_over(world):
    """One that the configuration does not name any more: nobody polls it, and its deadline goes with it."""
    await stored(world, 1)
    await world.poller.adopt(ALL)
    world.poller.configure({})
    await world.poller.disown(ALL, save=True)
    assert len(world.poller.followed) == 0


async def test_a_poller_that_shares_with_nobody_has_everything(world):
    """Adopting and disowning are other stores' affairs."""
    alone = World()
    await stored(alone, 1)
    await alone.poller.adopt([5])
    await alone.poller.disown(ALL, save=True)
    assert alone.poller.owned is None
    assert len(alone.poller.followed) == 1
    await alone.crew.aclose()


# The lease


async def test_nothing_is_polled_while_the_lease_is_over(world):
    """What is in memory stays there; as soon as a beat is answered polls go on, and deadlines too."""
    await stored(world, 1)
    await world.poller.adopt(ALL)
    world.tenure.holding = False
    await world.passes(100)
    assert world.provider.asked == []
    world.tenure.holding = True
    await world.passes(1)
    assert len(world.provider.times("vid_1")) == 1


async def test_no_deadline_is_told_while_the_lease_is_over(world):
    """Whoever has taken over tells it; this node does when it may act again."""
    await world.accept("vid_1", deadline=60.0)
    await world.poller.adopt(ALL)
    world.tenure.holding = False
    await world.passes(70)
    assert world.bodies() == []
    world.tenure.holding = True
    await world.passes(1)
    assert [body["type"] for body in world.bodies()] == ["task.abandoned"]


async def test_an_end_that_is_anothers_to_tell_is_forgotten(world):
    """The store refuses it: nothing is told, nothing tried again, and no line above debug says so."""
    await stored(world, 1)
    await world.poller.adopt(ALL)
    world.store.lost = {1}
    world.provider.script("vid_1", DONE)
    with capture_logs() as lines:
        await world.passes(10)
    assert len(world.poller.followed) == 0
    assert world.bodies() == []
    assert [line["event"] for line in lines if line["log_level"] != "debug"] == ["task.polled"]


async def test_a_deadline_that_is_anothers_to_tell_is_forgotten(world):
    """The same for what ends by its deadline; others that are due are not held up."""
    await stored(world, 1, 2)
    await world.poller.adopt(ALL)
    world.provider.usual = Unavailable("HTTP 502")
    world.store.lost = {1}
    await world.passes(86_500, step=50)
    assert len(world.poller.followed) == 0
    assert [body["data"]["task_id"] for body in world.bodies()] == ["vid_2"]


async def test_a_failed_adoption_says_so(world):
    """Whoever asked tries again."""
    await stored(world, 1)
    world.store.down = True
    with pytest.raises(StoreUnavailableError):
        await world.poller.adopt(ALL)
    world.store.down = False
    await world.poller.adopt(ALL)
    assert len(world.poller.followed) == 1


async def test_many_tasks_are_handed_over_in_portions(world, monkeypatch):
    """Others get their turns in between: a daemon that hands over thousands is not deaf."""
    monkeypatch.setattr(adoption, "PORTION", 2)
    await stored(world, 1, 2, 3, 4, 5)
    await world.poller.adopt(ALL)
    turns = []

    async def count():
        for _ in range(3):
            turns.append(len(world.poller.followed))
            await asyncio.sleep(0)

    await asyncio.gather(world.poller.disown(ALL, save=False), count())
    assert len(world.poller.followed) == 0
    assert any(0 < followed < 5 for followed in turns)
