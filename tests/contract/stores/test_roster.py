"""Nodes on a real PostgreSQL: who may write of which task, whoever else wants to, and however late."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest

from notifier.adapters.stores.aside import Aside
from notifier.adapters.stores.leases import Leases
from notifier.adapters.stores.postgres import open_postgres
from notifier.adapters.stores.roster import SqlRoster
from notifier.domain.lease import Lease, Roll
from notifier.domain.shard import SHARDS, shard_of
from notifier.ports import Buried, LeaseLostError, StoreUnavailableError
from tests.contract.stores.building import USUAL, Announcer, at, completed, nothing_known, registration
from tests.postgres_server import shared_server

ALL = range(SHARDS)


class Node:
    """A store and its roster, as one daemon has them."""

    def __init__(self, url, store) -> None:
        self.aside = Aside(url)
        self.store = store
        store.fences = self.leases = Leases()
        self.roster = SqlRoster(self.aside.beats, self.aside.moves, self.leases)

    async def close(self):
        await self.aside.close()
        await self.store.close()


class Nodes:
    def __init__(self, url) -> None:
        self.url, self._open = url, []

    async def join(self, name):
        node = Node(self.url, await open_postgres(self.url))
        self._open.append(node)
        await node.roster.join(f"node_{name}", name, "1.2.3")
        return node

    def die(self, name):
        """Its lease is over."""
        self.execute(f"UPDATE nodes SET alive_until = 0 WHERE name = '{name}'")

    def execute(self, statement):
        return shared_server().execute(statement, self.url.rsplit("/", 1)[1])

    def free(self):
        return self.execute("SELECT count(*) FROM shards WHERE owner IS NULL")[0][0]

    async def close(self):
        for node in self._open:
            await node.close()


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    with shared_server().database() as url:
        nodes = Nodes(url)
        try:
            yield nodes
        finally:
            await nodes.close()


async def watched(node, number=1):
    (one,) = await node.store.register([registration(number, f"vid_{number}")], at(0), Announcer())
    return one.task


async def test_a_beat_tells_who_is_there_and_who_holds_what(nodes):
    """The roll is as the database has it: each node with its name and version, alive, and each shard with its owner."""
    a, b = await nodes.join("a"), await nodes.join("b")
    assert set(await a.roster.claim([1, 2])) == {1, 2}
    roll = await b.roster.beat('{"tasks":1}')
    assert isinstance(roll, Roll)
    assert [(one.id, one.name, one.version, one.alive, one.leaving) for one in roll.nodes] == [
        ("node_a", "a", "1.2.3", True, False),
        ("node_b", "b", "1.2.3", True, False),
    ]
    assert roll.nodes[1].report == '{"tasks":1}'
    assert timedelta(seconds=7) < roll.nodes[1].alive_until - roll.now <= timedelta(seconds=8)
    assert set(roll.shards) == set(ALL)
    assert {n for n, lease in roll.shards.items() if lease == Lease("node_a", 1)} == {1, 2}


async def test_nodes_that_claim_at_once_get_different_shards(nodes):
    """Each shard has one owner, however many want it, and each claim makes its fence grow."""
    three = [await nodes.join(name) for name in "abc"]
    for _ in range(3):
        got = await asyncio.gather(*(node.roster.claim(ALL) for node in three))
        assert sum(map(len, got)) == len(set().union(*got))
        while nodes.free():  # what two nodes looked at in the same moment is left to the next look
            got.append(await three[0].roster.claim(ALL))
        assert set().union(*got) == set(ALL)
        await asyncio.gather(*(node.roster.release(ALL) for node in three))
    fences = nodes.execute("SELECT fence, owner FROM shards")
    assert set(fences) == {(6, None)}


async def test_a_claim_can_be_asked_for_again(nodes):
    """The answer to a claim was lost: the shards are this node's, and their fences stay as they are."""
    a = await nodes.join("a")
    assert set(await a.roster.claim([7])) == set(await a.roster.claim([7])) == {7}
    assert nodes.execute("SELECT fence FROM shards WHERE n = 7") == [(1,)]
    assert a.leases.now().fences == {7: 1}


async def test_only_the_owner_writes(nodes):
    """A node that holds a task's shard saves and ends it; one that does not changes nothing."""
    a, b = await nodes.join("a"), await nodes.join("b")
    task = await watched(a)
    await a.roster.claim(ALL)
    with pytest.raises(LeaseLostError):
        await b.store.end(completed(task), Announcer())
    with pytest.raises(LeaseLostError):
        await b.store.expire(task, task.deadline_at, Announcer())
    await b.store.save([completed(task)])
    (kept,) = await a.store.watched({"videos": USUAL})
    assert kept.polls == 0
    assert len(await a.store.end(completed(task), Announcer())) == 1


async def test_a_node_that_slept_changes_nothing(nodes):
    """Its shards are another's since: what it knew of their tasks is refused, its ends, deadlines and polls."""
    a, b = await nodes.join("a"), await nodes.join("b")
    task = await watched(a)
    await a.roster.claim(ALL)
    nodes.die("a")
    assert await b.roster.bury("node_a")
    await b.roster.claim(ALL)
    for write in (
        a.store.end(completed(task), Announcer()),
        a.store.expire(task, task.deadline_at, Announcer()),
        a.store.keep(completed(task), [1], at(1), lambda *_: None),
    ):
        with pytest.raises(LeaseLostError):
            await write
    await a.store.save([completed(task)])
    assert isinstance(await a.roster.beat("{}"), Buried)
    assert not await a.roster.claim(ALL)
    (kept,) = await b.store.watched({"videos": USUAL})
    assert kept.polls == 0


async def test_a_shard_that_came_back_is_no_excuse(nodes):
    """A write that was asked for before the shard went away is refused although the same node holds it again."""
    a = await nodes.join("a")
    task = await watched(a)
    await a.roster.claim(ALL)
    held = a.leases.now()
    await a.roster.release(ALL)
    await a.roster.claim(ALL)
    a.store.fences = Stale(a.leases, held)
    with pytest.raises(LeaseLostError):
        await a.store.end(completed(task), Announcer())


class Stale:
    """Asked then, proved now."""

    def __init__(self, leases, held) -> None:
        self._leases, self._held = leases, held

    def now(self):
        return self._held

    def lost(self, connection, wanted):
        return self._leases.lost(connection, wanted)


async def test_one_lost_task_spoils_no_other_write(nodes):
    """Ends that share a commit with one of a task that is another's are written."""
    a, b = await nodes.join("a"), await nodes.join("b")
    tasks = [await watched(a, number) for number in range(1, 5)]
    await b.roster.claim([shard_of(tasks[0].key)])
    await a.roster.claim(ALL)
    results = await asyncio.gather(
        *(a.store.end(completed(task), Announcer()) for task in tasks), return_exceptions=True
    )
    assert isinstance(results[0], LeaseLostError)
    assert [len(owed) for owed in results[1:]] == [1, 1, 1]


async def test_what_is_known_of_others_tasks_is_not_saved_along(nodes):
    """Cancelling at a node that knows an older state of the task does not bring that back."""
    a, b = await nodes.join("a"), await nodes.join("b")
    task = await watched(a)
    await a.store.register([registration(2, "vid_1", "https://b.example/hook")], at(0), Announcer())
    await b.roster.claim(ALL)
    await a.store.cancel(registration(1).id, at(5), lambda _: completed(task))
    (kept,) = await b.store.watched({"videos": USUAL})
    assert kept.polls == 0
    await b.store.cancel(registration(2).id, at(5), nothing_known)


async def test_the_living_are_not_buried(nodes):
    """Nobody can remove a node whose lease holds; one whose lease is over is removed once, with all that it held."""
    a, b = await nodes.join("a"), await nodes.join("b")
    await a.roster.claim(ALL)
    assert not await b.roster.bury("node_a")
    nodes.execute("INSERT INTO shares VALUES ('videos', 'node_a', 5)")
    nodes.die("a")
    assert sorted(await asyncio.gather(b.roster.bury("node_a"), b.roster.bury("node_a"))) == [False, True]
    assert nodes.free() == SHARDS
    assert nodes.execute("SELECT name FROM nodes") == [("b",)]
    assert nodes.execute("SELECT * FROM shares") == []


async def test_a_clock_that_was_set_back_keeps_nobody_alive(nodes):
    """A lease that ends later than any beat could say was written by another clock: it does not hold."""
    a, b = await nodes.join("a"), await nodes.join("b")
    nodes.execute("UPDATE nodes SET alive_until = alive_until + 3600000000 WHERE name = 'a'")
    roll = await b.roster.beat("{}")
    assert [node.alive for node in roll.nodes] == [False, True]
    assert isinstance(await a.roster.beat("{}"), Roll)
    roll = await b.roster.beat("{}")
    assert [node.alive for node in roll.nodes] == [True, True]


async def test_deliveries_of_the_dead_are_anybodys(nodes):
    """Whoever is free may attempt what a buried node was to."""
    a, b = await nodes.join("a"), await nodes.join("b")
    task = await watched(a)
    await a.roster.claim(ALL)
    await a.store.end(completed(task), Announcer())
    nodes.execute("UPDATE deliveries SET leased_by = 'node_a'")
    nodes.die("a")
    assert await b.roster.bury("node_a")
    assert nodes.execute("SELECT leased_by FROM deliveries") == [(None,)]


async def test_whoever_retires_lives_on_without_shards(nodes):
    """Its shards are free and nobody counts on it, until it leaves: then it is gone with everything."""
    a, b = await nodes.join("a"), await nodes.join("b")
    await a.roster.claim(ALL)
    await a.roster.retire()
    assert nodes.free() == SHARDS
    roll = await b.roster.beat("{}")
    assert [(node.alive, node.leaving) for node in roll.nodes] == [(True, True), (True, False)]
    assert isinstance(await a.roster.beat("{}"), Roll)
    await a.roster.leave()
    assert nodes.execute("SELECT name FROM nodes") == [("b",)]


async def test_a_write_under_way_is_waited_for(nodes):
    """A shard in which somebody's write has been proved, and not committed yet, cannot change its owner: who claims it
    gets the others. When the node that writes is stopped, the server lets go in a while."""
    a, b = await nodes.join("a"), await nodes.join("b")
    task = await watched(a)
    await a.roster.claim(ALL)
    held, go_on = threading.Event(), threading.Event()

    def slowly(connection):
        assert not a.leases.lost(connection, [(task.key, a.leases.now())])
        held.set()
        go_on.wait(30)

    writing = asyncio.ensure_future(a.aside.moves(slowly))
    await asyncio.to_thread(held.wait, 10)
    nodes.die("a")
    began = asyncio.get_running_loop().time()
    while True:
        with suppress(StoreUnavailableError):
            if await b.roster.bury("node_a"):
                break
    assert asyncio.get_running_loop().time() - began < 10
    assert len(await b.roster.claim(ALL)) == SHARDS
    go_on.set()
    with pytest.raises(StoreUnavailableError):
        await writing


async def test_a_claim_that_waits_keeps_no_beat_waiting(nodes):
    """A table is locked by somebody's maintenance: the node that wants shards of it still proves that it lives."""
    a = await nodes.join("a")
    with psycopg.connect(nodes.url) as other:
        other.execute("LOCK TABLE shards IN EXCLUSIVE MODE")
        claiming = asyncio.ensure_future(a.roster.claim(ALL))
        waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'shards'::regclass AND NOT granted"
        while not nodes.execute(waiting)[0][0]:
            await asyncio.sleep(0.01)
        assert isinstance(await a.roster.beat("{}"), Roll)
        assert not claiming.done()
    assert len(await claiming) == SHARDS


async def test_a_full_store_is_loaded_however_slowly(nodes):
    """Making tasks of a hundred thousand rows takes a busy machine longer than a writer may hesitate: who only reads
    holds no lock, and is not thrown out."""
    a = await nodes.join("a")
    shown = "SHOW idle_in_transaction_session_timeout"
    assert await a.store._reader.read(lambda on: on.exec_driver_sql(shown).scalar_one()) == "2min"


async def test_the_tasks_of_some_shards(nodes):
    """Whoever takes over shards loads their tasks and no others."""
    a = await nodes.join("a")
    keys = {(await watched(a, number)).key for number in range(1, 8)}
    some = {key for key in keys if shard_of(key) % 2}
    assert {task.key for task in await a.store.watched({"videos": USUAL}, {n for n in ALL if n % 2})} == some
    assert {task.key for task in await a.store.watched({"videos": USUAL}, ALL)} == keys
    assert list(await a.store.watched({"videos": USUAL}, [200])) == []
