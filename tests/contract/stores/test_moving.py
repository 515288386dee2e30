"""From SQLite to PostgreSQL: everything that was there is there, or nothing is."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from notifier.adapters.stores import moving
from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.moving import TABLES, move_store
from notifier.adapters.stores.postgres import open_postgres
from notifier.adapters.stores.sqlite import open_sqlite
from notifier.cli.root import app
from notifier.domain.saving import planned
from notifier.ports import Page
from tests.contract.stores.building import (
    HOOK,
    T0,
    Announcer,
    at,
    completed,
    declaration,
    delivered,
    failed,
    nothing_known,
    registration,
    tried,
    watch_id,
)
from tests.contract.stores.test_endpoints import endpoint
from tests.contract.stores.test_migrations import HISTORY
from tests.contract.stores.test_results import Holding
from tests.postgres_server import shared_server

EVERYTHING = Page(1000)


@pytest.fixture
def url():
    with shared_server().database() as url:
        yield url


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notifier.db"


async def fill(path):
    """A store with something of everything, and keys that were used and are gone."""
    store, announcer = await open_sqlite(path), Announcer()
    wanted = [registration(n, f"vid_{n}", variables='{"region":"eu"}' if n % 2 else "{}") for n in range(1, 9)]
    made = [each.task for each in await store.register(wanted, T0, announcer)]
    await store.declare([declaration(20, "vid_d", interval=5.0)], T0, announcer, nothing_known)
    await store.save([replace(made[0], polls=7, last_polled_at=at(9), status="running ✓")])
    (first,) = await store.end(completed(made[1]), announcer)
    (second,) = await store.end(failed(made[2]), announcer)
    await store.settle(*delivered(first))
    await store.settle(*tried(second))
    await store.end(planned(completed(made[3])), Holding())
    await store.cancel(watch_id(5), at(50), nothing_known)
    kept = [await store.add_endpoint(endpoint(n, f"https://app.example.com/{n}")) for n in (1, 2, 3)]
    await store.remove_endpoint(kept[2].id)
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO tasks (key, provider, task_id, state) VALUES (41, 'videos', 'gone', 'idle')")
        connection.execute("DELETE FROM tasks WHERE key = 41")


async def told_by(store):
    """All that a store says of what it holds."""
    deliveries = (await store.deliveries(EVERYTHING)).deliveries
    watched = await store.watched({"videos": 30.0})
    return {
        "counts": await store.counts(),
        "watches": await store.watches(EVERYTHING),
        "deliveries": [await store.delivery_view(each.delivery.id) for each in deliveries],
        "watched": sorted(watched, key=lambda task: task.key),
        "results": [await store.result(key) for key in range(1, 12)],
        "unsettled": await store.unsettled(),
        "waiting": await store.waiting(),
        "endpoints": await store.endpoints(),
        "lives": await store.lives(),
    }


async def test_everything_is_there_and_goes_on(path, url):
    """Each list, each delivery with its attempts, each file; and no number is used a second time."""
    await fill(path)
    steps = []
    moved = await move_store(path, url, progress=lambda *step: steps.append(step))
    before, after = await open_sqlite(path), await open_postgres(url)
    assert await told_by(after) == await told_by(before)
    assert moved["watches"] == 9
    assert moved["attempts"] == 2
    assert steps[-1] == (sum(moved.values()), sum(moved.values()))
    (new,) = await after.register([registration(30, "vid_new")], T0, Announcer())
    assert new.view.task_key == 42
    assert (await after.watches(Page(1))).watches[0].watch.id == watch_id(30)
    assert (await after.add_endpoint(endpoint(9, f"{HOOK}/new"))).number == 4
    await before.close()
    await after.close()


@pytest.mark.parametrize("written", HISTORY, ids=lambda path: path.stem)
async def test_a_store_of_every_earlier_version_is_moved(path, url, written):
    """It is upgraded where it stands, with a copy kept, as a daemon would do."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(written.read_text())
    await move_store(path, url)
    before, after = await open_sqlite(path), await open_postgres(url)
    assert await told_by(after) == await told_by(before)
    await before.close()
    await after.close()


async def test_an_empty_store_is_moved_too(path, url):
    """Its keys begin with one."""
    await (await open_sqlite(path)).close()
    assert set((await move_store(path, url)).values()) == {0}
    store = await open_postgres(url)
    (new,) = await store.register([registration(1)], T0, Announcer())
    assert new.view.task_key == 1
    await store.close()


async def test_texts_that_a_server_does_not_take_lose_only_that(path, url):
    """SQLite holds NUL and broken UTF-8 in texts, PostgreSQL does not."""
    await fill(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE attempts SET response = 'a' || char(0) || 'b', error = CAST(x'61ff62' AS TEXT)")
    await move_store(path, url)
    with shared_server().connect(url) as connection:
        rows = connection.execute("SELECT DISTINCT response, error FROM attempts").fetchall()
    assert rows == [("ab", "a\ufffdb")]


async def test_what_breaks_off_leaves_nothing_and_can_be_tried_again(path, url, monkeypatch):
    """However far it got: the database is empty, the file is as it was."""
    await fill(path)
    monkeypatch.setattr(moving, "PORTION", 1)

    def end_at_last(moved, of):
        if moved == of:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move_store(path, url, progress=end_at_last)
    with shared_server().connect(url) as connection:
        assert [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES] == [(0,)] * 6
    assert (await move_store(path, url))["watches"] == 9


async def test_a_cancelled_move_leaves_nothing(path, url, monkeypatch):
    """Ctrl-C is heard between two portions."""
    await fill(path)
    monkeypatch.setattr(moving, "PORTION", 1)
    under_way = asyncio.Event()
    move = asyncio.create_task(move_store(path, url, progress=lambda *_: under_way.set()))
    await under_way.wait()
    move.cancel()
    with pytest.raises(asyncio.CancelledError):
        await move
    with shared_server().connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (0,)
    await (await open_sqlite(path)).close()


async def test_a_database_in_which_something_is_is_refused(path, url):
    """Rows of another store stay as they are."""
    await fill(path)
    store = await open_postgres(url)
    await store.add_endpoint(endpoint())
    with pytest.raises(StoreError, match="has rows in its table endpoints; move into a database that is empty"):
        await move_store(path, url)
    assert len(await store.endpoints()) == 1
    assert (await store.counts()).watches["watching"] == 0
    await store.close()


async def test_a_database_that_daemons_use_is_refused(path, url):
    """They would go on as if nothing had come."""
    await fill(path)
    await (await open_postgres(url)).close()
    with shared_server().connect(url) as connection:
        connection.execute(
            """INSERT INTO nodes (id, name, version, started_at, alive_until, leaving, report)
               VALUES ('node_1', 'a', '1', 0, extract(epoch from now() + '1 minute') * 1000000, false, '{}')"""
        )
        with pytest.raises(StoreError, match=r"daemons work on postgresql://.*; stop them all"):
            await move_store(path, url)
        connection.execute("UPDATE nodes SET alive_until = 0")  # it was killed long ago
    assert (await move_store(path, url))["watches"] == 9


def migrate_store(*arguments):
    return CliRunner().invoke(app, ["migrate-store", *map(str, arguments)])


def test_the_command_says_what_it_moved(path, url):
    """One line, without a password; the second time it refuses, and says what to do."""
    asyncio.run(fill(path))
    to = url.replace("notifier@", "notifier:planted-pa55word@")
    result = migrate_store(f"sqlite:///{path}", to)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "9 watches, 3 deliveries, 2 attempts, 1 file, " in result.stdout
    assert result.stdout.startswith(url.replace("notifier@", ""))
    again = migrate_store(f"sqlite:///{path}", to)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "nothing was moved: " in again.stderr
    assert "planted" not in result.stdout + again.stderr


@pytest.mark.parametrize(
    ("source", "target", "code", "says"),
    [
        ("sqlite:///missing.db", "{url}", 1, "nothing was moved: there is no store at /"),
        ("{file}", "sqlite:///other.db", 2, "moves from SQLite to PostgreSQL"),
        ("{url}", "{url}", 2, "between servers use pg_dump"),
        ("{file}", "postgresql://h", 2, "is not postgresql://"),
        ("notifier.db", "{url}", 2, "is not the URL of a store"),
    ],
)
def test_what_cannot_be_moved(path, url, source, target, code, says):
    """Wrong usage is 2, what failed is 1."""
    asyncio.run(fill(path))
    result = migrate_store(*(each.format(url=url, file=f"sqlite:///{path}") for each in (source, target)))
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in " ".join(result.stderr.replace("│", " ").split())


async def test_a_store_in_use_is_not_moved(path, url):
    """What its daemon is about to write would be lost."""
    store = await open_sqlite(path)
    result = await asyncio.to_thread(migrate_store, f"sqlite:///{path}", url)
    assert result.exit_code == 1
    assert "nothing was moved: " in result.stderr
    await store.close()
