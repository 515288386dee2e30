"""Migrations: from every older store to this one, and never back."""

import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from notifier.adapters.stores.errors import StoreTooNewError
from notifier.adapters.stores.migrate import _SCRIPTS, migrate
from notifier.adapters.stores.schema import metadata
from notifier.adapters.stores.sqlite import APPLICATION_ID, open_sqlite
from tests.contract.stores.building import T0, Announcer, registration
from tests.contract.stores.test_endpoints import endpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notifier.db"


async def test_migrating_an_empty_file_builds_the_schema(path):
    """Tables, columns, types and indexes are those of schema.py: what one gains without the other shows here."""
    await (await open_sqlite(path)).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_what_alembic_does_not_compare_is_the_same_too(path):
    """Conditions of partial indexes and tables without row numbers: the text that SQLite keeps is compared."""
    await (await open_sqlite(path)).close()
    engine = create_engine("sqlite://")
    with closing(sqlite3.connect(path)) as migrated, engine.begin() as built:
        metadata.create_all(built)
        ours = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
        expected = {name: _features(sql) for name, sql in built.exec_driver_sql(ours)}
        found = {name: _features(sql) for name, sql in migrated.execute(ours) if name != "alembic_version"}
    engine.dispose()
    assert found == expected


def _features(sql: str):
    """An index as it is; of a table what stands behind its columns, and whether its keys are used again."""
    if "CREATE TABLE" in sql:
        return sql.rpartition(")")[2].strip(), "AUTOINCREMENT" in sql
    return sql


async def test_opening_again_migrates_nothing(path):
    """An up-to-date store is left as it is."""
    store = await open_sqlite(path)
    await store.register([registration(1)], T0, Announcer())
    await store.close()
    before = path.read_bytes()
    await (await open_sqlite(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM watches").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM pulse").fetchone() == (1,)
    assert len(path.read_bytes()) == len(before)


def _write_0001(path):
    """A store as version 0.1.0 left it, by the first migration alone: a task with a watch that is owed a delivery."""
    scripts = Config()
    scripts.set_main_option("script_location", str(_SCRIPTS))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        scripts.attributes["connection"] = connection
        command.upgrade(scripts, "0001")
        for statement in (
            "INSERT INTO tasks (key, provider, task_id, state, polls) VALUES (7, 'videos', 'vid_1', 'completed', 3)",
            "INSERT INTO watches VALUES (1, 'wch_1', 7, 'completed', NULL, 1, 2, 3, 'intake', 0, 'https://a/', '{}')",
            """INSERT INTO deliveries VALUES (1, 'evt_1', 'wch_1', 'task.completed', 'pending', NULL, 1, 1, 0, 3, 4,
                                              'https://a/', x'7b7d')""",
            "INSERT INTO attempts VALUES ('evt_1', 1, 3, 'failed', 500, 0.25, 'HTTP 500', 'sorry')",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()


async def test_a_store_of_the_first_version_is_migrated(path):
    """Everything in it is still there and goes on; endpoints can be registered; a second start finds nothing to do."""
    _write_0001(path)
    store = await open_sqlite(path)
    view = await store.watch("wch_1")
    assert (view.watch.state, view.polls, view.delivery.state, view.task_key) == ("completed", 3, "pending", 7)
    assert [each.id for each in await store.waiting()] == ["evt_1"]
    shown = await store.delivery_view("evt_1")
    assert (shown.delivery.body, [attempt.error for attempt in shown.log]) == (b"{}", ["HTTP 500"])
    assert await store.endpoints() == []
    kept = await store.add_endpoint(endpoint())
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
        assert connection.execute("SELECT count(*) > 5 FROM sqlite_stat1").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM pulse").fetchone() == (1,)
    again = await open_sqlite(path)
    assert await again.endpoints() == [kept]
    await again.close()


async def test_a_newer_store_is_refused_and_left_alone(path):
    """The message says what to do; the file can still be used by the newer version."""
    await (await open_sqlite(path)).close()
    _stamp(path, "9999")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreTooNewError, match=r"newer Notifier \(schema 9999; .*: upgrade Notifier, or restore"):
            await open_sqlite(path)
    assert path.read_bytes() == before


def _stamp(path, revision):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


async def test_a_migration_that_breaks_off_leaves_nothing(path, monkeypatch):
    """All or nothing: the next start finds the file as it was before."""

    def break_off(connection, *, store):
        migrate(connection, store=store)
        raise KeyboardInterrupt

    monkeypatch.setattr("notifier.adapters.stores.sqlite.migrate", break_off)
    with pytest.raises(KeyboardInterrupt):
        await open_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        assert connection.execute("PRAGMA application_id").fetchone() == (0,)
    monkeypatch.undo()
    await (await open_sqlite(path)).close()


async def test_migrating_says_nothing(path, caplog):
    """No line of a library's own in the daemon's log, at whatever level that is."""
    caplog.set_level("DEBUG")
    await (await open_sqlite(path)).close()
    assert [record.name for record in caplog.records if record.name.startswith(("alembic", "sqlalchemy"))] == []
