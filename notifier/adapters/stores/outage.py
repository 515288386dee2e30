"""What the log is told of a store that takes no writes: one line when that begins, one when it is over."""

import asyncio

import structlog

from notifier.ports import StoreFault, StoreUnavailableError

log = structlog.get_logger()

SAY_AGAIN_SECONDS = 60.0
"""A store that comes and goes, as on a disk with hardly any room, is told of no more often than this."""


class Outage:
    """Between the two lines everything that is refused is only counted, however often it is tried.

    `fault` is what is the matter now. Damage does not pass while the file is open, although most writes succeed around
    it: `damage` remembers it.
    Used in the event loop's thread only.
    """

    def __init__(self) -> None:
        self.damage: StoreUnavailableError | None = None
        self.fault: StoreFault | None = None
        self._told = False
        self._told_at: dict[StoreFault, float] = {}
        self._refused = 0

    def refused(self, error: StoreUnavailableError) -> None:
        """A write was not taken; the log hears of it when that, or the reason, is new."""
        self._refused += 1
        if self.damage is None and error.fault != self.fault:
            self.fault = error.fault
            self._tell(error)
        if error.fault == "damaged":
            self.damage = error

    def unread(self, error: StoreUnavailableError) -> None:
        """A read failed. That is its reader's affair, unless it found damage."""
        if error.fault == "damaged":
            self.refused(error)

    def took(self) -> None:
        """A write was committed."""
        if self.fault is None or self.damage is not None:
            return
        if self._told:
            log.info("store.available", after=self.fault, refused=self._refused)
        self.fault, self._told, self._refused = None, False, 0

    def _tell(self, error: StoreUnavailableError) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at.get(error.fault, -SAY_AGAIN_SECONDS) < SAY_AGAIN_SECONDS:
            return
        self._told, self._told_at[error.fault] = True, now
        hint = "the intake answers 503; ends and attempts are kept in memory and saved when it is well again"
        log.error("store.unavailable", reason=error.fault, error=str(error), hint=hint)
