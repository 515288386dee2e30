"""Several nodes on one PostgreSQL database, each with a store of its own."""

from notifier.adapters.stores.herald import Crier
from notifier.adapters.stores.lessee import OneOfMany
from notifier.adapters.stores.postgres import open_postgres
from notifier.adapters.stores.shared import SharedStore
from tests.fake_pool import FakeTenure
from tests.postgres_server import shared_server


async def open_node(url: str, name: str, *, room: bool = True) -> SharedStore:
    """A node that has joined the others as `name`; without `room` it owes for others to take."""
    store = await open_postgres(url)
    join(store, url, name)
    store.lessee = OneOfMany(FakeTenure(name), lambda _: room)
    store.herald = Crier(FakeTenure(name))
    return store


def join(store: SharedStore, url: str, name: str) -> None:
    database = url.rpartition("/")[2]
    row = f"('{name}', '{name}', '1', 0, 9223372036854775807, false, '{{}}')"
    shared_server().execute(
        f"INSERT INTO nodes (id, name, version, started_at, alive_until, leaving, report) VALUES {row}", database
    )


def bury(url: str, name: str) -> None:
    shared_server().execute(f"DELETE FROM nodes WHERE id = '{name}'", url.rpartition("/")[2])
