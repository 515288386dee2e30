"""Polls that follow what is known of how long tasks take."""

from dataclasses import replace
from itertools import pairwise

import pytest

from notifier.domain.answer import Completed, Failed, Missed, Running, TaskError, Unavailable
from notifier.services.rhythms import MOST_MODELS
from tests.unit.services.world import HOOK, LIMITS

AUTO = replace(LIMITS, adaptive=True)
DONE = Completed("completed", ("https://cdn.example/1.mp4",))
BARE = Completed("completed", ())
FAILED = Failed("failed", TaskError(None, "too dark"))
NOT_FOUND = Missed(False, "HTTP 404")
USUAL = [0, 30, 60, 90, 120]


def running(**said):
    return Running("processing", known=True, **said)


async def lived(world, name, seconds, *, model=None, end=DONE):
    """One task that is polled until it has ended at this age."""
    world.provider.usual = running(model=model)
    await world.watch(name)
    await world.crew.advance(seconds)
    world.provider.script(name, *[end] * 6)
    await world.crew.advance(200.0)


async def taught(world, seconds=300.0, *, tasks=8, model=None, limits=AUTO, prefix="old"):
    """A world in which so many tasks have taken this long."""
    world.configure(videos=limits)
    for number in range(tasks):
        await lived(world, f"{prefix}_{number}", seconds, model=model)


def ages(world, name):
    """At which ages a task was polled."""
    times = world.provider.times(name)
    return [at - times[0] for at in times]


async def watched_for(world, name, seconds, **watch):
    await world.watch(name, **watch)
    await world.crew.advance(seconds)
    return ages(world, name)


async def test_without_anything_known_the_interval_is_fixed(world):
    """And four ends are not enough; nor is the timetable asked for anything else."""
    await taught(world, tasks=4)
    assert await watched_for(world, "new", 120.0) == USUAL
    assert world.timetable.postponed == []


async def test_polls_are_sparse_first_and_dense_when_the_end_is_due(world):
    """The first is at once as ever; the store is asked nothing while they go on."""
    await taught(world)
    found = await watched_for(world, "new", 330.0)
    assert len([age for age in found if age < 240]) <= 3
    gaps = [after - before for before, after in pairwise(found) if before > 280]
    assert len(gaps) >= 3
    assert AUTO.min_interval <= min(gaps) <= max(gaps) < 20


async def test_a_fixed_interval_learns_and_does_not_use_it(world):
    """So that the next reload may turn it on: what was learned counts at once."""
    await taught(world, limits=LIMITS)
    assert await watched_for(world, "new", 120.0) == USUAL
    world.configure(videos=AUTO)
    assert len(await watched_for(world, "newer", 240.0)) <= 4
    world.configure(videos=LIMITS)
    assert await watched_for(world, "newest", 120.0) == USUAL


async def test_what_was_learned_survives_a_restart(world):
    """The store knows it."""
    await taught(world)
    world.build()
    world.configure(videos=AUTO)
    await world.poller.start()
    assert len(await watched_for(world, "new", 240.0)) <= 4


async def test_after_a_restart_no_saved_polls_are_spent(world):
    """How many polls a task had is not known for sure after a crash: at most as many follow as at the interval."""
    await taught(world)
    await watched_for(world, "new", 250.0)
    before = len(ages(world, "new"))
    world.build()
    world.configure(videos=AUTO)
    await world.poller.start()
    await world.crew.advance(150.0)
    assert 2 <= len(ages(world, "new")) - before <= 150 / 30 + 1


async def test_a_watch_with_an_interval_of_its_own_keeps_it(world):
    """Also when it is the provider's, and for all that watch the same task."""
    await taught(world)
    assert await watched_for(world, "new", 120.0, interval=30.0) == USUAL
    await world.watch("both")
    await world.watch("both", "https://b.example/", interval=40.0)
    await world.crew.advance(120.0)
    assert ages(world, "both") == USUAL


async def test_models_have_durations_of_their_own(world):
    """What the provider names is told apart; a model of which too little is known goes by all of them."""
    await taught(world, 100.0, model="fast", prefix="fast")
    await taught(world, 400.0, model="slow", prefix="slow")
    world.provider.usual = running(model="slow")
    slow = await watched_for(world, "new_slow", 300.0)
    world.provider.usual = running(model="fast")
    fast = await watched_for(world, "new_fast", 300.0)
    world.provider.usual = running(model="other")
    other = await watched_for(world, "new_other", 300.0)
    assert len([age for age in slow if age < 200]) < len([age for age in fast if age < 200])
    assert len(other) > len(slow)


async def test_a_provider_that_makes_up_models_fills_no_memory(world):
    """Beyond so many they count for the whole provider only."""
    for number in range(MOST_MODELS + 20):
        await lived(world, f"old_{number}", 30.0, model=f"model-{number}")
    world.configure(videos=AUTO)
    assert len(world.poller._rhythms._kinds["videos"]) == MOST_MODELS + 1
    assert len(await watched_for(world, "new", 300.0)) > 1


@pytest.mark.parametrize(("end", "learned"), [(DONE, True), (FAILED, True), (BARE, True), (NOT_FOUND, False)])
async def test_what_an_end_is(world, end, learned):
    """Failures count as successes do, and a success that names no URL counts from its first poll; a task that was given
    up did not end."""
    for number in range(6):
        await lived(world, f"old_{number}", 300.0, end=end)
    lives = await world.store.lives()
    assert len(lives) == (6 if learned else 0)
    world.configure(videos=AUTO)
    await world.watch("new")
    await world.crew.advance(240.0)
    assert (len(ages(world, "new")) <= 4) is learned


async def test_a_missing_url_is_no_part_of_the_duration(world):
    """The polls for it would make every task look 90 s slower."""
    for number in range(8):
        await lived(world, f"old_{number}", 100.0, end=BARE)
    world.configure(videos=AUTO)
    found = await watched_for(world, "new", 140.0)
    assert len([age for age in found if 80 < age < 140]) >= 2


async def test_a_task_that_was_over_at_its_first_poll_teaches_nothing(world):
    """It was registered late: that says nothing of how long it took."""
    world.provider.usual = DONE
    for number in range(8):
        await world.watch(f"old_{number}")
    world.provider.usual = running()
    world.configure(videos=AUTO)
    assert await watched_for(world, "new", 120.0) == USUAL


async def test_a_clock_that_was_set_back_teaches_nothing(world):
    """A duration that is negative is none, and a task of that age is polled all the same."""
    for number in range(8):
        await world.watch(f"old_{number}")
        await world.crew.advance(40.0)
        world.clock.jump(-500.0)
        world.provider.script(f"old_{number}", DONE)
        await world.crew.advance(40.0)
    world.configure(videos=AUTO)
    assert await watched_for(world, "new", 120.0) == USUAL
    await taught(world)
    await world.watch("newer")
    world.clock.jump(-5000.0)
    await world.crew.advance(600.0)
    assert len(ages(world, "newer")) >= 4


@pytest.mark.parametrize("back", [60.0, 3600.0, 86_400.0])
async def test_a_clock_that_was_set_back_delays_no_poll(world, back):
    """No wait is longer than the longest of the plan; and after it no poll is spent that was saved by the jump."""
    await taught(world)
    await world.watch("new")
    await world.crew.advance(600.0)
    before = len(ages(world, "new"))
    world.clock.jump(-back)
    await world.crew.advance(3500.0)
    found = ages(world, "new")[before - 1 :]
    assert max(after - before for before, after in pairwise(found)) <= 3500 / 2 + 60
    assert 10 <= len(found) <= 3500 / 30 + 2


async def test_what_the_provider_says_is_heeded(world):
    """When to ask again, also before anything is known; progress, once something is."""
    world.configure(videos=AUTO)
    world.provider.usual = running(ask_again=70.0)
    assert await watched_for(world, "hinted", 215.0) == [0, 70, 140, 210]
    await taught(world)
    world.provider.script("early", *[running()] * 2, running(progress=0.98))
    early = await watched_for(world, "early", 300.0)
    assert early[3] - early[2] <= 10.0


async def test_there_is_a_look_just_before_the_deadline(world):
    """A task that ends in the silence before it is told as completed, not abandoned."""
    await taught(world)
    await world.watch("new", deadline=100.0)
    await world.passes(50)
    world.provider.script("new", DONE)
    await world.passes(60)
    assert world.bodies()[-1]["type"] == "task.completed"


async def test_trouble_backs_off_as_ever(world):
    """A bad answer says nothing of when the task ends."""
    await taught(world)
    world.provider.script("new", running(), *[Unavailable("HTTP 502")] * 2)
    found = await watched_for(world, "new", 230.0)
    assert [after - before for before, after in pairwise(found[1:4])] == [30.0, 60.0]


async def test_the_plan_follows_a_provider_that_becomes_slower(world):
    """After some tens of slower tasks the old age of the end is silent, and the new one dense."""
    await taught(world, 100.0, tasks=12, prefix="fast")
    await taught(world, 400.0, tasks=45, prefix="slow")
    found = await watched_for(world, "new", 440.0)
    assert len([age for age in found if 380 < age <= 440]) >= 3


async def test_a_shared_url_is_no_matter(world):
    """Two watches of one task, neither with an interval: the task is polled by what is known."""
    await taught(world)
    await world.watch("new", HOOK)
    await world.watch("new", "https://b.example/")
    await world.crew.advance(240.0)
    assert len(ages(world, "new")) <= 4
