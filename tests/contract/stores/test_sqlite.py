"""The embedded store's own promises: whose file it is, what goes wrong with files and disks, and how it passes."""

import asyncio
import errno
import os
import resource
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from notifier.adapters.stores import catalog, hints
from notifier.adapters.stores.errors import StoreBusyError, StoreError
from notifier.adapters.stores.lists import MOST_LISTS
from notifier.adapters.stores.sqlite import LIST_READERS, open_sqlite
from notifier.adapters.stores.store import SqlStore
from notifier.ports import Page, StoreUnavailableError, TooManyListsError, WatchPage
from tests.contract.stores.building import (
    DAY,
    T0,
    Announcer,
    at,
    completed,
    declaration,
    delivered,
    nothing_known,
    registration,
)
from tests.contract.stores.building import watch_id as wid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notifier.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    store = await open_sqlite(path, busy_timeout=0.05)
    yield store
    await store.close()


async def register(store: SqlStore, *numbers: int):
    return await store.register([registration(n, task=f"vid_{n}") for n in numbers], T0, Announcer())


async def watching(store: SqlStore) -> int:
    return (await store.counts()).watches["watching"]


# The file


async def test_only_its_owner_may_read_the_store(path, store):
    """Callback URLs and answers are nobody else's business: file, log and lock have mode 0600."""
    await register(store, 1)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {path.name + end: 0o600 for end in ("", "-wal", "-shm", ".lock")}


async def test_a_store_that_others_could_read_is_mended(path):
    """Created by hand or copied with another mode: when it is opened again file and log are 0600, and stay so."""
    await (await open_sqlite(path)).close()
    path.chmod(0o664)
    store = await open_sqlite(path, busy_timeout=0.05)
    await register(store, 1)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {path.name + end: 0o600 for end in ("", "-wal", "-shm", ".lock")}
    await store.close()


async def test_a_log_left_by_a_killed_daemon_is_mended_too(path, tmp_path):
    """With the mode that the file had when it was written."""
    store = await open_sqlite(path)
    await register(store, 1)
    killed = tmp_path / "copy" / path.name
    killed.parent.mkdir()
    for end in ("", "-wal"):
        killed.with_name(killed.name + end).write_bytes(path.with_name(path.name + end).read_bytes())
        killed.with_name(killed.name + end).chmod(0o644)
    await store.close()
    store = await open_sqlite(killed)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in killed.parent.iterdir()}
    await store.close()
    assert modes == {0o600}


async def test_a_store_that_cannot_be_mended_is_named(path, monkeypatch):
    """Somebody else's file cannot be given another mode: the daemon works on and says what to do."""
    await (await open_sqlite(path)).close()
    path.chmod(0o644)

    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with capture_logs() as lines:
        await (await open_sqlite(path)).close()
    assert [(line["event"], line["file"]) for line in lines][:1] == [("store.exposed", str(path))]
    assert "chmod 600" in lines[0]["hint"]


async def test_a_closed_store_is_one_file(path):
    """At the stop the log is emptied into the file, so that copying the file copies the store."""
    store = await open_sqlite(path)
    await register(store, 1)
    await store.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["notifier.db", "notifier.db.lock"]


async def test_any_file_name_will_do(tmp_path):
    """A name is a name, whatever it would mean in a URI."""
    path = tmp_path / "ä no?tifier#1 50%.db"
    store = await open_sqlite(path)
    await register(store, 1)
    await store.close()
    assert path.stat().st_size > 0


async def test_a_commit_is_synced(store):
    """Write-ahead log and `synchronous=FULL`: what a caller was told survives a power cut."""
    pragmas = await store._writer.write(lambda on: [_pragma(on, name) for name in ("journal_mode", "synchronous")])
    assert pragmas == ["wal", 2]


def _pragma(connection, name):
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


# What cannot be opened


async def test_a_missing_folder_is_named(tmp_path):
    """The message says what to do."""
    with pytest.raises(StoreError, match=f"create it: mkdir -p {tmp_path}/no/where$"):
        await open_sqlite(tmp_path / "no" / "where" / "notifier.db")


async def test_a_folder_is_no_file(tmp_path):
    """The message shows a path that would do."""
    with pytest.raises(StoreError, match=f"is a folder.*{tmp_path}/notifier.db"):
        await open_sqlite(tmp_path)


async def test_what_is_no_database_is_left_alone(path):
    """Neither opened nor changed."""
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreError, match=r"not a database.*no SQLite database; restore a backup"):
        await open_sqlite(path)
    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_another_programs_database_is_left_alone(path):
    """A file with tables that are not ours is not migrated."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE tasks (title TEXT)")
    with pytest.raises(StoreError, match="another program's database; give Notifier a file of its own"):
        await open_sqlite(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("tasks",)]


async def test_a_damaged_file_is_named(path):
    """An error that says so, and what to do; not a crash later."""
    store = await open_sqlite(path)
    await register(store, *range(100))
    await store.close()
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    with pytest.raises(StoreError, match=r"malformed.*restore a backup"):
        await open_sqlite(path)


async def test_a_store_that_could_not_be_opened_is_not_locked(path):
    """Once the reason is gone it can be opened by the same process."""
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StoreError):
        await open_sqlite(path)
    path.unlink()
    await (await open_sqlite(path)).close()


async def test_a_store_that_is_locked_at_the_start_can_be_opened_later(path):
    """A lock that keeps a new store from being made is told as such, and this process lets go of what it had taken."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="database is locked; another program"):
            await open_sqlite(path, busy_timeout=0.05)
    await (await open_sqlite(path)).close()


async def test_a_store_that_is_up_to_date_is_opened_without_writing(path):
    """Another program's write lock does not keep a daemon from starting; writes go well once that lets go."""
    before = await open_sqlite(path)
    await register(before, 1)
    await before.close()
    content = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store = await open_sqlite(path, busy_timeout=0.05)
        assert await watching(store) == 1
        other.execute("ROLLBACK")
    assert path.read_bytes() == content
    assert (await register(store, 2))[0].created
    await store.close()


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "make /var/n.db writable for this user"),
        (errno.ENOSPC, "free some space on its disk"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EROFS, "mounted read-only"),
        (errno.EOPNOTSUPP, "keep the store on a local disk"),
        (errno.EIO, "kernel's log"),
    ],
)
def test_a_hint_fits_the_systems_error(number, hint):
    """Nobody is sent to change permissions because a disk is full."""
    told = hints.of_system(OSError(number, os.strerror(number)), Path("/var/n.db"))
    assert told.startswith(os.strerror(number))
    assert hint in told


async def test_a_locked_store_is_given_up_before_its_clients_give_up(path):
    """Clients of the intake usually wait for 5 s: the store waits for a lock for less than half of that."""
    store = await open_sqlite(path)
    assert await store._writer.write(lambda on: _pragma(on, "busy_timeout")) == 2000
    await store.close()


# One daemon


async def test_a_store_serves_one_daemon(path, store):
    """The second is refused, and told who has it; once it is closed it is free."""
    with pytest.raises(StoreBusyError, match=f"in use by process {os.getpid()}: .*another store.url"):
        await open_sqlite(path)
    await register(store, 1)
    await store.close()
    again = await open_sqlite(path)
    assert await watching(again) == 1
    await again.close()


async def test_another_name_of_the_file_does_not_help(path, store):
    """A link leads to the same file, and to the same lock."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(StoreBusyError):
        await open_sqlite(link)


_HOLDER = """
import asyncio, sys
from pathlib import Path
from notifier.adapters.stores.sqlite import open_sqlite
from tests.contract.stores.building import registration, T0, Announcer

async def hold():
    store = await open_sqlite(Path(sys.argv[1]))
    await store.register([registration(1)], T0, Announcer())
    print("held", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_a_killed_daemon_leaves_its_store_free_and_whole(path):
    """After kill -9 the next one opens it at once and finds what was committed."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLDER, str(path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    try:
        assert await holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusyError, match=f"process {holder.pid}:"):
            await open_sqlite(path)
    finally:
        holder.send_signal(signal.SIGKILL)
        await holder.wait()
        holder._transport.close()
    store = await open_sqlite(path)
    assert await watching(store) == 1
    await store.close()


# Trouble, and its end


async def test_a_locked_database_is_unavailable_until_it_is_not(path, store):
    """Nothing of a refused write happened; reading goes on; the next write after the lock is gone goes well."""
    await register(store, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        results = await asyncio.gather(register(store, 2), store.ping(), return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailableError] * 2
        assert str(results[0]) == (
            f"{path}: database is locked; another program holds its lock; it works again as soon as that lets go"
        )
        assert results[0] is not results[1]
        assert await watching(store) == 1
        other.execute("ROLLBACK")
    assert (await register(store, 2))[0].created


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: writing more fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_write_that_the_disk_does_not_take_did_not_happen(path, store):
    """When the log cannot grow the commit fails as a whole; once it can, all goes on where it was."""
    await register(store, *range(100))
    with files_end_at(path.with_name(path.name + "-wal").stat().st_size):
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="disk"):
                await register(store, *range(100, 600))
        assert await watching(store) == 100
    assert all(result.created for result in await register(store, *range(100, 600)))
    await store.close()
    again = await open_sqlite(path)
    assert await watching(again) == 600
    await again.close()


async def test_a_full_disk_says_what_to_do(store, path):
    """SQLite's own limit on pages stands in for the disk's end."""
    full = True

    def fill(connection):
        if full:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")

    event.listen(store._writer._engine, "begin", fill)
    with pytest.raises(StoreUnavailableError, match=f"^{path}: database or disk is full; free some space on its disk$"):
        await register(store, *range(2000))
    full = False
    assert len(await register(store, *range(2000))) == 2000


async def test_a_commit_that_fails_is_undone(path, store):
    """All work done, and the commit itself refused: nothing of the whole group is there, no transaction stays open."""
    failing = True

    def refuse(_connection):
        if failing:
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

    event.listen(store._writer._engine, "commit", refuse)
    results = await asyncio.gather(register(store, 1), register(store, 2), return_exceptions=True)
    assert [str(result) for result in results] == [f"{path}: disk I/O error"] * 2
    assert await watching(store) == 0
    failing = False
    assert (await register(store, 1))[0].created


async def test_a_missing_file_is_not_replaced_behind_the_daemons_back(path, store):
    """Writes into a deleted file would be lost: they are refused until it is back; no new file is made."""
    await register(store, 1)
    elsewhere = path.rename(path.with_name("elsewhere.db"))
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"; put (the file|it) back$"):
            await register(store, 2)
    assert not path.exists()
    elsewhere.rename(path)
    assert (await register(store, 2))[0].created


async def test_another_file_in_its_place_is_not_written_to(path, store):
    """It has not what this daemon knows; a restart sorts it out."""
    await register(store, 1)
    elsewhere = path.rename(path.with_name("elsewhere.db"))
    path.write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match="another file than the one that was opened; restart"):
        await register(store, 2)
    assert path.read_bytes() == b""
    elsewhere.replace(path)


async def test_readers_cannot_write(store):
    """A read that would change something is refused by the database itself."""
    with pytest.raises(StoreUnavailableError, match="readonly"):
        await store._reader.read(lambda on: on.exec_driver_sql("DELETE FROM pulse"))


@pytest.fixture
async def listing(store, monkeypatch):
    """As many lists as there may be, none of which ends before the test does."""
    loop, busy, over = asyncio.get_running_loop(), asyncio.Semaphore(0), asyncio.Event()

    def slow(*_):
        loop.call_soon_threadsafe(busy.release)
        asyncio.run_coroutine_threadsafe(over.wait(), loop).result()
        return WatchPage((), None)

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "watches_page", slow)
        lists = [asyncio.ensure_future(store.watches(Page())) for _ in range(MOST_LISTS)]
        for _ in range(LIST_READERS):
            await busy.acquire()
        yield lists
        over.set()
        await asyncio.gather(*lists)


@pytest.mark.usefixtures("listing")
async def test_slow_lists_delay_no_work(store):
    """Writing goes on, and so does reading what is to be polled and delivered."""
    async with asyncio.timeout(10):
        assert (await register(store, 1))[0].created
        assert len(await store.watched({})) == 1
        assert await store.waiting() == []
        assert await store.delivery("evt_1") is None
        assert await store.endpoints() == []


async def test_lists_do_not_queue_without_end(store, listing):
    """One more is refused at once, with no word of an outage, while counts wait their turn; there is room when one is
    given up."""
    with capture_logs() as lines:
        for ask in (store.watches, store.deliveries):
            with pytest.raises(TooManyListsError, match="ask again"):
                await ask(Page())
    assert lines == []
    counts = asyncio.ensure_future(store.counts())
    listing.pop().cancel()
    listing.append(counts)
    await asyncio.sleep(0)
    listing.append(asyncio.ensure_future(store.deliveries(Page())))
    await asyncio.sleep(0)
    assert not any(one.done() for one in listing)


# Speed that depends on how a statement is run


async def test_no_statement_reads_a_whole_table(store):
    """However many rows there are, what a daemon does all day finds its rows by an index of their own.

    Lists walk down the newest rows until the page is full, counts read one small index, start and retention read all
    that is watched or over: nothing else may go through a table or through all watches of a state.
    """
    seen: dict[str, object] = {}

    def see(_connection, _cursor, statement, parameters, _context, many):
        seen.setdefault(statement, parameters[0] if many else parameters)

    for engine in (store._writer._engine, store._reader._engine):
        event.listen(engine, "before_cursor_execute", see)
    await _a_busy_day(store)
    asked = {statement: seen[statement] for statement in seen if statement.startswith(("SELECT", "UPDATE", "DELETE"))}
    assert len(asked) > 20
    for run in (store._writer.write, store._reader.read):
        for statement, plan in (await run(lambda on: [(each, _plan(on, each, asked[each])) for each in asked])):
            assert not [step for step in plan if step.startswith("SCAN") and "anon_1" not in step], statement
            assert "ix_watches_state_seq" not in "".join(plan), statement


def _plan(connection, statement, parameters):
    return [row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, tuple(parameters))]


async def _a_busy_day(store: SqlStore) -> None:
    """Everything but `watched`, `waiting`, `counts` and lists without a task or watch."""
    announcer = Announcer()
    await register(store, *range(9))
    first, second, *_ = await register(store, *range(9))
    tasks = {task.task_id: task for task in (await _tasks_quietly(store))}
    (owed,) = await store.end(completed(tasks["vid_0"]), announcer)
    await store.expire(tasks["vid_1"], at(2 * DAY), announcer)
    await store.cancel(second.view.watch.id, T0, nothing_known)
    await store.cancel(wid(3), T0, nothing_known)
    again = [registration(20 + n, task=f"vid_{n}", url=f"https://x.example.com/{n}") for n in range(5)]
    await store.register(again, T0, announcer)
    await store.save([tasks["vid_7"]])
    await store.delivery(owed.id)
    await store.settle(*delivered(owed))
    await store.redeliver(owed.id, T0)
    await store.delivery_view(owed.id)
    for page in (Page(), Page(5, 3)):
        await store.watches(page, state="watching", task_id="vid_1")
        await store.watches(page, provider="videos", task_id="vid_1")
        await store.deliveries(page, watch_id=first.view.watch.id, state="pending")
    await store.watch(wid(1))
    await store.clean(at(10**9))


async def _tasks_quietly(store: SqlStore):
    """The tasks without asking the store for all that is watched: each is registered once more at another URL."""
    url = "https://quiet.example.com/"
    wanted = [registration(50 + n, task=f"vid_{n}", url=url) for n in range(9)]
    results = await store.register(wanted, T0, Announcer())
    for result in results:
        await store.cancel(result.view.watch.id, T0, nothing_known)
    return [result.task for result in results]


async def test_declaring_reads_only_what_was_declared(path, store):
    """Reconciling looks at the declared watches, by an index that holds no others."""
    await store.declare([declaration(1)], T0, Announcer(), nothing_known)
    with closing(sqlite3.connect(path)) as connection:
        query = "EXPLAIN QUERY PLAN SELECT id FROM watches WHERE declared IS 1"
        plan = [row[3] for row in connection.execute(query)]
    assert plan == ["SCAN watches USING INDEX ix_watches_declared"]
