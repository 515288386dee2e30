"""The wall clock is set while tasks are watched: by mistake and back, or for good."""

from dataclasses import replace

from notifier.domain.answer import Missed
from notifier.domain.jump import PATIENCE_SECONDS
from tests.unit.services.world import LIMITS

DAY = 86_400.0


async def test_a_clock_that_is_set_ahead_and_back_ends_nothing(world):
    """A day ahead for four minutes: no deadline within that day is taken to have passed."""
    await world.watch("vid_1", deadline=3600.0)
    await world.passes(60)
    world.clock.jump(DAY)
    await world.passes(240)
    world.clock.jump(-DAY)
    await world.passes(300)
    assert world.bodies() == []
    assert world.task().polls > 15


async def test_a_clock_that_stays_ahead_counts(world):
    """After five minutes the new time is believed: what is past its deadline by it ends."""
    await world.watch("vid_1", deadline=3600.0)
    world.clock.jump(DAY)
    await world.passes(PATIENCE_SECONDS - 1)
    assert world.bodies() == []
    await world.passes(3)
    assert [body["data"]["reason"] for body in world.bodies()] == ["deadline"]


async def test_a_deadline_holds_while_the_clock_is_doubted(world):
    """Time goes on as before the jump: what is due by that ends."""
    await world.watch("vid_1", deadline=100.0)
    await world.passes(60)
    world.clock.jump(DAY)
    await world.passes(41)
    assert [body["data"]["reason"] for body in world.bodies()] == ["deadline"]


async def test_a_clock_that_is_set_back_puts_deadlines_off_until_it_is_right_again(world):
    """And costs no poll meanwhile."""
    await world.watch("vid_1", deadline=3600.0)
    world.clock.jump(-DAY)
    await world.passes(600)
    assert world.task().polls == 21
    world.clock.jump(DAY)
    await world.passes(3600 - 600 + PATIENCE_SECONDS)
    assert [body["data"]["reason"] for body in world.bodies()] == ["deadline"]


async def test_a_jump_ahead_does_not_shorten_the_grace_of_a_task_that_is_not_found(world):
    """A fresh id that answers 404 for a while is given as long as ever."""
    world.configure(videos=replace(LIMITS, interval=10.0, not_found_grace=120.0))
    missed = [Missed(refused=False, message="HTTP 404")] * 12
    world.provider.script("vid_1", *missed)
    await world.watch("vid_1")
    world.clock.jump(DAY)
    await world.passes(100)
    assert world.bodies() == []
    assert world.task().misses == 11
