"""Before a store is upgraded: what that takes is told, and the store of before is copied."""

from pathlib import Path

import structlog

from notifier.adapters.stores.backup import copy_store
from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.migrate import Outdated
from notifier.domain.quantity import format_size
from notifier.ports import Space

log = structlog.get_logger()

ROOM = 3.25
"""How many times the store's size must be free. Measured: tables that are built anew are there twice, and once in the
write-ahead log, beside the copy; with the store itself that is 4.1 times its size."""


def announce_upgrade(path: Path, outdated: Outdated, space: Space) -> None:
    """A big store takes minutes, in which nothing else is said. Too little room is only remarked: not every upgrade
    needs so much, and one that breaks off has changed nothing."""
    needed = int(space.used * ROOM)
    about = {
        "store": str(path),
        "schema": outdated.present,
        "upgrade": outdated.newest,
        "bytes": space.used,
        "bytes_needed": needed,
    }
    if space.free is None or space.free >= needed:
        log.info("store.upgrading", **about)
        return
    room = f"up to {format_size(needed)} are needed for a while, and {format_size(space.free)} are free"
    hint = f"{room}; if it fails nothing has changed: free some space and start again"
    log.warning("store.upgrading", **about, bytes_free=space.free, hint=hint)


def keep_copy(path: Path, outdated: Outdated) -> None:
    """What an older version wrote stays beside the store as it was, for the way back to that version."""
    copy = path.with_name(f"{path.name}.before-{outdated.newest}")
    try:
        size = copy_store(path, copy, overwrite=True)
    except StoreError as error:
        why = f"{path} has to be upgraded to schema {outdated.newest}, and is copied before, which failed"
        raise StoreError(f"{why}: {error}") from None
    log.info("store.copied", copy=str(copy), bytes=size, schema=outdated.present, upgrade=outdated.newest)
