"""The embedded store: one SQLite file, one daemon.

Commits are durable (write-ahead log, `synchronous=FULL`: fsync before a commit returns). The file is never created
behind the back of a running daemon: if it goes missing, writes fail until it is back.
"""

import asyncio
import contextlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import structlog
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

from notifier.adapters.stores import hints
from notifier.adapters.stores.backup import APPLICATION_ID, sync_folder
from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.figures import advise
from notifier.adapters.stores.lock import FileLock
from notifier.adapters.stores.migrate import examine, migrate
from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.privacy import keep_private
from notifier.adapters.stores.reader import Reader
from notifier.adapters.stores.store import SqlStore
from notifier.adapters.stores.transaction import Explain, transaction
from notifier.adapters.stores.upgrade import announce_upgrade, keep_copy
from notifier.adapters.stores.writer import Relieve, Writer
from notifier.ports import Space, StoreUnavailableError

log = structlog.get_logger()

BUSY_TIMEOUT_SECONDS = 2.0
"""Less than the 5 s after which many clients of the intake give up: they are to hear that the store is locked."""
LIST_READERS = 2
READERS = LIST_READERS + 1
"""One is the daemon's own: the deliveries and tasks that it works on wait for nobody's lists."""
CHECKPOINT_PAGES = 200
"""The write-ahead log goes into the database after this many pages of 4 KiB, so that it stays below 1 MiB or so."""
MAX_LOG_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a burst."""


async def open_sqlite(path: Path, *, busy_timeout: float = BUSY_TIMEOUT_SECONDS) -> SqlStore:
    """Create or migrate the file, and take it for this process. `busy_timeout` (seconds): how long to wait for other
    programs' locks. StoreError when the file cannot be used; the message says what to do."""
    return await asyncio.to_thread(_open, path, busy_timeout)


def _open(path: Path, busy_timeout: float) -> SqlStore:
    path = _real(path)
    lock = _take(path)
    engines: list[Engine] = []
    try:
        identity = _create(path)
        explain = _explainer(path)
        engines += [_engine(path, busy_timeout, writes=True), _engine(path, busy_timeout, writes=False)]
        _prepare(engines[0], engines[1], path)
        keep_private(path)
        _guard(engines[0], path, identity)
    except SQLAlchemyError as error:
        _let_go(engines, lock)
        raise StoreError(hints.of_sqlite(_cause(error), path)) from None
    except BaseException:
        _let_go(engines, lock)
        raise
    outage = Outage()
    writer = Writer(engines[0], explain, relieve=_reliever(engines[0]), outage=outage)
    reader = Reader(engines[1], explain, threads=READERS - LIST_READERS, outage=outage)
    lists = Reader(engines[1], explain, threads=LIST_READERS, outage=outage)

    async def release() -> None:
        await asyncio.to_thread(_let_go, engines, lock)

    return SqlStore(writer, reader, lists, release=release, outage=outage, space=lambda: _space(path))


# The file


def _real(path: Path) -> Path:
    """Where links lead to: the lock belongs to the file, whatever it is called."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder; store.url names a file: sqlite:///{path}/notifier.db")
    real = path.resolve()
    if not real.parent.is_dir():
        raise StoreError(f"the folder of {real} does not exist; create it: mkdir -p {real.parent}")
    return real


def _take(path: Path) -> FileLock:
    lock_path = path.with_name(path.name + ".lock")
    try:
        return FileLock.take(lock_path, store=str(path))
    except OSError as error:
        raise StoreError(f"cannot write {lock_path}: {hints.of_system(error, path.parent)}") from None


def _create(path: Path) -> tuple[int, int]:
    """Create the file, for its owner only, if it is not there; returns which file it is (device and inode)."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {hints.of_system(error, path)}") from None
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)
    return found.st_dev, found.st_ino


def _guard(engine: Engine, path: Path, identity: tuple[int, int]) -> None:
    """Refuse to begin when the file is no longer the one that was opened: what is written then is lost."""

    def check(connection: Connection) -> None:
        try:
            found = path.stat()
        except OSError as error:
            raise StoreUnavailableError(f"{path}: {error.strerror}; put the file back", "missing") from None
        if (found.st_dev, found.st_ino) != identity:
            other = f"{path} is another file than the one that was opened; restart the daemon"
            raise StoreUnavailableError(other, "missing")

    event.listen(engine, "begin", check, insert=True)


def _space(path: Path) -> Space:
    """With its write-ahead log. Only looked at, never opened: closing it would let go of SQLite's locks on it
    (https://sqlite.org/howtocorrupt.html, section 2.2)."""
    used = 0
    for part in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            used += part.stat().st_size
    try:
        return Space(used, shutil.disk_usage(path.parent).free)
    except OSError:  # the folder is gone; the store's own line in the log says so
        return Space(used, None)


# The database


def _engine(path: Path, busy_timeout: float, *, writes: bool) -> Engine:
    """Transactions begin when we say so: at once with the write lock, or with one consistent view for a reader."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",  # never creates a file
            uri=True,
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        try:
            for pragma in _pragmas(writes=writes):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    size = 1 if writes else READERS
    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # errors would quote them, and an endpoint's are secrets
    )
    event.listen(engine, "begin", begin)
    return engine


def _pragmas(*, writes: bool) -> tuple[str, ...]:
    if not writes:
        return ("query_only = ON",)
    return (
        "synchronous = FULL",
        "foreign_keys = ON",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"journal_size_limit = {MAX_LOG_BYTES}",
    )


def _prepare(writes: Engine, reads: Engine, path: Path) -> None:
    """Find out whose file it is, then bring it up to date, all or nothing. Nothing is written, and no lock is needed,
    when it is up to date: a daemon can start while the disk is full."""
    _use_log(writes, path)
    way_back = f"restore the copy from before the upgrade ({path}.before-*)"
    with transaction(reads) as connection:
        outdated = examine(connection, store=str(path), way_back=way_back)
        if _is_ours(connection, path) and outdated is None:
            return
    if outdated is not None and outdated.present is not None:
        announce_upgrade(path, outdated, _space(path))
        keep_copy(path, outdated)
    _loosen(writes)
    with transaction(writes) as connection:
        if not _is_ours(connection, path):
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        if migrate(connection, store=str(path), way_back=way_back):
            _check_references(connection, path)
            advise(connection)
    for engine in (writes, reads):
        engine.dispose()  # a connection learns the planner's figures when it opens


def _loosen(writes: Engine) -> None:
    """A migration may have to build a table anew that others refer to, for which SQLite wants foreign keys off, outside
    any transaction (https://sqlite.org/lang_altertable.html, section 7). Connections made later have them on again."""
    with closing(writes.raw_connection()) as raw:
        raw.cursor().execute("PRAGMA foreign_keys = OFF")


def _check_references(connection: Connection, path: Path) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        told = f"a row of {broken[0]} refers to one of {broken[2]} that is missing"
        raise StoreError(f"{path} is damaged: {told}; restore a backup")


def _is_ours(connection: Connection, path: Path) -> bool:
    """False: it is nobody's yet. StoreError when it is another program's."""
    owner = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    used = connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar_one()
    if owner != APPLICATION_ID and (owner or used):
        raise StoreError(f"{path} is another program's database; give Notifier a file of its own in store.url")
    return bool(owner)


def _use_log(engine: Engine, path: Path) -> None:
    """Outside any transaction, as SQLite wants it; the file remembers."""
    try:
        with closing(engine.raw_connection()) as raw:
            mode = raw.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(hints.of_sqlite(error, path)) from None
    if mode != "wal":
        raise StoreError(f"{path} cannot have a write-ahead log there; keep the store on a local disk")


def _let_go(engines: list[Engine], lock: FileLock) -> None:
    """The last connection to close empties the write-ahead log into the file."""
    for engine in reversed(engines):
        engine.dispose()
    lock.release()


# What went wrong


def _explainer(path: Path) -> Explain:
    def explain(error: SQLAlchemyError) -> StoreUnavailableError | None:
        if isinstance(error, IntegrityError | ProgrammingError | DataError):
            return None
        cause = _cause(error)
        return StoreUnavailableError(hints.of_sqlite(cause, path), hints.fault(cause))

    return explain


def _cause(error: BaseException) -> BaseException:
    return (error.orig if isinstance(error, DBAPIError) else None) or error


def _reliever(engine: Engine) -> Relieve:
    """When a file cannot grow, move what the log holds into the database and cut it to nothing: that is done else only
    after so many pages of commits that succeed, for which a small disk may have no room."""

    def relieve(error: Exception) -> None:
        if hints.no_room(_cause(error)):
            with contextlib.suppress(SQLAlchemyError, sqlite3.Error), closing(engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    return relieve
