"""Copies of a store in use: consistent, whole or not there, and nothing of the store's own is touched."""

import asyncio
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from notifier.adapters.stores import backup
from notifier.adapters.stores.backup import copy_store
from notifier.adapters.stores.errors import StoreBusyError, StoreError
from notifier.adapters.stores.sqlite import open_sqlite
from tests.contract.stores.building import T0, Announcer, registration
from tests.small_disk import small_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notifier.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "copy.db"


async def register(store, *numbers: int):
    return await store.register([registration(n, task=f"vid_{n}") for n in numbers], T0, Announcer())


async def watching(path: Path) -> int:
    """How many watches a daemon finds that is started on this file."""
    store = await open_sqlite(path)
    counts = await store.counts()
    await store.close()
    return counts.watches["watching"]


def nothing_beside(target: Path) -> bool:
    return [each.name for each in target.parent.iterdir()] in ([], [target.name])


async def test_a_copy_is_made_while_the_store_is_in_use(path, target, monkeypatch):
    """It is the store of one moment, although writes go on between its pages; they wait for nothing, and the store
    stays this daemon's."""
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 1)
    store = await open_sqlite(path)
    await register(store, *range(2000))
    copying = asyncio.create_task(asyncio.to_thread(copy_store, path, target))
    number = 2000
    while not copying.done():
        await register(store, number, number + 1)
        number += 2
    assert await copying == target.stat().st_size
    with pytest.raises(StoreBusyError):
        await open_sqlite(path)
    await store.close()
    assert await watching(path) == number > 2002
    with closing(sqlite3.connect(target)) as copy:
        copied = {table: copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("tasks", "watches")}
    assert copied["tasks"] == copied["watches"] >= 2000
    assert copied["watches"] % 2 == 0
    assert await watching(target) == copied["watches"]


async def test_a_copy_is_one_file_for_its_owner_only(path, target):
    """With what only the write-ahead log holds so far, and without a log of its own."""
    store = await open_sqlite(path)
    await register(store, 1)
    copy_store(path, target)
    await register(store, 2)
    assert nothing_beside(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert await watching(target) == 1
    await store.close()


async def test_a_closed_store_is_copied_too(path, target):
    """The file is as it was before, and the next daemon starts on it."""
    store = await open_sqlite(path)
    await register(store, 1)
    await store.close()
    before = path.read_bytes()
    copy_store(path, target)
    assert path.read_bytes() == before
    assert await watching(path) == await watching(target) == 1


async def test_progress_is_told_in_pages(path, target):
    """Up to the last one."""
    store = await open_sqlite(path)
    told: list[tuple[int, int]] = []
    copy_store(path, target, progress=lambda copied, of: told.append((copied, of)))
    await store.close()
    assert told[-1][0] == told[-1][1] == target.stat().st_size // 4096


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
async def test_no_file_is_overwritten(path, target, monkeypatch, links):
    """Whatever is there stays, on file systems without hard links as well; unless that is asked for."""
    if not links:

        def refuse(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    await (await open_sqlite(path)).close()
    copy_store(path, target)
    target.write_bytes(b"precious")
    with pytest.raises(StoreError, match=r"copy\.db exists, and no backup overwrites a file: name another one"):
        copy_store(path, target)
    assert target.read_bytes() == b"precious"
    copy_store(path, target, overwrite=True)
    assert target.read_bytes().startswith(b"SQLite format 3")
    assert nothing_beside(target)


async def test_a_copy_that_breaks_off_leaves_nothing(path, target):
    """Neither the target nor a part of it."""
    await (await open_sqlite(path)).close()

    def interrupt(*_):
        (draft,) = target.parent.glob("*.part")
        for suffix in ("-wal", "-shm", "-journal"):
            draft.with_name(draft.name + suffix).touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_store(path, target, progress=interrupt)
    assert list(target.parent.iterdir()) == []


async def test_a_damaged_store_is_not_passed_on_as_a_backup(path, target):
    """What SQLite's check finds is told, with what to do; no file is made of it."""
    store = await open_sqlite(path)
    await register(store, *range(300))
    await store.close()
    content = bytearray(path.read_bytes())
    content[-40 * 4096 : -4096] = os.urandom(39 * 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"restore (a|an earlier) backup, or try sqlite3's \.recover"):
        copy_store(path, target)
    assert list(target.parent.iterdir()) == []


def test_what_is_no_store_is_not_copied(path, target):
    """A missing file, another program's database, and what is no database at all."""
    with pytest.raises(StoreError, match=f"there is no store at {path}"):
        copy_store(path, target)
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE tasks (title TEXT)")
    with pytest.raises(StoreError, match=r"no store of Notifier's; does store\.url name the right file\?"):
        copy_store(path, target)
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreError, match="not a database"):
        copy_store(path, target)
    assert list(target.parent.iterdir()) == []


async def test_a_disk_that_is_too_small_is_named(path, tmp_path):
    """Before anything is written on it, with the room that is needed."""
    store = await open_sqlite(path)
    await register(store, *range(2000))
    with small_disk(tmp_path / "small", "256k") as folder:
        with pytest.raises(StoreError, match=r"the copy takes [\d.]+ [KM]iB, and [\d.]+ KiB are free; free some space"):
            copy_store(path, folder / "copy.db")
        assert list(folder.iterdir()) == []
    await store.close()


async def test_a_folder_that_takes_no_files_is_named(path):
    """The system's reason, and what has to be writable."""
    await (await open_sqlite(path)).close()
    with pytest.raises(StoreError, match=r"cannot write /proc/copy\.db: .*make /proc writable"):
        copy_store(path, Path("/proc/copy.db"))
