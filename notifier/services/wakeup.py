"""One wake-up call, at the earliest time that somebody asked for."""

from collections.abc import Callable

from notifier.ports import Clock, Crew


class WakeUp:
    def __init__(self, call: Callable[[], None], *, crew: Crew, clock: Clock) -> None:
        self._call = call
        self._crew = crew
        self._clock = clock
        self._at = 0.0
        self._cancel: Callable[[], None] | None = None

    def by(self, at: float | None) -> None:
        """Call at `at` (monotonic) at the latest; None asks for nothing, and takes nothing back."""
        if at is None or (self._cancel is not None and self._at <= at):
            return
        self.stop()
        self._at = at
        self._cancel = self._crew.later(at - self._clock.monotonic(), self._ring)

    def stop(self) -> None:
        """Call no more, until asked again."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _ring(self) -> None:
        self._cancel = None
        self._call()
