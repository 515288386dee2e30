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
        self._stuck = False

    async def sweep(self) -> None:
        """What cannot be deleted now is tried again at the next sweep; the log is told of that once."""
        keeping = self.keeping
        if keeping is None:
            return
        before = self._clock.settled() - timedelta(seconds=keeping.retention)
        try:
            files = await self._store.outdated(before, PORTION)
            deleted = [file for file in files if await self._delete(keeping.archive, file)]
        except StoreUnavailableError as error:
            self._tell_stuck(str(error))
            return
        if len(deleted) == len(files):
            self._stuck = False
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
        say("archive.uncleaned", error=error, hint="files whose retention is over are deleted when it works again")
