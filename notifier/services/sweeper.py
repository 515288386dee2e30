"""Delete saved files when their retention is over."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from notifier.domain.saving import RETENTION_OVER
from notifier.ports import (
    Archive,
    ArchiveUnavailableError,
    Clock,
    FileGoneError,
    Outdated,
    ResultStore,
    StoreUnavailableError,
)

log = structlog.get_logger()

PORTION = 500
"""Files that one sweep deletes at most: the next one comes soon."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Files in this archive are kept for so many seconds."""

    archive: Archive
    retention: float


class Sweeper:
    """`keeping` is what to sweep; None: nothing."""

    def __init__(self, *, store: ResultStore, clock: Clock) -> None:
        self.keeping: Keeping | None = None
        self._store = store
        self._clock = clock
        self._behind: Outdated | None = None
        self._missed = False
        self._stuck = False

    async def sweep(self) -> None:
        """Go on behind what the last sweep saw, so that files which cannot be deleted (those of another archive, say)
        keep no younger one from it; they are tried again when all have had their turn. The log is told of them once."""
        keeping = self.keeping
        if keeping is None:
            return
        before = self._clock.settled() - timedelta(seconds=keeping.retention)
        try:
            files = await self._store.outdated(before, PORTION, self._behind)
            deleted = [file for file in files if await self._delete(keeping.archive, file)]
        except StoreUnavailableError as error:
            self._tell_stuck(str(error))
            return
        self._missed |= len(deleted) < len(files)
        self._behind = files[-1] if len(files) == PORTION else None
        if self._behind is None:  # all have had their turn
            self._stuck, self._missed = self._missed, False
        if deleted:
            log.info("archive.cleaned", files=len(deleted))

    async def _delete(self, archive: Archive, file: Outdated) -> bool:
        try:
            await archive.remove(file.location)
        except FileGoneError:
            pass  # somebody else deleted it
        except ArchiveUnavailableError as error:
            self._tell_stuck(str(error))
            return False
        await self._store.forget(file, RETENTION_OVER)
        return True

    def _tell_stuck(self, error: str) -> None:
        say = log.debug if self._stuck else log.warning
        self._stuck = True
        say("archive.uncleaned", error=error, hint="such files are left as they are, and tried again")
