"""What other nodes do to this node's tasks: heard of at once, and found in the store when it was not heard."""

from collections import deque
from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.domain.shard import SHARDS
from notifier.domain.task import Task
from notifier.ports import Changed, Gathered, Missed, Readdressed, StoreUnavailableError
from notifier.services.news import PORTION, Newsreader
from tests.fake_pool import FakeTenure
from tests.fakes import START, FakeClock, FakeCrew


class FakeWire:
    deaf = False

    def listen(self, heard):
        self.heard = heard


class FakeFollower:
    """Follows tasks of `owned` shards only, as the poller does."""

    def __init__(self):
        self.owned = {1, 2, 3}
        self.tasks = {}
        self.forgotten = []

    def task(self, key):
        return self.tasks.get(key)

    def follow(self, task):
        if self.owned is None or task.key % SHARDS in self.owned:
            self.tasks[task.key] = task

    def forget(self, key):
        self.forgotten.append(key)
        self.tasks.pop(key, None)


class FakeTasks:
    """`watched` is what the store has; each list of keys that was asked for is in `asked`, each span in `spans`."""

    def __init__(self, clock):
        self.watched, self.touches = {}, {}
        self.asked, self.spans = [], []
        self.down = False
        self.meanwhile = deque()
        self._clock = clock

    async def current(self, keys):
        self._reach()
        self.asked.append(sorted(keys))
        answer = {key: self.watched[key] for key in keys if key in self.watched}
        if self.meanwhile:
            self.meanwhile.popleft()()
        return answer

    async def touched(self, seconds):
        self._reach()
        self.spans.append(seconds)
        since = self._clock.now() - timedelta(seconds=seconds)
        return {key: at for key, at in self.touches.items() if at > since}

    def _reach(self):
        if self.down:
            raise StoreUnavailableError("connection refused")


class Rereader:
    def __init__(self, tasks):
        self.times, self._tasks = 0, tasks

    async def reread(self):
        self._tasks._reach()
        self.times += 1


class Node:
    def __init__(self):
        self.clock = FakeClock()
        self.crew = FakeCrew(self.clock)
        self.wire, self.follower, self.store = FakeWire(), FakeFollower(), FakeTasks(self.clock)
        self.endpoints, self.tenure, self.woken = Rereader(self.store), FakeTenure(), 0
        self.unwatched, self.deaf_archive = [], False
        self.news = Newsreader(
            wire=self.wire,
            store=self.store,
            follower=self.follower,
            rereads=(self.endpoints,),
            gathered=self._gathered,
            unwatched=self._unwatched,
            tenure=self.tenure,
            crew=self.crew,
            clock=self.clock,
        )
        self.news.start()

    def _gathered(self):
        self.woken += 1

    async def _unwatched(self, keys):
        if self.deaf_archive:
            raise StoreUnavailableError("connection refused")
        self.unwatched += sorted(keys)

    def watch(self, key, **more):
        """Another node registers a watch."""
        plain = Task(key, "videos", f"vid_{key}", 30.0, START + timedelta(days=1), watched_since=START)
        self.store.watched[key] = replace(plain, **more)
        self.store.touches[key] = self.clock.now()

    async def hears(self, *keys):
        self.wire.heard(Changed(keys))
        await self.crew.run()

    async def seconds(self, count):
        for _ in range(count):
            await self.crew.advance(1)
            await self.news.tick()
            await self.crew.run()


@pytest.fixture
def node():
    return Node()


async def test_a_task_registered_elsewhere_is_followed_at_once(node):
    """By its owner; of what is not its own it does not even ask."""
    node.watch(1)
    node.watch(9)
    await node.hears(1, 9)
    assert (node.follower.tasks.keys(), node.store.asked) == ({1}, [[1]])


async def test_a_node_that_owns_everything_hears_of_everything(node):
    """As a daemon alone does."""
    node.follower.owned = None
    node.watch(9)
    await node.hears(9)
    assert node.follower.tasks.keys() == {9}


async def test_a_task_that_nobody_watches_any_more_is_forgotten(node):
    """It was cancelled at another node; one that was never followed is no matter."""
    node.watch(1)
    await node.hears(1)
    node.store.watched.clear()
    await node.hears(1, 2)
    assert (node.follower.tasks, node.follower.forgotten) == ({}, [1])


async def test_what_nobody_watches_is_told_of(node):
    """It may be a task that has ended, and somebody wants to hear of its files; what is polled is no such task."""
    node.watch(1)
    await node.hears(1, 2, 9)
    assert (node.unwatched, node.endpoints.times) == ([2], 0)


async def test_what_nobody_watches_is_found_when_the_store_is_back(node):
    """By the look at everything that comes next."""
    node.deaf_archive = True
    await node.hears(2)
    assert node.endpoints.times == 0
    node.deaf_archive = False
    await node.seconds(1)
    assert node.endpoints.times == 1


async def test_a_task_on_other_terms_keeps_what_was_learned(node):
    """It is handed on as it is now, and not forgotten before."""
    node.watch(1)
    await node.hears(1)
    node.watch(1, interval=5.0)
    await node.hears(1)
    assert (node.follower.tasks[1].interval, node.follower.forgotten) == (5.0, [])


async def test_a_task_that_was_given_up_and_is_watched_again_begins_anew(node):
    """Both were done elsewhere, and heard of as one: nothing old can end it."""
    node.watch(1)
    await node.hears(1)
    node.watch(1, watched_since=START + timedelta(seconds=1))
    await node.hears(1)
    assert (node.follower.tasks.keys(), node.follower.forgotten) == ({1}, [1])


async def test_what_is_heard_while_the_store_answers_is_looked_at_again(node):
    """The answer may be from before."""
    node.watch(1)

    def cancel():
        node.store.watched.clear()
        node.wire.heard(Changed((1,)))

    node.store.meanwhile.append(cancel)
    await node.hears(1)
    assert (node.follower.tasks, len(node.store.asked)) == ({}, 2)


async def test_a_shard_that_is_lost_while_the_store_answers(node):
    """Its tasks are another node's by then."""
    node.watch(1)
    node.store.meanwhile.append(node.follower.owned.clear)
    await node.hears(1)
    assert node.follower.tasks == {}


async def test_very_many_are_asked_for_in_portions(node):
    """Other writes of the store get their turns."""
    node.follower.owned = None
    keys = range(1, PORTION + 2)
    await node.hears(*keys)
    assert [len(asked) for asked in node.store.asked] == [PORTION, 1]


# What was not heard


async def test_what_was_not_heard_is_found(node):
    """Within ten seconds, once; and again when it changes again."""
    node.watch(1)
    await node.seconds(10)
    assert (node.follower.tasks.keys(), node.store.asked) == ({1}, [[1]])
    await node.seconds(20)
    assert node.store.asked == [[1]]
    node.watch(1, interval=5.0)
    await node.seconds(10)
    assert node.follower.tasks[1].interval == 5.0


async def test_what_was_not_ours_when_it_was_found_is_found_again(node):
    """The shard was being adopted, and what its adoption read was older."""
    node.watch(9)
    await node.seconds(10)
    node.follower.owned.add(9)
    await node.seconds(10)
    assert node.follower.tasks.keys() == {9}


async def test_the_deaf_look_every_second(node):
    """No connection, or one that carries no news."""
    node.wire.deaf = True
    node.watch(1)
    await node.seconds(1)
    assert node.follower.tasks.keys() == {1}
    await node.seconds(4)
    assert (len(node.store.spans), node.endpoints.times) == (5, 1)


async def test_whoever_hears_again_looks_at_once(node):
    """For what was said meanwhile."""
    node.watch(1)
    node.wire.heard(Missed())
    await node.crew.run()
    assert (node.follower.tasks.keys(), node.endpoints.times) == ({1}, 1)


async def test_each_look_goes_back_to_the_last_and_a_minute_more(node):
    """A change is written down some time before it can be seen."""
    await node.seconds(10)
    node.store.down = True
    await node.seconds(15)
    node.store.down = False
    await node.seconds(1)
    assert node.store.spans == [70, 76]


async def test_a_store_that_is_away_loses_no_news(node):
    """They are asked for again every second."""
    node.watch(1)
    node.store.down = True
    await node.hears(1)
    node.wire.heard(Readdressed())
    await node.seconds(3)
    node.store.down = False
    await node.seconds(1)
    assert (node.follower.tasks.keys(), node.endpoints.times) == ({1}, 1)


async def test_nothing_is_done_while_the_lease_does_not_hold(node):
    """And everything once it holds again."""
    node.watch(1)
    node.tenure.holding = False
    await node.hears(1)
    await node.seconds(20)
    assert (node.store.asked, node.store.spans) == ([], [])
    node.tenure.holding = True
    await node.seconds(1)
    assert node.follower.tasks.keys() == {1}


# Others


async def test_endpoints_are_read_when_they_change_and_every_half_minute(node):
    """Whether it was this node or another that changed them."""
    node.wire.heard(Readdressed())
    await node.crew.run()
    assert node.endpoints.times == 1
    await node.seconds(30)
    assert node.endpoints.times == 2


async def test_news_that_come_while_others_are_looked_at_wait_for_that(node):
    """Nobody looks twice at the same time."""
    node.watch(1)
    node.wire.heard(Changed((1,)))
    node.wire.heard(Changed((1,)))
    await node.news.tick()
    await node.crew.run()
    assert node.store.asked == [[1]]


async def test_who_comes_and_goes_is_passed_on(node):
    """The roster is looked at by somebody else; news of nothing of ours ask for nothing."""
    node.wire.heard(Gathered())
    node.wire.heard(Changed((9,)))
    await node.crew.run()
    assert (node.woken, node.store.asked) == (1, [])
