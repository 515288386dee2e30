"""Files in a folder of this machine (or one that is mounted there)."""

import asyncio
import contextlib
import errno
import functools
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from notifier.adapters.archive.partial import KEPT_FREE_BYTES, KEPT_FREE_PERCENT
from notifier.adapters.archive.shelf import ShelfError, name_in, steps
from notifier.adapters.archive.threads import obtain
from notifier.ports import ArchiveUnavailableError, FileGoneError

READ_BYTES = 256 * 1024
_FOLDER_MODE = 0o750
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: to open a pipe that somebody put there would wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_RACES = 5
SHELF_SETTING = "archive.url"

T = TypeVar("T")


class FolderShelf:
    """Implements Shelf. Nothing outside `root` is ever touched: every step of a name is opened by itself and must not
    be a symbolic link, whoever put it there."""

    def __init__(self, root: Path, threads: Executor) -> None:
        self._root = root
        self._url = root.as_uri().rstrip("/") + "/"
        self._threads = threads

    async def keep(self, partial: Path, name: str, content_type: str) -> str:  # a folder keeps no types
        try:
            await self._run(self._keep, partial, steps(name))
        except OSError as error:
            raise ShelfError(advice(error)) from None
        return self._url + name

    async def open(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        descriptor = await self._reach(location, self._open, give_back=os.close)
        try:
            while start < stop:
                chunk = await self._read(descriptor, min(READ_BYTES, stop - start), start)
                start += len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    async def remove(self, location: str) -> None:
        with contextlib.suppress(FileGoneError):
            await self._reach(location, self._remove, give_back=lambda _: None)

    async def _reach(
        self, location: str, work: Callable[[Sequence[str]], T], *, give_back: Callable[[T], None]
    ) -> T:
        name = steps(name_in(location, self._url))
        try:
            return await obtain(self._threads, functools.partial(work, name), give_back)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                raise FileGoneError("the file is gone from the archive") from None
            raise ArchiveUnavailableError(advice(error)) from None

    async def _read(self, descriptor: int, count: int, start: int) -> bytes:
        try:
            chunk = await self._run(os.pread, descriptor, count, start)
        except OSError as error:
            raise ArchiveUnavailableError(advice(error)) from None
        if not chunk:
            raise ArchiveUnavailableError("the file is shorter than it was when it was saved; somebody changed it")
        return chunk

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _keep(self, partial: Path, name: Sequence[str]) -> None:
        for attempt in range(_MOST_RACES):
            try:
                with self._folder(name[:-1], make=True) as folder:
                    os.rename(partial, name[-1], dst_dir_fd=folder)  # pathlib knows no dir_fd
                    os.fsync(folder)
            except FileNotFoundError:  # `_remove`, here or on another node, has just removed the folder
                if attempt + 1 == _MOST_RACES or not partial.exists():
                    raise
            else:
                return

    def _open(self, name: Sequence[str]) -> int:
        with self._folder(name[:-1]) as folder:
            descriptor = os.open(name[-1], _FILE_FLAGS, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, "not a file")
        return descriptor

    def _remove(self, name: Sequence[str]) -> None:
        """The file, and the folders that it leaves empty."""
        with self._folder(name[:-1]) as folder:
            os.unlink(name[-1], dir_fd=folder)  # pathlib knows no dir_fd
            os.fsync(folder)
        with contextlib.suppress(OSError):  # not empty
            for depth in range(len(name) - 1, 0, -1):
                with self._folder(name[: depth - 1]) as above:
                    os.rmdir(name[depth - 1], dir_fd=above)  # pathlib knows no dir_fd

    @contextlib.contextmanager
    def _folder(self, steps_down: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder below the root, where each step must be a real folder."""
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in steps_down:
                if make:
                    _make(step, folder)
                below = os.open(step, _FOLDER_FLAGS, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)


def _make(step: str, folder: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(step, _FOLDER_MODE, dir_fd=folder)  # pathlib knows no dir_fd
        os.fsync(folder)


def advice(error: OSError, place: str = SHELF_SETTING) -> str:
    """What is the matter with the disk under the folder that the setting `place` names, and what to do. Without a path,
    as receivers read it too."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            kept = f"{KEPT_FREE_PERCENT} % of it, at most {KEPT_FREE_BYTES // 2**20} MiB, are kept free"
            return f"the disk of {place} is full ({kept}); free some space on it, or let it have more"
        case errno.EROFS:
            return f"the disk of {place} is mounted read-only; mount it for writing, or name another place"
        case errno.EACCES | errno.EPERM:
            return f"the folder of {place} is not ours to write and read; give it to the daemon's user"
        case errno.EFBIG:
            return f"the disk of {place} takes no file of this size; lower archive.max_size, or name another place"
        case errno.ENOENT | errno.ENOTDIR | errno.ELOOP:
            return f"the folder of {place} is gone, or something else is in its place; restore it"
        case _:
            silent = "it does not answer" if isinstance(error, TimeoutError) else "no reason given"
            return f"the disk of {place} does not work: {error.strerror or silent}; look at the system's log"
