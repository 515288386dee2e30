"""How long a command may take, over all that it does."""

import time

from notifier.cli.client import stop
from notifier.domain.quantity import format_duration


class Patience:
    """`seconds` from now on, None for as long as it takes."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def check(self, state: str) -> None:
        """End the command when it is over; `state` says where things stand."""
        if self._seconds is not None and self._until is not None and time.monotonic() >= self._until:
            stop(f"not within {format_duration(self._seconds)}: {state}")

    def sleep(self, seconds: float, state: str) -> None:
        left = seconds if self._until is None else max(min(seconds, self._until - time.monotonic()), 0.0)
        time.sleep(left)
        self.check(state)
