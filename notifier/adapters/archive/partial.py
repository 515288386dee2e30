"""A file on its way: written and hashed by threads, under a name that nobody takes for a whole one."""

import asyncio
import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import secrets
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from notifier.adapters.archive.threads import obtain
from notifier.domain.content import HEAD_BYTES

BLOCK_BYTES = 1024 * 1024
"""Written at once, by one thread, while the next so many come in. Larger ones are not faster, and take memory."""
EARLY_BYTES = 8 * 1024 * 1024
"""After so many the system is asked to bring them to the disk, so that the last sync has little left to wait for."""
KEPT_FREE_BYTES, KEPT_FREE_PERCENT = 256 * 1024 * 1024, 5
"""Of the disk, whichever is less: the store may be on it too, and must still find room for what it owes."""
SUFFIX = ".part"
CREATED_SECONDS = 30.0
DISCARDED_SECONDS = 2.0
_MODE = 0o640
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

T = TypeVar("T")


class Partial:
    """Made by `create`; one call at a time, but for `discard`. OSError when the disk does not take it.

    Every access to the file is made in a thread of `threads`, under a lock: what is cancelled may still be at work
    there, and a file descriptor that is closed under it could be another file's by then.
    """

    def __init__(self, path: Path, descriptor: int, threads: Executor) -> None:
        self.path = path
        self.size = 0
        self.head = b""
        self._descriptor: int | None = descriptor
        self._threads = threads
        self._hash = hashlib.sha256()
        self._written_bytes = self._early_bytes = 0
        self._lock = threading.Lock()
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._writing: asyncio.Future[None] | None = None

    @classmethod
    async def create(cls, folder: Path, threads: Executor) -> "Partial":
        """TimeoutError, which is an OSError, when the disk hangs."""
        async with asyncio.timeout(CREATED_SECONDS):
            return await obtain(threads, functools.partial(cls._create, folder, threads), cls._discard)

    @classmethod
    def _create(cls, folder: Path, threads: Executor) -> "Partial":
        path = folder / f"{secrets.token_hex(16)}{SUFFIX}"
        try:
            descriptor = os.open(path, _FLAGS, _MODE)
        except FileNotFoundError:  # the disk came after the start, or somebody tidied up
            _make(folder)
            descriptor = os.open(path, _FLAGS, _MODE)
        with contextlib.suppress(OSError):  # some file systems know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(path, descriptor, threads)

    async def expect(self, size: int) -> None:
        """Fail early where `size` bytes in all will not fit beside what is kept free."""
        await self._run(self._expect, size)

    async def write(self, chunk: bytes) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        self.size += len(chunk)
        self._block.append(chunk)
        self._block_bytes += len(chunk)
        if self._block_bytes >= BLOCK_BYTES:
            await self._flush()

    async def settle(self) -> None:
        """Wait until all of it has been written (not to the platter: `finish` does that)."""
        await self._flush()
        await self._written()

    async def restart(self) -> None:
        """Forget everything that came so far."""
        self._block, self._block_bytes = [], 0
        await self._written()
        await self._run(self._truncate)
        self.size, self.head = 0, b""

    async def finish(self) -> str:
        """Make it survive a power cut; the SHA-256 in hex."""
        await self.settle()
        return await self._run(self._sync)

    async def discard(self) -> None:
        """Remove it, unless it was given another name meanwhile. A disk that hangs is not waited for: its thread does
        it when it can."""
        doing = asyncio.get_running_loop().run_in_executor(self._threads, self._discard)
        doing.add_done_callback(_heed)
        await asyncio.wait({doing} if self._writing is None else {doing, self._writing}, timeout=DISCARDED_SECONDS)

    async def _flush(self) -> None:
        """Begin to write the block; the one before must have been written, so that memory is bounded."""
        await self._written()
        if self._block:
            self._writing = asyncio.ensure_future(self._run(self._append, self._block))
            self._writing.add_done_callback(_heed)
            self._block, self._block_bytes = [], 0

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        def locked() -> T:
            with self._lock:
                return work(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self._threads, locked)

    def _open(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the file was discarded")
        return self._descriptor

    def _expect(self, size: int) -> None:
        disk = os.fstatvfs(self._open())
        kept_free = min(KEPT_FREE_BYTES, disk.f_blocks * disk.f_frsize * KEPT_FREE_PERCENT // 100)
        if size - self._written_bytes > disk.f_bavail * disk.f_frsize - kept_free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _append(self, block: list[bytes]) -> None:
        for chunk in block:
            self._hash.update(chunk)
        size = sum(map(len, block))
        self._expect(self._written_bytes + size)
        if (done := os.writev(self._open(), block)) < size:  # a disk that is nearly full; the next call says so
            rest = memoryview(b"".join(block))[done:]
            while rest:
                rest = rest[os.write(self._open(), rest) :]
        self._written_bytes += size
        if (count := self._written_bytes - self._early_bytes) >= EARLY_BYTES:
            os.posix_fadvise(self._open(), self._early_bytes, count, os.POSIX_FADV_DONTNEED)
            self._early_bytes += count

    def _truncate(self) -> None:
        os.ftruncate(self._open(), 0)
        os.lseek(self._open(), 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self._written_bytes = self._early_bytes = 0

    def _sync(self) -> str:
        os.fsync(self._open())
        return self._hash.hexdigest()

    def _discard(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                with contextlib.suppress(OSError):
                    self.path.unlink(missing_ok=True)
                os.close(self._descriptor)
                self._descriptor = None


def prepare(folder: Path) -> None:
    """Make the folder of partial files, and remove those that a process left there which is gone. Their locks tell
    them from those of a process that is at work, on this machine or on another that shares the folder. OSError when no
    file can be made there, which a folder that exists does not show."""
    _make(folder)
    descriptor, probe = tempfile.mkstemp(suffix=SUFFIX, dir=folder)
    os.close(descriptor)
    Path(probe).unlink()
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            _remove_if_left(path)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)


def _heed(writing: "asyncio.Future[None]") -> None:
    """Whoever gave up waiting for it does not want to know; the loop would complain that nobody asked."""
    if not writing.cancelled():
        writing.exception()


def _remove_if_left(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)
