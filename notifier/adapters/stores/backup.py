"""Copies of a store's file, made while it is in use: of one moment, checked, durable, and all there or not at all.

The copy is made by SQLite's own backup (https://sqlite.org/backup.html) over a connection that only reads. A read
transaction is held from the first page to the last, so that writers neither wait for it nor make it begin anew.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from notifier.adapters.stores import hints
from notifier.adapters.stores.errors import StoreError
from notifier.domain.quantity import format_size

Progress: TypeAlias = Callable[[int, int], None]
"""How many pages are copied, and of how many."""

APPLICATION_ID = 0x4E746679
"""In the file's header ("Ntfy"): says that the file is ours (https://sqlite.org/pragma.html#pragma_application_id)."""
PAGES_AT_ONCE = 1000
_BUSY_SECONDS = 10.0


def copy_store(
    source: Path, target: Path, *, overwrite: bool = False, progress: Progress = lambda _copied, _all: None
) -> int:
    """Copy the store in `source` to `target`, readable by its owner only; returns its size in bytes.

    StoreError when that cannot be done, with what to do about it; then there is no `target`, or still the old one.
    """
    if not source.is_file():
        raise StoreError(f"there is no store at {source.absolute()}")
    with closing(_open(source)) as connection:
        size = _begin(connection, source)
        with _draft(target) as draft:
            _judge_room(target, size)
            _copy(connection, draft, progress)
            _publish(draft, target, overwrite=overwrite)
    return target.stat().st_size


def _open(source: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"file:{quote(str(source.resolve()))}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        raise StoreError(hints.of_sqlite(error, source)) from None


def _begin(connection: sqlite3.Connection, source: Path) -> int:
    """Fix the moment that is copied; how many bytes there are to copy."""
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the transaction begins with a read
        owner, pages, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "page_count", "page_size")
        )
    except sqlite3.Error as error:
        raise StoreError(hints.of_sqlite(error, source)) from None
    if owner != APPLICATION_ID:
        raise StoreError(f"{source} is no store of Notifier's; does store.url name the right file?")
    return int(pages * size)


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A new file beside the target, for its owner only; it is gone afterwards unless it has become the target."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {hints.of_system(error, target.parent)}") from None
    draft = Path(name)
    try:
        os.close(descriptor)
        yield draft
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):  # SQLite's own, when it was interrupted
            draft.with_name(f"{draft.name}{suffix}").unlink(missing_ok=True)


def _judge_room(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < size:
        room = f"the copy takes {format_size(size)}, and {format_size(free)} are free"
        raise StoreError(f"cannot write {target}: {room}; free some space on its disk")


def _copy(connection: sqlite3.Connection, draft: Path, progress: Progress) -> None:
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # it is synced once, as a whole
                copy.execute(f"PRAGMA {pragma}")
            connection.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _, left, of: progress(of - left, of))
            copy.execute("PRAGMA journal_mode = DELETE")  # one file by itself, without a log beside it
            damage = [row[0] for row in copy.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
    except sqlite3.Error as error:
        raise StoreError(hints.of_sqlite(error, draft)) from None
    if damage:
        advice = "so the store itself is; restore an earlier backup, or try sqlite3's .recover"
        raise StoreError(f"the copy is damaged ({'; '.join(damage)}), and {advice}")


def _sync(draft: Path) -> None:
    descriptor = os.open(draft, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(draft: Path, target: Path, *, overwrite: bool) -> None:
    """Give the draft its name, in one step, once it is on the disk."""
    try:
        _sync(draft)
        if overwrite:
            draft.replace(target)
        else:
            _link(draft, target)
        sync_folder(target.parent)
    except FileExistsError:
        raise StoreError(f"{target} exists, and no backup overwrites a file: name another one") from None
    except OSError as error:
        raise StoreError(f"cannot write {target}: {hints.of_system(error, target.parent)}") from None


def _link(draft: Path, target: Path) -> None:
    """A link fails where a file is already; file systems without links have to be asked first."""
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError from None
        draft.rename(target)


def sync_folder(folder: Path) -> None:
    """A new file survives a power cut only when its folder was synced, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
