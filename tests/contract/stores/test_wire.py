"""What nodes tell each other through PostgreSQL, with the commit; and what is there for those who did not hear."""

import asyncio

import pytest
from structlog.testing import capture_logs

from notifier.adapters.stores.herald import MOST_BYTES, portions
from notifier.adapters.stores.postgres import conninfo
from notifier.adapters.stores.wire import PostgresWire
from notifier.domain.endpoint import Endpoint, Terms
from notifier.ports import Changed, Gathered, Missed, Readdressed
from tests.contract.stores.building import T0, PostgresBackend, declaration, nothing_known, registration
from tests.contract.stores.nodes import open_node
from tests.fake_pool import FakeTenure
from tests.postgres_server import shared_server


@pytest.fixture
def url(tmp_path):
    backend = PostgresBackend(tmp_path)
    yield shared_server().url(backend.name)
    backend.remove()


@pytest.fixture
async def store(url):
    store = await open_node(url, "node_1")
    yield store
    await store.close()


class Ear:
    """What a node hears, in order."""

    def __init__(self, wire):
        self.heard = asyncio.Queue()
        self.wire = wire
        wire.listen(self.heard.put_nowait)

    async def next(self):
        return await asyncio.wait_for(self.heard.get(), 20)

    async def nothing(self):
        """Whatever was said before this has been heard, and there was nothing of it."""
        await asyncio.sleep(0.2)
        return self.heard.empty()


async def listen(url, name, *, at=None, patience=5.0):
    return Ear(PostgresWire(conninfo(at or url), FakeTenure(name), speak=conninfo(url), patience=patience))


@pytest.fixture
async def ear(url):
    """The second node's, which hears."""
    ear = await listen(url, "node_2")
    assert await ear.next() == Missed()
    yield ear
    await ear.wire.close()


async def test_registrations_cancellations_and_declarations_are_heard(store, ear, announcer):
    """At once, and nothing of what changed nothing."""
    one, two = await store.register([registration(1), registration(2, task="vid_2")], T0, announcer)
    keys = one.task.key, two.task.key
    assert await ear.next() == Changed(keys)
    await store.register([registration(3)], T0, announcer)
    assert await store.cancel("wch_unknown", T0, nothing_known) is None
    await store.cancel(one.view.watch.id, T0, nothing_known)
    assert await ear.next() == Changed(keys[:1])
    await store.cancel(one.view.watch.id, T0, nothing_known)
    await store.declare([declaration(4, task="vid_4")], T0, announcer, nothing_known)
    (declared,) = (await ear.next()).keys
    await store.declare([], T0, announcer, nothing_known)
    assert await ear.next() == Changed((declared,))


async def test_whoever_tells_of_tasks_does_not_hear_it(store, url, announcer):
    """It knows better; of endpoints it hears as everybody."""
    own = await listen(url, "node_1")
    assert await own.next() == Missed()
    await store.register([registration()], T0, announcer)
    await store.add_endpoint(Endpoint("ep_1", "https://a.example/", Terms(("whsec_x",)), created_at=T0, updated_at=T0))
    assert await own.next() == Readdressed()
    await own.wire.close()


async def test_changes_of_endpoints_are_heard(store, ear):
    """Each of them."""
    endpoint = Endpoint("ep_1", "https://a.example/", Terms(("whsec_x",)), created_at=T0, updated_at=T0)
    await store.add_endpoint(endpoint)
    await store.change_endpoint("ep_1", lambda kept: kept)
    await store.remove_endpoint("ep_1")
    assert [await ear.next() for _ in range(3)] == [Readdressed()] * 3


async def test_what_newer_nodes_say_is_passed_over(url, ear):
    """And the roster's word is passed on."""
    for words in ("weather fine", "", "word of-another", "roster"):
        shared_server().execute(f"SELECT pg_notify('notifier_news', '{words}')", url.rpartition("/")[2])
    assert await ear.next() == Gathered()
    assert await ear.nothing()


async def test_what_was_not_heard_is_found(store, announcer):
    """For as long ago as is asked for, by the database's clock."""
    registered = await store.register([registration(n, task=f"vid_{n}") for n in (1, 2, 3)], T0, announcer)
    keys = {one.task.key for one in registered}
    assert (await store.touched(60)).keys() == keys
    assert await store.touched(-60) == {}
    assert (await store.current(keys)).keys() == keys
    await store.cancel(registered[0].view.watch.id, T0, nothing_known)
    assert (await store.current(keys)).keys() == keys - {registered[0].task.key}
    assert await store.current(()) == {}


async def test_a_connection_that_is_lost_is_made_anew(url, ear, store, announcer):
    """Whatever was said meanwhile may have been missed, and is looked for."""
    listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    assert shared_server().execute(f"{listening} AND datname = '{url.rpartition('/')[2]}'") == [(True,)]
    assert await ear.next() == Missed()
    assert not ear.wire.deaf
    (one,) = await store.register([registration()], T0, announcer)
    assert await ear.next() == Changed((one.task.key,))


async def test_a_connection_that_carries_no_news_is_told_of(url):
    """As one through a pool in transaction mode: it takes LISTEN, and hears no word. Here it listens elsewhere."""
    with capture_logs() as lines:
        deaf = await listen(url, "node_2", at=shared_server().url(), patience=0.2)
        while not lines:
            await asyncio.sleep(0.05)
    assert deaf.wire.deaf
    assert [(line["event"], line["log_level"]) for line in lines] == [("news.unheard", "warning")]
    assert deaf.heard.empty()
    await deaf.wire.close()


async def test_a_wire_without_a_server_is_deaf(url):
    """It goes on trying, and ends when it is told to."""
    deaf = await listen("postgresql://127.0.0.1:1/nowhere", "node_2", patience=0.2)
    assert deaf.wire.deaf
    await deaf.wire.close()


def test_lines_hold_what_postgresql_takes():
    """Every key in one of them, none of them too long."""
    keys = list(range(10**9, 10**9 + 3000))
    lines = list(portions("tasks node_1", keys))
    assert max(map(len, lines)) <= MOST_BYTES
    assert [int(key) for line in lines for key in line.split()[2:]] == keys
    assert len(lines) == 5
