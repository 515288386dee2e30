"""Saving results, put together: the archive that the settings name, who saves into it, and when it is swept."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import structlog

from notifier.adapters.archive import FileArchive, Homes, bucket_archive, folder_archive
from notifier.adapters.crew import AsyncioCrew
from notifier.adapters.http import Downloads
from notifier.adapters.scheduler import Scheduler
from notifier.app import wiring
from notifier.app.errors import StartError
from notifier.config import ArchiveSettings, Settings
from notifier.domain.address import Network
from notifier.domain.delivery import Delivery
from notifier.ports import ArchiveUnavailableError, Chance, Clock, FileMeter, ResultStore
from notifier.services.archivist import Archivist, Owe
from notifier.services.inquiries import Ask
from notifier.services.sweeper import Keeping, Sweeper
from notifier.services.tries import SavingPolicy

log = structlog.get_logger()

SWEEP_EVERY_SECONDS = (1.0, 600.0)
STOP_SECONDS = 1.0
"""For what a broken-off try leaves behind; a disk that hangs is not waited for."""
PLACE_ANSWERS_SECONDS = 10.0
"""A folder of a network that hangs must not keep the daemon from starting."""

_Marks: TypeAlias = tuple[str, int, float, Path]


class ArchiveBook:
    """The archives that are or were in use: one whose settings did not change stays the same object."""

    def __init__(self, settings: Settings, guard: Callable[[], Collection[Network]], homes: Homes) -> None:
        self._settings = settings
        self._guard = guard
        self._homes = homes
        self._built: dict[_Marks, FileArchive] = {}
        self._prepared: set[Path | str] = set()

    def archive(self, settings: Settings) -> FileArchive | None:
        """The archive of these settings, None if they want none; ValueError when it cannot be."""
        archive = settings.archive
        if archive is None:
            return None
        marks = (archive.url, archive.max_size, archive.timeout, self._spool(settings, archive))
        if marks not in self._built:
            self._built[marks] = self._build(archive, marks[-1])
        return self._built[marks]

    def current(self) -> FileArchive | None:
        return self.archive(self._settings)

    async def use(self, settings: Settings) -> None:
        """These are the settings from now on. What an earlier process left in the place of files on their way is
        cleared away, once; other archives that share the place may be at work there."""
        self._settings = settings
        archive = self.archive(settings)
        if archive is None or settings.archive is None:
            return
        place = self._spool(settings, settings.archive) if _is_bucket(settings.archive) else settings.archive.url
        if place in self._prepared:
            return
        try:
            async with asyncio.timeout(PLACE_ANSWERS_SECONDS):
                await archive.start()
            self._prepared.add(place)
            log.info("archive.ready", location=settings.archive.url)
        except (ArchiveUnavailableError, TimeoutError) as error:
            hint = "events still go out; files are saved when it works"
            problem = str(error) or "its folder does not answer"
            log.error("archive.unavailable", location=settings.archive.url, error=problem, hint=hint)

    async def close(self) -> None:
        for archive in self._built.values():
            await archive.aclose()

    def _build(self, archive: ArchiveSettings, spool: Path) -> FileArchive:
        downloads = Downloads(guard=lambda: tuple(self._guard()))
        if _is_bucket(archive):
            return bucket_archive(
                archive.url,
                spool=spool,
                downloads=downloads,
                homes=self._homes,
                max_size=archive.max_size,
                timeout=archive.timeout,
            )
        root = Path(unquote(archive.url.removeprefix("file://")))
        return folder_archive(
            root, downloads=downloads, homes=self._homes, max_size=archive.max_size, timeout=archive.timeout
        )

    def _spool(self, settings: Settings, archive: ArchiveSettings) -> Path:
        return wiring.store_folder(settings) if archive.spool is None else Path(archive.spool)


def _is_bucket(archive: ArchiveSettings) -> bool:
    return not archive.url.startswith("file:")


class Archiving:
    def __init__(
        self,
        settings: Settings,
        *,
        store: ResultStore,
        clock: Clock,
        chance: Chance,
        meter: FileMeter,
        guard: Callable[[], Collection[Network]],
        homes: Homes,
        ask: Ask,
        owe: Owe,
        accept: Callable[[Sequence[Delivery]], None],
        shared: bool = False,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._crew = AsyncioCrew()
        self._leads = leads
        self._book = ArchiveBook(settings, guard, homes)
        self._sweeper = Sweeper(store=store, clock=clock)
        self.archivist = Archivist(
            store=store,
            crew=self._crew,
            clock=clock,
            chance=chance,
            meter=meter,
            ask=ask,
            owe=owe,
            accept=accept,
            shared=shared,
        )

    @property
    def archive(self) -> FileArchive | None:
        """Where files are saved, and read, now."""
        return self._book.current()

    async def start(self, settings: Settings, scheduler: Scheduler) -> None:
        """Raises StartError when there can be no such archive."""
        if (wrong := self.check(settings)) is not None:
            raise StartError(wrong)
        await self.apply(settings)
        await self.archivist.start()
        shortest, longest = SWEEP_EVERY_SECONDS
        retention = None if settings.archive is None else settings.archive.retention
        period = longest if retention is None else min(max(retention / 10, shortest), longest)
        scheduler.every("archive", period, self._sweep)

    async def _sweep(self) -> None:
        if self._leads():
            await self._sweeper.sweep()

    def check(self, settings: Settings) -> str | None:
        """Why there can be no such archive; None if it can be."""
        try:
            self._book.archive(settings)
        except ValueError as error:
            return str(error)
        return None

    async def apply(self, settings: Settings) -> None:
        """These settings from now on; `check` has nothing against them."""
        await self._book.use(settings)
        self.archivist.configure(self._policy(settings))
        self._sweeper.keeping = self._keeping(settings)

    def _keeping(self, settings: Settings) -> Keeping | None:
        wanted, archive = settings.archive, self._book.archive(settings)
        if wanted is None or archive is None or wanted.retention is None:
            return None
        return Keeping(archive, wanted.retention)

    def _policy(self, settings: Settings) -> SavingPolicy | None:
        wanted, archive = settings.archive, self._book.archive(settings)
        if wanted is None or archive is None:
            return None
        return SavingPolicy(
            archive=archive,
            concurrency=wanted.concurrency,
            hold=wanted.wait if wanted.notify == "after" else None,
            deadline=wanted.deadline,
        )

    async def stop(self) -> None:
        """Tries in flight are broken off: after the start they begin anew."""
        self.archivist.close()
        await at_most(STOP_SECONDS, self._crew.drain(0.0))

    async def close(self) -> None:
        await at_most(STOP_SECONDS, self._book.close())


async def at_most(seconds: float, work: Coroutine[Any, Any, object]) -> None:
    """Wait for work no longer than that, even if it is slow to be cancelled: `asyncio.timeout` waits for that."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    for one in done:
        one.result()
