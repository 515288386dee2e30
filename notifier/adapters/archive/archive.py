"""Saving a file: fetched into a partial one, recognised by its content, put on the shelf."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import structlog

from notifier.adapters.archive.fetch import Fetch, Sleep
from notifier.adapters.archive.folder import SHELF_SETTING, FolderShelf, advice
from notifier.adapters.archive.partial import Partial, prepare
from notifier.adapters.archive.shelf import Shelf, ShelfError, steps
from notifier.adapters.archive.threads import DiskThreads
from notifier.adapters.http import Downloads, Home
from notifier.domain.content import recognise
from notifier.ports import ArchiveUnavailableError, Saved, SaveOrder, Unsaved

log = structlog.get_logger()

CLOSE_SECONDS = 2.0
"""For what threads are at, on a disk that may hang."""
PARTIAL_FOLDER = ".partial"

Homes: TypeAlias = Callable[[str], Awaitable[Home]]
"""A provider's name → where its credentials may go; asked for at each try, so that a reload holds from the next on."""


class FileArchive:
    """Implements the Archive port, over one shelf. `timeout`: seconds for one try, the shelf's part included; `place`:
    the setting that names the folder of `partials`."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        downloads: Downloads,
        homes: Homes,
        partials: Path,
        threads: DiskThreads,
        max_size: int,
        timeout: float,
        place: str = SHELF_SETTING,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._shelf = shelf
        self._downloads = downloads
        self._homes = homes
        self._partials = partials
        self._threads = threads
        self._max_size = max_size
        self._timeout = timeout
        self._place = place
        self._sleep = sleep
        self._faults: set[type[Exception]] = set()

    async def start(self) -> None:
        """Clear away what an earlier process left unfinished; ArchiveUnavailableError when there is no place to begin
        anything, with what to do."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, prepare, self._partials)
        except OSError as error:
            raise ArchiveUnavailableError(advice(error, self._place)) from None

    async def save(self, order: SaveOrder) -> Saved | Unsaved:
        steps(order.name)  # made by us: if it is wrong, nobody else's data is to blame
        try:
            partial = await Partial.create(self._partials, self._threads)
        except OSError as error:
            return Unsaved("store", advice(error, self._place))
        try:
            return await self._save(order, partial)
        except OSError as error:
            return Unsaved("store", advice(error, self._place))
        except ShelfError as error:
            return Unsaved("store", str(error))
        except Exception as error:  # noqa: BLE001  # whatever a URL or an answer says, the next try has its turn
            self._tell_fault(error, order)
            return Unsaved("broken", f"a fault of Notifier itself ({type(error).__name__}); see its log")
        finally:
            await partial.discard()

    def open(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        return self._shelf.open(location, start, stop)

    async def remove(self, location: str) -> None:
        await self._shelf.remove(location)

    async def aclose(self) -> None:
        """Break off what is in flight. A thread whose disk hangs is left behind, and dies with the process."""
        await self._downloads.aclose()
        await asyncio.to_thread(self._threads.end, CLOSE_SECONDS)

    async def _save(self, order: SaveOrder, partial: Partial) -> Saved | Unsaved:
        fetch = Fetch(
            self._downloads,
            partial,
            order=order,
            home=await self._homes(order.provider),
            max_size=self._max_size,
            sleep=self._sleep,
        )
        fetched = False
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                if (unsaved := await fetch.run()) is not None:
                    return unsaved
                fetched = True
                return await self._keep(order.name, partial)
        except TimeoutError:
            if not deadline.expired():  # a disk behind a network says so too
                raise
        limit = f"within {self._timeout:g} s (archive.timeout)"
        if fetched:
            return Unsaved("store", f"the archive did not take the file {limit}")
        return Unsaved("broken", f"the file did not come {limit}: {fetch.progress}")

    def _tell_fault(self, error: Exception, order: SaveOrder) -> None:
        """Aloud once for each kind: tries are many."""
        kind = type(error)
        say = log.debug if kind in self._faults else log.error
        self._faults.add(kind)
        hint = "a fault of Notifier itself; please report it"
        say("daemon.fault", provider=order.provider, file=order.name, exc_info=error, hint=hint)

    async def _keep(self, name: str, partial: Partial) -> Saved:
        digest = await partial.finish()
        content = recognise(partial.head)
        location = await self._shelf.keep(partial.path, f"{name}.{content.extension}", content.type)
        return Saved(location, partial.size, digest, content.type)


def folder_archive(root: Path, *, downloads: Downloads, homes: Homes, max_size: int, timeout: float) -> FileArchive:
    """For `archive.url: file:///…`. The folder is made if it is missing."""
    root = root.resolve()
    threads = DiskThreads()
    return FileArchive(
        FolderShelf(root, threads),
        downloads=downloads,
        homes=homes,
        partials=root / PARTIAL_FOLDER,
        threads=threads,
        max_size=max_size,
        timeout=timeout,
    )


def bucket_archive(
    url: str, *, spool: Path, downloads: Downloads, homes: Homes, max_size: int, timeout: float
) -> FileArchive:
    """For a bucket's `archive.url`; `spool` is the folder of files on their way. ValueError when the URL or the
    environment makes no sense; needs what `missing` looks for."""
    from notifier.adapters.archive.bucket import BucketShelf  # noqa: PLC0415  # an extra that need not be installed

    threads = DiskThreads()
    return FileArchive(
        BucketShelf(url, threads),
        downloads=downloads,
        homes=homes,
        partials=spool.resolve() / PARTIAL_FOLDER,
        threads=threads,
        max_size=max_size,
        timeout=timeout,
        place="archive.spool",
    )
