"""Migrations: from every older store to this one, and never back."""

import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Identity, create_engine
from structlog.testing import capture_logs

from notifier.adapters.stores import migrate as migrations
from notifier.adapters.stores.errors import StoreError, StoreTooNewError
from notifier.adapters.stores.migrate import _SCRIPTS, migrate
from notifier.adapters.stores.schema import ONLY_POSTGRESQL, metadata
from notifier.adapters.stores.sqlite import APPLICATION_ID, open_sqlite
from notifier.ports import Space
from tests.contract.stores.building import T0, Announcer, registration
from tests.contract.stores.test_endpoints import endpoint
from tests.small_disk import small_disk


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notifier.db"


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
async def test_migrating_an_empty_file_builds_the_schema(path):
    """Tables, columns, types and indexes are those of schema.py: what one gains without the other shows here."""
    await (await open_sqlite(path)).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert [each for each in compare_metadata(context, metadata) if not _postgresql_only(each)] == []
    engine.dispose()


def _postgresql_only(difference):
    """Numbered columns, for which SQLite has row numbers, and indexes; the next test compares those of SQLite."""
    if isinstance(difference, list):
        return all(isinstance(each[-1], Identity) for each in difference)
    return difference[0] == "add_index" and difference[1].name in {index.name for index in ONLY_POSTGRESQL}


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
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)
        assert connection.execute("SELECT count(*) > 5 FROM sqlite_stat1").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM pulse").fetchone() == (1,)
    again = await open_sqlite(path)
    assert await again.endpoints() == [kept]
    await again.close()


@pytest.mark.parametrize(
    ("urls", "kind", "age"),
    [
        ('["https://cdn.example/1.mp4"]', "task.completed", datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)),
        ('["https://cdn.example/1.mp4"]', "task.abandoned", None),
        (None, "task.completed", None),
    ],
)
async def test_result_urls_that_were_told_before_have_an_age(path, urls, kind, age):
    """So that those of an old delivery are asked for again; a delivery without URLs has none."""
    _write_0001(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tasks SET ended_at = 5000000, urls = ?", (urls,))
        connection.execute("UPDATE deliveries SET type = ?", (kind,))
    store = await open_sqlite(path)
    delivery = await store.delivery("evt_1")
    await store.close()
    assert (delivery.urls_at, delivery.urls_expire_at) == (age, None)


async def test_a_table_that_is_built_anew_keeps_its_references_and_uses_no_key_twice(path):
    """What refers to a task still does, and the key of a task that is gone is never given to another."""
    _write_0001(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO tasks (key, provider, task_id, state) VALUES (41, 'videos', 'gone', 'idle')")
        connection.execute("DELETE FROM tasks WHERE key = 41")
    store = await open_sqlite(path)
    (new,) = await store.register([registration(2, task="vid_new")], T0, Announcer())
    assert new.view.task_key == 42
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


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

    def break_off(connection, **told):
        migrate(connection, **told)
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


# An upgrade keeps what was there before

HISTORY = sorted((Path(__file__).parent / "history").glob("*.sql"))
"""Stores as earlier versions wrote them, as SQL; each is named after its schema."""
LATER = """
from alembic import op
import sqlalchemy as sa
revision = "9001"
down_revision = {newest!r}


def upgrade():
    op.add_column("pulse", sa.Column("later", sa.Text))
"""


@pytest.fixture
def later(tmp_path, monkeypatch):
    """This version, one migration on."""
    known = migrations._SCRIPTS
    scripts = tmp_path / "migrations"
    shutil.copytree(known, scripts)
    newest = max(each.name[:4] for each in (known / "versions").glob("[0-9]*.py"))
    (scripts / "versions" / "9001_later.py").write_text(LATER.format(newest=newest))
    return lambda: monkeypatch.setattr(migrations, "_SCRIPTS", scripts)


def schema_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


@pytest.mark.parametrize("written", HISTORY, ids=lambda path: path.stem)
async def test_a_store_of_every_earlier_version_is_taken_over(path, written):
    """What was watched is watched, what was owed is owed, and what had ended is known; the store of before is kept."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(written.read_text())
    outdated = schema_of(path)
    store = await open_sqlite(path)
    counts = await store.counts()
    assert counts.watches == {"watching": 2, "completed": 1, "failed": 1, "abandoned": 1, "cancelled": 1}
    assert counts.deliveries == {"pending": 1, "delivered": 1, "exhausted": 1}
    assert sorted(task.task_id for task in await store.watched({})) == ["vid_1", "vid_6"]
    (waiting,) = await store.waiting()
    assert b'"vid_4"' in (await store.delivery(waiting.id)).body
    await store.close()
    copies = [each.name for each in path.parent.glob("*.before-*")]
    assert copies == ([] if schema_of(path) == outdated else [f"notifier.db.before-{schema_of(path)}"])


async def test_an_upgrade_keeps_a_copy_and_says_where(path, later):
    """For its owner only, complete, of the schema that was; made once, at the upgrade."""
    store = await open_sqlite(path)
    await store.register([registration(1)], T0, Announcer())
    await store.close()
    before = schema_of(path)
    later()
    with capture_logs() as lines:
        await (await open_sqlite(path)).close()
    copy = path.with_name("notifier.db.before-9001")
    begun, line = lines
    assert (begun["event"], begun["schema"], begun["upgrade"]) == ("store.upgrading", before, "9001")
    assert begun["log_level"] == "info"
    assert begun["bytes_needed"] > 3 * begun["bytes"] > 0
    assert (line["event"], line["copy"], line["schema"], line["upgrade"]) == ("store.copied", str(copy), before, "9001")
    assert (schema_of(path), schema_of(copy)) == ("9001", before)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT count(*) FROM watches").fetchone() == (1,)
    copy.unlink()
    await (await open_sqlite(path)).close()
    assert not copy.exists()


async def test_the_copy_is_the_way_back(path, later, monkeypatch):
    """Put in the place of the upgraded store it is what the older version opens; a later upgrade makes a newer copy."""
    await (await open_sqlite(path)).close()
    later()
    await (await open_sqlite(path)).close()
    monkeypatch.undo()
    with pytest.raises(StoreTooNewError, match=r"restore the copy from before the upgrade \(.*notifier\.db\.before-"):
        await open_sqlite(path)
    copy = path.with_name("notifier.db.before-9001")
    shutil.copy(copy, path)
    store = await open_sqlite(path)
    await store.register([registration(1)], T0, Announcer())
    await store.close()
    later()
    await (await open_sqlite(path)).close()
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT count(*) FROM watches").fetchone() == (1,)


async def test_a_new_store_is_not_copied(path, later):
    """There is nothing to go back to."""
    later()
    await (await open_sqlite(path)).close()
    assert [each.name for each in path.parent.glob("*.before-*")] == []


async def test_without_room_for_the_copy_nothing_is_upgraded(tmp_path, later):
    """The refusal says what it was for, how much it takes and what to do; with room the next start upgrades."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        path = disk / "notifier.db"
        store = await open_sqlite(path)
        await store.register([registration(n, task=f"vid_{n}") for n in range(500)], T0, Announcer())
        await store.close()
        before = schema_of(path)
        filler = disk / "filler"
        filler.write_bytes(bytes((1 << 20) - path.stat().st_size - 100 * 1024))
        later()
        with pytest.raises(StoreError, match=r"upgraded to schema 9001, and is copied before, which failed: .*free;"):
            await open_sqlite(path)
        assert schema_of(path) == before
        filler.unlink()
        await (await open_sqlite(path)).close()
        assert schema_of(path) == "9001"


async def test_an_upgrade_on_a_full_disk_is_warned_of_and_tried(path, later, monkeypatch):
    """Not every upgrade needs so much room, and one that breaks off has changed nothing."""
    await (await open_sqlite(path)).close()
    later()
    monkeypatch.setattr("notifier.adapters.stores.sqlite._space", lambda _: Space(10_000_000, 32_000_000))
    with capture_logs() as lines:
        await (await open_sqlite(path)).close()
    assert (lines[0]["event"], lines[0]["log_level"]) == ("store.upgrading", "warning")
    assert lines[0]["hint"].startswith("up to 31.0 MiB are needed for a while, and 30.5 MiB are free")
    assert schema_of(path) == "9001"
