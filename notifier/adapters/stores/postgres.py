"""PostgreSQL: one database for as many daemons as there are.

Nothing is left behind on a connection when a transaction ends, so that a pool of connections before the server may give
it to another daemon for the next one (pgbouncer, `pool_mode = transaction`).
"""

import asyncio
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import psycopg
import structlog
from psycopg.abc import Buffer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from notifier.adapters.stores.address import shown
from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.migrate import VERSIONS, examine, migrate
from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.patience import Impatient, impatient
from notifier.adapters.stores.postgres_errors import collides, explainer, passes, without_details
from notifier.adapters.stores.reader import Reader
from notifier.adapters.stores.schema import metadata
from notifier.adapters.stores.shared import SharedStore
from notifier.adapters.stores.transaction import transaction
from notifier.adapters.stores.writer import Writer
from notifier.ports import Space

log = structlog.get_logger()

# It tells of each connection that breaks, in several lines; ours are `store.unavailable` and `node.lapsed`.
logging.getLogger("psycopg").setLevel(logging.ERROR)
T = TypeVar("T")

LIST_READERS = 2
"""Beside the daemon's own one, as with SQLite."""
PATIENCE_SECONDS = 30.0
"""How long a start waits for a server that does not answer: machines boot in any order."""
AGAIN_SECONDS = 1.0
_DEFAULTS: Mapping[str, str | int] = {
    "application_name": "notifier",
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    "keepalives_idle": 5,  # seconds: a server that is gone without a word is noticed within 11
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}
_WRITES = "BEGIN ISOLATION LEVEL READ COMMITTED"
_DURABLE = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
"""What was answered with a success is on the disk, whatever the server does for others."""
_READS = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"  # one consistent view
_LOCK_MILLISECONDS = 2_000
"""Less than the 5 s after which many clients of the intake give up: they are to hear that the store is locked."""
_IDLE_MILLISECONDS = 5_000
"""A daemon that is stopped inside a transaction must not hold its locks for ever."""
_WRITE_MILLISECONDS = 10_000
_READ_MILLISECONDS = 120_000
"""Loading what a full store has to be polled takes its time."""
_LIST_MILLISECONDS = 20_000
_SLACK_SECONDS = 2.0
"""So much later than a statement's own limit its server is taken for dead: it would have said that it is over."""
_AT_LEISURE = f"SET LOCAL idle_in_transaction_session_timeout = {_READ_MILLISECONDS}"
"""So does making tasks of its rows; a reader holds no lock meanwhile."""
_NEW = f"CREATE TABLE IF NOT EXISTS {VERSIONS} (version_num VARCHAR(32) NOT NULL CONSTRAINT {VERSIONS}_pkc PRIMARY KEY)"
_LOCK = text(f"SELECT version_num FROM {VERSIONS} FOR UPDATE")  # noqa: S608 -- the name is ours
_UNKNOWN = re.compile(r'invalid URI query parameter: "([a-z_]{1,40})"', re.IGNORECASE)
_WAY_BACK = "restore the dump from before the upgrade (pg_restore)"


async def open_postgres(url: str, *, patience: float = PATIENCE_SECONDS) -> SharedStore:
    """Create or migrate the tables, and connect. `url` as libpq takes it; it is shown nowhere, as it may hold a
    password. `patience` (seconds): how long to wait for a server that does not answer, has no connection left or takes
    no writes. StoreError when the database cannot be used; the message says what to do."""
    engine, over = long_work(url), threading.Event()
    writes = limited(url, 1, _WRITES, _WRITE_MILLISECONDS, _DURABLE, over=over)
    reads = limited(url, 1, _READS, _READ_MILLISECONDS, _AT_LEISURE, over=over)
    try:
        await _wait_for(lambda: _set_up(engine, (writes, reads), shown(url)), shown(url), patience)
    except BaseException as error:
        writes.dispose()
        reads.dispose()
        if not isinstance(error, SQLAlchemyError):
            raise
        reason = explainer(shown(url))(error)
        raise StoreError(f"{shown(url)}: {error}" if reason is None else str(reason)) from None
    finally:
        engine.dispose()
    return _put_together(url, writes, reads, over)


def _put_together(url: str, writes: Engine, reads: Engine, over: threading.Event) -> SharedStore:
    explain = explainer(shown(url))
    outage = Outage()
    looks = limited(url, LIST_READERS, _READS, _LIST_MILLISECONDS, over=over)
    writer = Writer(writes, explain, relieve=lambda _: None, outage=outage, collides=collides)
    reader = Reader(reads, explain, threads=1, outage=outage)
    lists = Reader(looks, explain, threads=LIST_READERS, outage=outage)

    async def release() -> None:
        for engine in (writes, reads, looks):
            await asyncio.to_thread(engine.dispose)

    return SharedStore(writer, reader, lists, release=release, outage=outage, space=lambda: _space(looks), over=over)


# Connections


def limited(url: str, size: int, opening: str, milliseconds: int, *more: str, over: threading.Event) -> Engine:
    """Its statements may take so long, and a server that says nothing for longer is gone; nor is it waited for when it
    is `over`."""
    connection = impatient(milliseconds / 1000 + _SLACK_SECONDS, over)
    return new_engine(url, size=size, begin=begin(opening, milliseconds, *more), kind=connection)


def new_engine(url: str, *, size: int, begin: str, kind: type[Impatient] = Impatient) -> Engine:
    """`size` connections of this kind at most; `begin` is what each transaction begins with, in one round trip."""
    where = conninfo(url)

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        # It is we who say when a transaction begins.
        connection = kind.connect(where, autocommit=True, prepare_threshold=None)
        connection.adapters.register_dumper(str, _WithoutNul)
        return connection

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin, execution_options={"no_parameters": True})

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,  # errors would quote them, and an endpoint's are secrets
        use_native_hstore=False,  # which would be looked for at every start
    )
    event.listen(engine, "begin", start)
    event.listen(engine, "handle_error", without_details)
    return engine


class _WithoutNul(StrDumperUnknown):
    """PostgreSQL's texts cannot hold it, and SQLite's can: nothing that is asked for with one in it is found."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


def long_work(url: str) -> Engine:
    """One connection whose statements may take as long as they need."""
    return new_engine(url, size=1, begin=begin(_WRITES, 0, _DURABLE))


def begin(opening: str, milliseconds: int, *more: str) -> str:
    """What a transaction begins with; `milliseconds` is how long each of its statements may take, 0 for ever."""
    limits = {
        "lock_timeout": _LOCK_MILLISECONDS if milliseconds else 0,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": _IDLE_MILLISECONDS if milliseconds else 0,
    }
    return "; ".join((opening, *(f"SET LOCAL {name} = {value}" for name, value in limits.items()), *more))


def conninfo(url: str) -> str:
    try:
        given = conninfo_to_dict(url)
        return make_conninfo(url, **{name: value for name, value in _DEFAULTS.items() if name not in given})
    except psycopg.ProgrammingError as error:  # its text may quote the password
        unknown = _UNKNOWN.match(str(error))
        if unknown:
            told = f"has a parameter that PostgreSQL does not know: {unknown[1]}; correct it, behind the ?"
            raise StoreError(f"{shown(url)} {told}") from None
        told = "is no URL that PostgreSQL understands; write postgresql://user:password@host/database"
        raise StoreError(f"{shown(url)} {told}?name=value, special characters as %XX") from None


async def _wait_for(work: Callable[[], None], store: str, patience: float) -> None:
    """Until the server lets this be done. DBAPIError when it does not answer in time, or says no."""
    until, told = time.monotonic() + patience, False
    while True:
        try:
            return await asyncio.to_thread(work)
        except DBAPIError as error:
            if not passes(error) or time.monotonic() > until:
                raise
            if not told:
                hint = f"the daemon starts as soon as that is over, and gives up after {patience:g} s"
                log.warning("store.awaited", store=store, error=str(explainer(store)(error)), hint=hint)
            told = True
        await asyncio.sleep(AGAIN_SECONDS)


def _set_up(engine: Engine, others: Sequence[Engine], store: str) -> None:
    """The tables, and the connections that a start needs: made while it can still wait for one that is refused."""
    _ask_for_writes(engine)
    _again(lambda: _prepare(engine, store))
    for other in others:
        with transaction(other):
            pass  # the pool keeps it


def _ask_for_writes(engine: Engine) -> None:
    """Where there is nothing to migrate a start writes nothing, and a standby would be found out too late."""
    with transaction(engine) as connection:
        asked = "SHOW transaction_read_only"
        if connection.execute(text(asked)).scalar_one() == "on":
            raise DBAPIError(asked, None, psycopg.errors.ReadOnlySqlTransaction("the server takes no writes"))


# The tables


def _prepare(engine: Engine, store: str) -> None:
    """Find out whose tables these are, then bring them up to date, all or nothing. Where several daemons do this at
    once, the first has locked the row of the version, or the name of its table, until it is done."""
    with transaction(engine) as connection:
        if not _is_ours(connection, store):
            connection.execute(text(_NEW))
        elif examine(connection, store=store, way_back=_WAY_BACK) is None:
            return
        connection.execute(_LOCK)
        outdated = examine(connection, store=store, way_back=_WAY_BACK)
        if outdated is not None and outdated.present is not None:
            log.info("store.upgrading", store=store, schema=outdated.present, upgrade=outdated.newest)
        migrate(connection, store=store, way_back=_WAY_BACK)


def _is_ours(connection: Connection, store: str) -> bool:
    """False: there is nothing of ours yet. StoreError when tables of another program have the names that ours need."""
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        told = f"stores texts as {encoding}, which cannot hold all of them"
        raise StoreError(f"{store} {told}; create a database with ENCODING 'UTF8' TEMPLATE template0")
    present = set(inspect(connection).get_table_names())
    if VERSIONS in present and "pulse" in present:
        return True
    if present & {VERSIONS, *metadata.tables}:
        raise StoreError(f"{store} is another program's database; give Notifier one of its own in store.url")
    return False


def _again(work: Callable[[], T], waits: Sequence[float] = (0.1, 0.3, 1.0)) -> T:
    """Another daemon made the same table at the same moment: at the next look it is there."""
    for wait in waits:
        try:
            return work()
        except DBAPIError as error:
            if not collides(error):
                raise
            time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 -- no secret
    return work()


def _space(engine: Engine) -> Space:
    """How much is free the server does not tell."""
    try:
        with transaction(engine) as connection:
            return Space(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one(), None)
    except SQLAlchemyError:  # the store's own line in the log says so
        return Space(0, None)
