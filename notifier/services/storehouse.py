"""Whether files can be kept at all: while the disk is full or the bucket refuses, few try, and the log is told once."""

import structlog

from notifier.domain.pace import Line
from notifier.domain.saving import wait_after
from notifier.ports import Archive, Chance, Clock, Saved, SaveOrder, Unsaved

log = structlog.get_logger()

OUR_FAULT = "a fault of Notifier itself, see its log"


async def save(archive: Archive, order: SaveOrder) -> Saved | Unsaved:
    """A fault of ours counts as a failed try, too: it must neither keep other files from being saved, nor be tried
    for ever."""
    try:
        return await archive.save(order)
    except Exception as fault:
        log.error("daemon.fault", exc_info=fault, hint="a fault of Notifier itself; please report it")
        return Unsaved("broken", OUR_FAULT)


class Storehouse:
    """Holds the line of those who save: nobody goes for a while, then one at a time, until one file was kept."""

    def __init__(self, line: Line[int], *, clock: Clock, chance: Chance) -> None:
        self._line = line
        self._clock = clock
        self._chance = chance
        self._strikes = 0
        self._struck_at = 0.0

    def heed(self, outcome: Saved | Unsaved, started: float) -> None:
        """Learn from a try that `started` (monotonic) then."""
        if isinstance(outcome, Saved):
            self._open()
        elif outcome.reason == "store":
            self._strike(outcome.message, started)

    def forget(self) -> None:
        """Whatever was learned no longer counts."""
        self._strikes, self._line.held_until = 0, None

    def _open(self) -> None:
        if self._strikes:
            log.info("archive.available")
        self.forget()

    def _strike(self, error: str, started: float) -> None:
        if self._strikes == 0:
            log.warning("archive.unavailable", error=error, hint="files are saved when it works again")
        if self._strikes == 0 or started > self._struck_at:  # tries that were in flight together are one strike
            now = self._clock.monotonic()
            self._strikes, self._struck_at = self._strikes + 1, now
            self._line.held_until = now + wait_after(self._strikes, self._chance.spread())
