"""One daemon for one file: the kernel holds the lock, and lets go of it however the process ends."""

import fcntl
import os
from pathlib import Path
from typing import Self

from notifier.adapters.stores import hints
from notifier.adapters.stores.errors import StoreBusyError, StoreError


class FileLock:
    """An exclusive lock on a file beside the store, which holds the process id of whoever has it.

    The file stays when the lock goes: deleting it would let two processes lock two files of one name.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path, *, store: str) -> Self:
        """StoreBusyError when another process, or another part of this one, has it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sign(descriptor)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "of unknown id"
            os.close(descriptor)
            raise StoreBusyError(
                f"{store} is in use by process {holder}: one SQLite store serves one daemon; "
                "stop that process, or give this one another store.url"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"cannot lock {path}: {hints.of_system(error, path)}") from None
        return cls(descriptor)

    def release(self) -> None:
        """The second time there is nothing to release: by then the descriptor's number may be another file's."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _sign(descriptor: int) -> None:
    """Say who has the lock. A full disk is no reason not to have it."""
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError as error:
        if error.errno not in hints.NO_SPACE:
            raise
