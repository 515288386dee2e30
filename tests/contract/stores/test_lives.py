"""History: what the store knows of how long tasks took."""

from dataclasses import replace

from notifier.adapters.stores.lives import PER_KIND
from notifier.domain.lifetimes import Life
from tests.contract.stores.building import T0, at, completed, failed, given_up, registration


async def over(store, announcer, number, end, *, seconds, running_at=None, **changes):
    """One task from its registration at `seconds` to its end."""
    name = f"vid_{number}"
    (asked,) = await store.register([registration(number, task=name, **changes)], at(seconds), announcer)
    seen = None if running_at is None else at(running_at)
    await store.end(end(replace(asked.task, seen_running_at=seen, model="fast"), seconds + 90), announcer)


async def test_ends_are_told_with_the_bracket_in_which_they_fell(store, announcer):
    """Failures as well as successes, the latest last; ages count from when the task was first watched."""
    await over(store, announcer, 1, failed, seconds=10, running_at=70)
    await over(store, announcer, 2, completed, seconds=0, running_at=60)
    assert list(await store.lives()) == [Life("videos", "fast", 60.0, 90.0), Life("videos", "fast", 60.0, 90.0)]
    await over(store, announcer, 3, completed, seconds=5, running_at=35)
    assert (await store.lives())[1] == Life("videos", "fast", 30.0, 90.0)


async def test_what_says_nothing_of_a_duration_is_left_out(store, announcer):
    """Who was over at the first poll, who was given up, who goes on, and whose clock went backwards."""
    await over(store, announcer, 1, completed, seconds=0)
    await over(store, announcer, 2, given_up, seconds=0, running_at=60)
    await over(store, announcer, 3, completed, seconds=100, running_at=60)
    await over(store, announcer, 4, completed, seconds=0, running_at=95)
    await store.register([registration(5, task="vid_5")], T0, announcer)
    assert list(await store.lives()) == []


async def test_only_the_latest_of_each_kind_are_told(store, announcer):
    """A full store must not make the start slow, nor may a busy provider hide a quiet one."""
    await over(store, announcer, 0, completed, seconds=0, running_at=30, provider="images")
    wanted = [registration(n, task=f"vid_{n}") for n in range(1, PER_KIND + 9)]
    for result in await store.register(wanted, T0, announcer):
        running = replace(result.task, seen_running_at=at(result.task.key))
        await store.end(completed(running, seconds=1000 + result.task.key), announcer)
    lives = await store.lives()
    assert [life.provider for life in lives] == ["images"] + ["videos"] * PER_KIND
    assert lives[-1].by == 1000 + len(wanted) + 1


async def test_a_task_that_is_watched_again_counts_from_then(store, announcer):
    """What was seen of its first life is no part of its second."""
    (first,) = await store.register([registration(1)], T0, announcer)
    await store.end(given_up(replace(first.task, seen_running_at=at(20)), 100), announcer)
    (again,) = await store.register([registration(2, url="https://b.example.com/")], at(500), announcer)
    assert (again.task.watched_since, again.task.seen_running_at) == (at(500), None)
