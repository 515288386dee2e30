"""A task that is given up and watched anew, or given away and taken back, while something old of it is being saved: it
is polled on, and what was known before says nothing of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.domain.answer import Completed, Unavailable
from notifier.domain.shard import SHARDS
from notifier.ports import LeaseLostError
from tests.fake_pool import FakeTenure
from tests.unit.services.world import LIMITS, World

DONE = Completed("completed", ("https://cdn.example/1.mp4",))
ALL = range(SHARDS)


@pytest.fixture
async def world():
    """A node that shares its store, and polls one task of it."""
    world = World(shared=True, tenure=FakeTenure())
    world.poller.share("videos", LIMITS.rate)
    await world.watch(deadline=600.0)
    yield world
    await world.crew.aclose()


def anew(world):
    """Another node cancels the watch, and registers it again: the store knows nothing of earlier polls."""
    now = world.clock.now() + timedelta(microseconds=1)
    watch = world.store.watches["wch_1"]
    world.store.watches["wch_1"] = replace(watch, registered_at=now, deadline_at=now + timedelta(seconds=600))
    fresh = replace(world.store.tasks[1], polls=0, status=None, last_polled_at=None, watched_since=now, end=None)
    world.store.tasks[1] = replace(fresh, deadline_at=now + timedelta(seconds=600))
    return world.store.tasks[1]


def meanwhile(world, call, happens, *, lost=False):
    """While the store is busy with the first such call, this happens; a `lost` one is then refused."""
    plain = getattr(world.store, call)

    async def slowly(*args):
        setattr(world.store, call, plain)
        await happens()
        if lost:
            raise LeaseLostError("1 tasks are not this node's")
        return await plain(*args)

    setattr(world.store, call, slowly)


def types(world):
    return [body["type"] for body in world.bodies()]


async def back_and_forth(world):
    """Another node has the task for a moment."""
    await world.poller.disown(ALL, save=False)
    await world.poller.adopt(ALL)


async def test_an_end_refused_under_an_old_lease_leaves_a_task_that_came_back(world):
    """It is polled as any other that was taken over, and told when it has completed."""
    world.provider.script("vid_1", DONE, DONE)
    meanwhile(world, "end", lambda: back_and_forth(world), lost=True)
    await world.passes(35)
    assert len(world.provider.times("vid_1")) == 2
    assert (types(world), len(world.poller.followed)) == (["task.completed"], 0)


async def test_a_deadline_refused_under_an_old_lease_is_looked_at_again(world):
    """By the node that has the task now, which is this one."""
    world.provider.usual = Unavailable("HTTP 502")
    meanwhile(world, "expire", lambda: back_and_forth(world), lost=True)
    await world.passes(615)
    assert (types(world), len(world.poller.followed)) == (["task.abandoned"], 0)


async def test_a_deadline_refused_while_the_task_was_polled_is_looked_at_again(world):
    """Until somebody says who has it: a poll that was answered meanwhile makes it no other task."""
    world.provider.usual = Unavailable("HTTP 502")

    async def polled():
        world.poller.follow(replace(world.task(), deadline_at=world.clock.now() + timedelta(seconds=1)))

    meanwhile(world, "expire", polled, lost=True)
    await world.passes(603)
    assert (types(world), len(world.poller.followed)) == (["task.abandoned"], 0)


async def test_an_old_end_leaves_a_task_that_is_watched_anew(world):
    """The news of it came before the store's answer: the new watch is polled, and told of its own end."""
    world.provider.script("vid_1", DONE)

    async def heard():
        world.poller.follow(anew(world))

    meanwhile(world, "end", heard)
    await world.passes(31)
    assert (types(world), world.task().end) == ([], None)
    world.provider.script("vid_1", DONE)
    await world.passes(31)
    assert (types(world), len(world.poller.followed)) == (["task.completed"], 0)


async def test_an_old_deadline_leaves_a_task_that_is_watched_anew(world):
    """The same for a deadline: the new watch has one of its own."""
    world.provider.usual = Unavailable("HTTP 502")

    async def heard():
        world.poller.follow(anew(world))

    meanwhile(world, "expire", heard)
    await world.passes(605)
    assert (types(world), len(world.poller.followed)) == ([], 1)
    await world.passes(610)
    assert types(world) == ["task.abandoned"]


async def test_an_old_end_waits_for_the_news_of_a_task_that_is_watched_anew(world):
    """What the store takes no more is forgotten, and what it has instead is followed as soon as it is heard of."""
    world.provider.script("vid_1", DONE, DONE)
    fresh = anew(world)
    await world.passes(31)
    assert (types(world), len(world.poller.followed)) == ([], 0)
    world.poller.follow(fresh)
    await world.passes(31)
    assert types(world) == ["task.completed"]


async def test_nothing_is_kept_of_a_task_that_is_watched_anew(world):
    """A row of bad answers, or a count of polls, belongs to the watch that is gone; else no write of it would count."""
    await world.passes(100)
    assert world.task().polls > 1
    fresh = anew(world)
    world.poller.follow(fresh)
    assert world.task() == fresh
    world.provider.script("vid_1", DONE)
    await world.passes(31)
    assert types(world) == ["task.completed"]
