"""Shares of one rate, taken by nodes of one PostgreSQL at the same time; and the fake, which must be no better."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import insert, select, text

from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.postgres import begin, new_engine
from notifier.adapters.stores.postgres_errors import explainer
from notifier.adapters.stores.reader import Reader
from notifier.adapters.stores.schema import nodes, shares
from notifier.adapters.stores.shares import SqlShares
from notifier.domain.share import Wish
from notifier.ports import Buried, StoreUnavailableError
from tests.contract.stores.building import PostgresBackend
from tests.fake_roster import FakeDatabase, FakeRoster
from tests.fake_shares import FakeShares
from tests.postgres_server import shared_server

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Many:
    """One database, and as many nodes as it takes, each with a connection of its own."""

    def __init__(self, url):
        self._url, self._opened = url, []

    def open(self):
        """Another node's connection; SqlShares over it."""
        engine = new_engine(self._url, size=1, begin=begin("BEGIN ISOLATION LEVEL READ COMMITTED", 10_000))
        reader = Reader(engine, explainer("the store"), threads=1, outage=Outage())
        self._opened.append((engine, reader))
        return SqlShares(reader.read), reader

    async def join(self, *names):
        _, reader = self.open()
        row = {"version": "1", "started_at": NOW, "alive_until": NOW, "leaving": False, "report": "{}"}
        rows = [{"id": name, "name": name, **row} for name in names]
        await reader.read(lambda connection: connection.execute(insert(nodes), rows))
        return [self.open()[0] for _ in names]

    async def bury(self, name):
        _, reader = self.open()
        await reader.read(lambda connection: connection.execute(nodes.delete().where(nodes.c.id == name)))

    async def rates(self):
        _, reader = self.open()
        query = select(shares.c.node, shares.c.rate).where(shares.c.node != "")
        return {row.node: row.rate for row in await reader.read(lambda connection: connection.execute(query).all())}

    async def close(self):
        for engine, reader in self._opened:
            await reader.close()
            engine.dispose()


class Fake:
    """The same over the fake."""

    def __init__(self):
        self.database = FakeDatabase(lambda: NOW)
        self._shares = FakeShares(self.database)

    async def join(self, *names):
        for name in names:
            await FakeRoster(self.database).join(name, name, "1")
        return [self._shares for _ in names]

    async def bury(self, name):
        del self.database.nodes[name]


@pytest.fixture
def database(tmp_path):
    backend = PostgresBackend(tmp_path)
    yield shared_server().url(backend.name)
    backend.remove()


@pytest.fixture
async def postgres(database):
    many = Many(database)
    yield many
    await many.close()


@pytest.fixture(params=["fake", "postgresql"])
async def many(request, database):
    many = Many(database)
    yield Fake() if request.param == "fake" else many
    await many.close()


def wish(share, rate=10.0, provider="videos"):
    return {provider: Wish(share, rate)}


async def test_a_node_takes_what_the_others_leave(many):
    """First all, then the rest, then nothing; what one gives up is there for another."""
    one, two, three = await many.join("one", "two", "three")
    assert await one.take("one", wish(6.0)) == {"videos": 6.0}
    assert await two.take("two", wish(6.0)) == {"videos": 4.0}
    assert await three.take("three", wish(6.0)) == {"videos": 0.0}
    assert await one.take("one", wish(1.0)) == {"videos": 1.0}
    assert await three.take("three", wish(6.0)) == {"videos": 5.0}


async def test_providers_have_rates_of_their_own(many):
    """Several in one transaction; a name may hold anything."""
    one, two = await many.join("one", "two")
    wishes = wish(6.0) | wish(3.0, 4.0, "a'b\"c") | wish(1.0, 0.5, "ü")
    assert await one.take("one", wishes) == {"videos": 6.0, "a'b\"c": 3.0, "ü": 0.5}
    assert await two.take("two", wishes) == {"videos": 4.0, "a'b\"c": 1.0, "ü": 0.0}
    assert await two.take("two", {}) == {}


async def test_a_node_that_was_buried_takes_nothing(many):
    """And what it had is there for the others."""
    one, two = await many.join("one", "two")
    await one.take("one", wish(8.0))
    await many.bury("one")
    assert await one.take("one", wish(8.0)) == Buried()
    assert await two.take("two", wish(10.0)) == {"videos": 10.0}


async def test_nodes_that_ask_at_once_never_take_more_than_there_is(postgres):
    """The first time too, when no row is there that one could wait for; nor do they wait for each other."""
    names = [f"node_{number}" for number in range(6)]
    stores = await postgres.join(*names)
    for turn in range(12):
        wishes = wish(3.0) | wish(3.0, provider="other")
        turned = dict(sorted(wishes.items(), reverse=turn % 2 == 0))
        asked = (store.take(name, turned) for store, name in zip(stores, names, strict=True))
        taken = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, dict | StoreUnavailableError) for each in taken)
        assert sum(each["videos"] for each in taken if isinstance(each, dict)) <= 10.0
        stored = await postgres.rates()
        assert 3.0 <= sum(stored.values()) <= 10.0
        lowering = (store.take(name, wish(0.5)) for store, name in zip(stores, names, strict=True))
        await asyncio.gather(*lowering, return_exceptions=True)


async def test_a_node_that_stopped_in_between_is_not_waited_for_long(postgres):
    """Its row is locked until the server ends its transaction; whoever asks meanwhile asks again."""
    one, two = await postgres.join("one", "two")
    await one.take("one", wish(5.0))
    engine = new_engine(postgres._url, size=1, begin="BEGIN")
    with engine.connect() as stopped, stopped.begin():
        stopped.execute(text("SELECT * FROM shares FOR UPDATE"))
        with pytest.raises(StoreUnavailableError, match="lock"):
            await asyncio.wait_for(two.take("two", wish(5.0)), 1.9)
    engine.dispose()
    assert await two.take("two", wish(5.0)) == {"videos": 5.0}


async def test_others_hear_of_what_became_free(postgres):
    """When it is a part worth taking, and not each time that something moves."""
    (one,) = await postgres.join("one")
    with psycopg.connect(postgres._url, autocommit=True) as listener:
        listener.execute("LISTEN notifier_news")
        for share in (9.0, 8.5, 2.0):
            await one.take("one", wish(share))
        assert [each.payload for each in listener.notifies(timeout=5, stop_after=1)] == ["roster"]
        assert not list(listener.notifies(timeout=0.2))


async def test_a_beat_does_not_wait_for_a_share(postgres):
    """Nor a share for a beat: neither may make the other late."""
    (one,) = await postgres.join("one")
    engine = new_engine(postgres._url, size=1, begin="BEGIN")
    with engine.connect() as beating, beating.begin():
        beating.execute(text("UPDATE nodes SET alive_until = alive_until + 1"))
        assert await one.take("one", wish(5.0)) == {"videos": 5.0}
    engine.dispose()


async def test_nobody_is_buried_while_it_takes_a_share(postgres):
    """Else its row of the shares would outlive it, and nobody could have that part of the rate again."""
    (one,) = await postgres.join("one")
    engine = new_engine(postgres._url, size=1, begin="BEGIN")
    with engine.connect() as other, other.begin():
        other.execute(text("SELECT * FROM nodes FOR UPDATE"))  # as one that is about to bury it does
        with pytest.raises(StoreUnavailableError, match="lock"):
            await one.take("one", wish(5.0))
        other.execute(text("DELETE FROM nodes"))
    engine.dispose()
    assert await one.take("one", wish(5.0)) == Buried()
    assert await postgres.rates() == {}
