"""A disk that is full, small as a tmpfs can be: what fails fails as a whole, and all goes on once there is room."""

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.sqlite import open_sqlite
from notifier.adapters.stores.store import SqlStore
from notifier.domain.task import Task
from notifier.ports import StoreUnavailableError
from tests.contract.stores.building import T0, Announcer, completed, registration, watch_id
from tests.small_disk import small_disk

FULL = "database or disk is full; free some space on its disk"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    with small_disk(tmp_path / "disk", "1m") as folder:
        yield folder


def fill(disk: Path) -> Path:
    """A file that takes all that is left, to the last page."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0
    return filler


async def open_store(disk: Path) -> SqlStore:
    """With a reader at work, as a daemon has: the writer's connection is never the last one, which cuts the log."""
    store = await open_sqlite(disk / "notifier.db", busy_timeout=0.05)
    await store.counts()
    return store


async def polled(store: SqlStore, count: int) -> list[Task]:
    wanted = [registration(number, task=f"vid_{number}") for number in range(count)]
    return [result.task for result in await store.register(wanted, T0, Announcer())]


async def outcome(write: Awaitable[object]) -> str | None:
    """Why the store did not take it, or None."""
    try:
        await write
    except StoreUnavailableError as error:
        return str(error)
    return None


def ended(task: Task) -> Task:
    """With an answer of 8 KiB, so that an end takes more room than the log's last page has."""
    return replace(completed(task), response='"' + "x" * 8192 + '"')


async def test_ends_that_found_no_room_are_taken_within_a_second_of_there_being_some(disk):
    """While the disk is full every one of them is refused and nothing of it is there; afterwards all succeed."""
    store = await open_store(disk)
    tasks = await polled(store, 20)
    filler = fill(disk)
    for _ in range(3):
        ends = [store.end(ended(task), Announcer()) for task in tasks]
        refused = await asyncio.gather(*ends, return_exceptions=True)
        assert [type(error) for error in refused] == [StoreUnavailableError] * 20
    assert len(await store.watched({})) == 20
    filler.unlink()
    started = time.monotonic()
    owed = await asyncio.gather(*(store.end(ended(task), Announcer()) for task in tasks))
    assert time.monotonic() - started < 1
    assert [len(deliveries) for deliveries in owed] == [1] * 20
    await store.close()


async def test_the_log_makes_room_for_the_next_write(disk):
    """What the log holds goes into the database when the disk is full, and the log is cut: what needs no more room
    than that is written, although the disk is as full as before."""
    store = await open_store(disk)
    await polled(store, 20)
    for _ in range(20):
        await store.ping()
    fill(disk)
    pings = [await outcome(store.ping()) for _ in range(20)]  # the log's last page may take some
    assert [error for error in pings if error is not None]
    assert all(error.endswith(FULL) for error in pings if error is not None)
    assert pings[pings.index(next(filter(None, pings))) + 1] is None
    await store.close()


async def test_a_log_that_fills_a_small_disk_does_not_fill_it_for_good(disk):
    """Where the log alone takes what is left long before it is due to be emptied, no write fails twice."""
    store = await open_store(disk)
    (task,) = await polled(store, 1)
    told = [replace(task, polls=number, response=f'"{number:020000}"') for number in range(10, 100)]
    await store.save(told[:1])
    await store.close()  # by which the database is as large as it has to be: equal sizes are written over each other
    store = await open_store(disk)
    (disk / "others").write_bytes(bytes(500 * 1024))
    refused = [task for task in told if await outcome(store.save([task])) is not None]
    assert refused
    assert not [before for before, after in itertools.pairwise(refused) if after.polls == before.polls + 1]
    await store.save(told[-1:])
    assert (await store.watch(watch_id(0))).polls == 99
    await store.close()


async def test_a_daemon_killed_on_a_full_disk_can_start_on_it(disk):
    """Neither the lock nor a look at what is there needs room, and what fits is written."""
    store = await open_store(disk)
    await polled(store, 20)
    copies = {name: (disk / name).read_bytes() for name in ("notifier.db", "notifier.db-wal", "notifier.db-shm")}
    await store.close()
    for name, content in copies.items():  # as kill -9 leaves them
        (disk / name).write_bytes(content)
    (disk / "notifier.db.lock").unlink()
    (disk / "notifier.db.lock").touch()
    filler = fill(disk)
    store = await open_store(disk)
    assert len(await store.watched({})) == 20
    assert (disk / "notifier.db.lock").read_bytes() == b""
    filler.unlink()
    await store.ping()
    await store.close()


async def test_a_store_that_cannot_be_made_for_want_of_room_says_so(disk):
    """The hint is about space, not about permissions or broken disks."""
    filler = fill(disk)
    with pytest.raises(StoreError, match=r"free some space on its disk$"):
        await open_store(disk)
    filler.unlink()
    await (await open_store(disk)).close()


async def test_a_store_that_was_closed_is_opened_on_a_full_disk_or_says_why(disk):
    """Without room for the index of its log SQLite cannot open it; the hint is about space."""
    await (await open_store(disk)).close()
    filler = fill(disk)
    with pytest.raises(StoreError, match=r"free some space on its disk$"):
        await open_store(disk)
    filler.unlink()
    await (await open_store(disk)).close()
