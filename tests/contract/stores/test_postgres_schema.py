"""Migrations on PostgreSQL: what they build, who makes them, and what is refused."""

import asyncio
import os
import subprocess
from collections import Counter

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from structlog.testing import capture_logs

from notifier.adapters.stores.errors import StoreError, StoreTooNewError
from notifier.adapters.stores.migrate import _SCRIPTS, migrate
from notifier.adapters.stores.postgres import open_postgres
from notifier.adapters.stores.schema import metadata
from tests.contract.stores.building import T0, Announcer, registration
from tests.contract.stores.test_endpoints import endpoint
from tests.postgres_server import shared_server


@pytest.fixture
def url():
    with shared_server().database() as url:
        yield url


def sql_of(url):
    """How often each line of the schema is there, as the server tells it: columns may stand in any order."""
    command = [shared_server().programs / "pg_dump", "--schema-only", "--no-owner", "--restrict-key=k", url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Counter(line.strip().removesuffix(",") for line in told.splitlines() if not line.startswith("--"))


async def test_migrating_an_empty_database_builds_the_schema(url):
    """Exactly that of schema.py: types, defaults, identities, indexes and their conditions."""
    await (await open_postgres(url)).close()
    with shared_server().database() as other:
        engine = create_engine(other.replace("postgresql://", "postgresql+psycopg://"))
        with engine.begin() as connection:
            metadata.create_all(connection)
        engine.dispose()
        built = sql_of(other)
    migrated = sql_of(url)
    assert sorted((built - migrated).keys()) == []
    usual = ("", ");", "ALTER TABLE ONLY public.alembic_version")
    more = [line for line in (migrated - built) if line not in usual]
    assert sorted(more) == [
        "ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);",
        "CREATE TABLE public.alembic_version (",
        "version_num character varying(32) NOT NULL",
    ]


async def test_long_names_are_taken_and_told_apart(url):
    """A URL of 2,048 characters, a task's name with variables as long as they may be: more than an index holds."""
    store = await open_postgres(url)
    long = "https://app.example.com/" + "".join(chr(0x4E00 + n) for n in range(2024))
    variables = ["{" + f'"v":"{"".join(chr(0x4E00 + n * step % 20000) for n in range(8000))}"' + "}" for step in (3, 7)]
    wanted = [
        registration(number, "vid_" + "字" * 508, callback, variables=given)
        for number, (callback, given) in enumerate((c, v) for c in (long, long[:-1]) for v in variables)
    ]
    first = await store.register(wanted, T0, Announcer())
    assert [one.created for one in first] == [True] * 4
    assert len({one.view.task_key for one in first}) == 2
    assert [one.created for one in await store.register(wanted, T0, Announcer())] == [False] * 4
    kept = [await store.add_endpoint(endpoint(number, callback)) for number, callback in ((1, long), (2, long[:-1]))]
    assert await store.endpoints() == kept
    assert await store.add_endpoint(endpoint(3, long)) == kept[0]
    await store.close()


async def test_keys_follow_one_another(url):
    """So that tasks are spread evenly over shards, which go by their keys."""
    store = await open_postgres(url)
    first = await store.register([registration(n, f"vid_{n}") for n in range(50)], T0, Announcer())
    second = await store.register([registration(n, f"vid_{n}") for n in range(50, 100)], T0, Announcer())
    assert [one.view.task_key for one in (*first, *second)] == list(range(1, 101))
    await store.close()


async def test_daemons_that_start_together_migrate_once(url):
    """The others wait for the first, and find nothing to do."""
    with capture_logs() as lines:
        stores = await asyncio.gather(*(open_postgres(url) for _ in range(6)))
    for store in stores:
        await store.ping()
        await store.close()
    assert shared_server().execute("SELECT count(*) FROM shards", database_of(url)) == [(256,)]
    assert shared_server().execute("SELECT count(*) FROM pulse", database_of(url)) == [(1,)]
    assert lines == []


async def test_daemons_that_start_together_upgrade_once(url):
    """An older store: whoever is first brings it up to date, while the others wait."""
    upgrade(url, "0001")
    with capture_logs() as lines:
        stores = await asyncio.gather(*(open_postgres(url) for _ in range(6)))
    for store in stores:
        await store.close()
    assert shared_server().execute("SELECT version_num FROM alembic_version", database_of(url)) == [("0004",)]
    assert [(line["event"], line["schema"]) for line in lines] == [("store.upgrading", "0001")]


def database_of(url):
    return url.rpartition("/")[2]


def upgrade(url, schema):
    """As a version with that schema would have left it."""
    scripts = Config()
    scripts.set_main_option("script_location", str(_SCRIPTS))
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        scripts.attributes["connection"] = connection
        command.upgrade(scripts, schema)
    engine.dispose()


async def test_a_newer_store_is_refused_and_left_alone(url):
    """The message says what to do; the newer version can still use it."""
    await (await open_postgres(url)).close()
    shared_server().execute("UPDATE alembic_version SET version_num = '9999'", database_of(url))
    before = sql_of(url)
    with pytest.raises(StoreTooNewError, match=r"newer Notifier \(schema 9999; .*: upgrade Notifier, or restore the"):
        await open_postgres(url)
    assert sql_of(url) == before


async def test_a_migration_that_breaks_off_leaves_nothing(url, monkeypatch):
    """All or nothing: the next start finds the database as it was before."""

    def break_off(connection, **told):
        migrate(connection, **told)
        raise KeyboardInterrupt

    monkeypatch.setattr("notifier.adapters.stores.postgres.migrate", break_off)
    before = sql_of(url)
    with pytest.raises(KeyboardInterrupt):
        await open_postgres(url)
    assert sql_of(url) == before
    monkeypatch.undo()
    await (await open_postgres(url)).close()


@pytest.mark.parametrize("table", ["alembic_version", "tasks"])
async def test_another_programs_tables_are_left_alone(url, table):
    """A table of one of our names that we did not make: refused; tables of other names may be there."""
    shared_server().execute("CREATE TABLE others (id int)", database_of(url))
    shared_server().execute(f"CREATE TABLE {table} (version_num text)", database_of(url))
    with pytest.raises(StoreError, match="another program's database; give Notifier one of its own"):
        await open_postgres(url)
    shared_server().execute(f"DROP TABLE {table}", database_of(url))
    await (await open_postgres(url)).close()


async def test_a_database_that_cannot_hold_every_text_is_refused():
    """Its encoding cannot be changed later."""
    server, name = shared_server(), f"latin_{os.getpid()}"
    server.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StoreError, match=r"stores texts as LATIN1, .* ENCODING 'UTF8' TEMPLATE template0"):
            await open_postgres(server.url(name))
    finally:
        server.drop(name)
