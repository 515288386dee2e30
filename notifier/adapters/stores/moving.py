"""From a file to a server: everything that a store in SQLite holds, in one transaction of PostgreSQL's."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import psycopg
from sqlalchemy import BigInteger, Boolean, Connection, Table, func, literal_column, select, text
from sqlalchemy.exc import SQLAlchemyError

from notifier.adapters.stores import hints
from notifier.adapters.stores.address import shown
from notifier.adapters.stores.database_clock import NOW
from notifier.adapters.stores.errors import StoreBusyError, StoreError
from notifier.adapters.stores.postgres import long_work, open_postgres
from notifier.adapters.stores.postgres_errors import explainer
from notifier.adapters.stores.schema import attempts, deliveries, endpoints, files, nodes, tasks, watches
from notifier.adapters.stores.sqlite import open_sqlite
from notifier.adapters.stores.transaction import transaction

TABLES = (tasks, watches, deliveries, attempts, files, endpoints)
"""What is moved, each after what it refers to. The others say who is at work now."""
_ALIVE = select(nodes.c.id).where(nodes.c.alive_until > literal_column(NOW, BigInteger)).limit(1)
PORTION = 2_000
"""Rows that are read and written before progress is told, and before an interruption is heard."""
_MAGIC = b"SQLite format 3\0"
"""What such a file begins with, unless it is empty (https://www.sqlite.org/fileformat.html)."""
Progress: TypeAlias = Callable[[int, int], None]
"""How many rows are written, and of how many."""


async def move_store(source: Path, url: str, *, progress: Progress = lambda _moved, _all: None) -> Mapping[str, int]:
    """Copy everything from the file to the empty database of that URL, and return how many rows of each table. The file
    is kept, upgraded to this version's schema where it was older. StoreError when that cannot be done, with what to do
    about it; then the database is as empty as before."""
    _judge(source)
    store = await open_sqlite(source)  # nobody else has it from here on
    try:
        await (await open_postgres(url, patience=0.0)).close()
        return await _move(source, url, progress)
    except (psycopg.Error, SQLAlchemyError) as error:
        reason = explainer(shown(url))(error)
        raise StoreError(f"{shown(url)}: {error}" if reason is None else str(reason)) from None
    except sqlite3.Error as error:
        raise StoreError(hints.of_sqlite(error, source)) from None
    finally:
        await store.close()


def _judge(source: Path) -> None:
    if not source.is_file():
        raise StoreError(f"there is no store at {source.absolute()}")
    with contextlib.suppress(OSError), source.open("rb") as file:  # who opens it as a store says why that fails
        if file.read(len(_MAGIC)) not in (b"", _MAGIC):
            raise StoreError(f"{source} is no SQLite database; name the file of a store")


async def _move(source: Path, url: str, progress: Progress) -> Mapping[str, int]:
    engine = long_work(url)
    try:
        with closing(_read_only(source)) as file:
            with transaction(engine) as connection:
                _claim(connection, shown(url))
                moved = await _copy_all(file, connection, progress)
                _verify(connection, moved)
                for table in TABLES:
                    _number_on(file, connection, table)
            with transaction(engine) as connection:
                connection.execute(text("ANALYZE"))  # or a full store is taken for an empty one
        return moved
    finally:
        engine.dispose()


def _read_only(source: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(source.resolve()))}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace").replace("\0", "")  # which PostgreSQL refuses
    return connection


def _claim(connection: Connection, store: str) -> None:
    """Nobody writes into these tables until we are done, and nothing may be in them."""
    names = ", ".join(table.name for table in TABLES)
    connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
    if connection.execute(_ALIVE).first() is not None:
        raise StoreBusyError(f"daemons work on {store}; stop them all, and move into a database that is empty")
    for table in TABLES:
        if connection.execute(select(table).limit(1)).first() is not None:
            raise StoreError(f"{store} has rows in its table {table.name}; move into a database that is empty")


async def _copy_all(file: sqlite3.Connection, connection: Connection, progress: Progress) -> Mapping[str, int]:
    counts = {table.name: _count(file, table) for table in TABLES}
    moved, total = 0, sum(counts.values())
    with _cursor(connection) as cursor:
        for table in TABLES:
            columns = [column.name for column in table.columns]
            with cursor.copy(f"COPY {table.name} ({_quoted(columns)}) FROM STDIN") as copy:
                for portion in _portions(file, table, columns):
                    for row in portion:
                        copy.write_row(row)
                    moved += len(portion)
                    progress(moved, total)
                    await asyncio.sleep(0)
    return counts


def _count(file: sqlite3.Connection, table: Table) -> int:
    count: int = file.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]  # noqa: S608 -- a name of ours
    return count


def _cursor(connection: Connection) -> psycopg.Cursor[Any]:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("COPY is a word of psycopg's")
    return driver.cursor()


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _portions(file: sqlite3.Connection, table: Table, columns: Sequence[str]) -> Iterator[Sequence[Sequence[Any]]]:
    """In the order of their keys, as rows come."""
    order = _quoted([column.name for column in table.primary_key])
    truths = [at for at, column in enumerate(table.columns) if isinstance(column.type, Boolean)]
    rows = file.execute(f"SELECT {_quoted(columns)} FROM {table.name} ORDER BY {order}")  # noqa: S608 -- as above
    while portion := rows.fetchmany(PORTION):
        yield [_with_truths(row, truths) for row in portion] if truths else portion


def _with_truths(row: Sequence[Any], truths: Sequence[int]) -> Sequence[Any]:
    """SQLite keeps them as numbers."""
    return [bool(value) if at in truths else value for at, value in enumerate(row)]


def _verify(connection: Connection, moved: Mapping[str, int]) -> None:
    for table in TABLES:
        found = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if found != moved[table.name]:
            told = f"of {moved[table.name]} rows of the table {table.name} {found} arrived"
            raise StoreError(f"{told}; nothing was moved: try again, and report it if it happens again")


def _number_on(file: sqlite3.Connection, connection: Connection, table: Table) -> None:
    """New rows are numbered from where the file's would have been, so that no number is used twice."""
    numbered = next((column.name for column in table.columns if column.identity is not None), None)
    if numbered is None:
        return
    highest = f'SELECT max("{numbered}") FROM {table.name}'  # noqa: S608 -- as above
    last = file.execute(highest).fetchone()[0] or 0
    known = file.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
    last = max(last, 0 if known is None else known[0])
    if last:
        sequence = {"of": table.name, "named": numbered, "last": last}
        connection.execute(text("SELECT setval(pg_get_serial_sequence(:of, :named), :last)"), sequence)
