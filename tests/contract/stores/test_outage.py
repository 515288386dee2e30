"""What is told of a store that takes no writes: once when it begins, once when it is over, and of which kind it is."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from notifier.adapters.stores import hints, outage
from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.sqlite import open_sqlite
from notifier.ports import Page, StoreUnavailableError
from tests.contract.stores.building import T0, Announcer, registration


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notifier.db"


@pytest.fixture
async def store(path):
    store = await open_sqlite(path, busy_timeout=0.05)
    yield store
    await store.close()


async def refused(store) -> str:
    with pytest.raises(StoreUnavailableError) as caught:
        await store.ping()
    assert caught.value.fault == store.fault()
    return caught.value.fault


def told(lines) -> list[tuple[str, str]]:
    return [(line["event"], line.get("reason") or line.get("after")) for line in lines]


async def test_an_outage_is_two_lines_however_often_it_is_tried(path, store):
    """With what was refused meanwhile, and a hint."""
    with capture_logs() as lines, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert [await refused(store) for _ in range(3)] == ["locked"] * 3
        other.execute("ROLLBACK")
        await store.ping()
        await store.ping()
    assert told(lines) == [("store.unavailable", "locked"), ("store.available", "locked")]
    assert (lines[0]["log_level"], lines[1]["refused"]) == ("error", 3)
    assert "holds its lock" in lines[0]["error"]
    assert store.fault() is None


async def test_another_reason_is_another_line(path, store):
    """Whoever looks into the log sees what is the matter now."""
    elsewhere = path.with_name("elsewhere.db")
    with capture_logs() as lines, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert await refused(store) == "locked"
        path.rename(elsewhere)
        assert await refused(store) == "missing"
        elsewhere.rename(path)
        other.execute("ROLLBACK")
        await store.ping()
    assert told(lines) == [
        ("store.unavailable", "locked"),
        ("store.unavailable", "missing"),
        ("store.available", "missing"),
    ]


async def test_a_store_that_comes_and_goes_is_not_told_of_each_time(monkeypatch):
    """Once a minute at most, and as available only after it was told to be unavailable."""
    state = Outage()
    full = StoreUnavailableError("disk full", "full")
    with capture_logs() as lines:
        for _ in range(10):
            state.refused(full)
            assert state.fault == "full"
            state.took()
        monkeypatch.setattr(outage, "SAY_AGAIN_SECONDS", 0.0)
        state.refused(full)
    assert told(lines) == [("store.unavailable", "full"), ("store.available", "full"), ("store.unavailable", "full")]


async def test_a_file_that_has_become_read_only_is_told_as_such(store):
    """SQLite's own switch stands in for a file system that was mounted anew."""
    fixed = True

    def fix(connection):
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if fixed else 'OFF'}")

    event.listen(store._writer._engine, "begin", fix)
    assert await refused(store) == "read-only"
    fixed = False
    await store.ping()


async def test_damage_that_a_reader_finds_is_an_outage_that_stays(path, store):
    """Most writes may go well around it, but nobody should rely on what is left."""
    wanted = [registration(n, task=f"vid_{n}", metadata='"' + "x" * 2000 + '"') for n in range(200)]
    await store.register(wanted, T0, Announcer())
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'watches'").fetchone()[0]
    await store.close()
    store = await open_sqlite(path, busy_timeout=0.05)
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)
    with capture_logs() as lines:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="malformed"):
                await store.watches(Page())
            assert await refused(store) == "damaged"
    assert told(lines) == [("store.unavailable", "damaged")]
    await store.close()


async def test_a_store_that_is_closed_is_no_outage(path):
    """A stop is told as a stop."""
    store = await open_sqlite(path)
    await store.close()
    with capture_logs() as lines:
        for ask in (store.ping, store.counts):
            with pytest.raises(StoreUnavailableError, match="closed"):
                await ask()
    assert lines == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"),
        (sqlite3.SQLITE_FULL, "full"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "full"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "read-only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "missing"),
        (sqlite3.SQLITE_CANTOPEN_FULLPATH, "missing"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "damaged"),
        (sqlite3.SQLITE_NOTADB, "damaged"),
        (sqlite3.SQLITE_IOERR_FSYNC, "failing"),
        (None, "failing"),
    ],
)
def test_every_error_is_of_one_kind(code, fault):
    """SQLite's codes in words that can be shown to anybody."""
    error = sqlite3.OperationalError("trouble")
    if code is not None:
        error.sqlite_errorcode = code
    assert hints.fault(error) == fault


async def test_the_store_says_how_much_room_it_takes_and_has(path, store):
    """With its log; a store whose file is gone takes no more than that."""
    space = await store.space()
    sizes = [each.stat().st_size for each in (path, path.with_name("notifier.db-wal")) if each.exists()]
    assert space.used == sum(sizes) > 0
    assert space.free is not None
    assert space.free > 0


async def test_room_on_a_disk_that_is_gone_is_not_known(path, store):
    """Whoever asks how the daemon does is to learn what is wrong, not to get an error."""
    away = path.parent.with_name(path.parent.name + "-away")
    path.parent.rename(away)
    space = await store.space()
    away.rename(path.parent)
    assert (space.used, space.free) == (0, None)


async def test_slow_writes_do_not_make_an_outage(store):
    """A caller that gives up waiting says nothing about the store."""
    with capture_logs() as lines, pytest.raises(TimeoutError):
        await asyncio.wait_for(store._writer.write(lambda on: asyncio.run(asyncio.sleep(0.2))), 0.05)
    assert lines == []
    assert store.fault() is None
