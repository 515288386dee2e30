"""What is counted."""

from typing import Protocol


class PollMeter(Protocol):
    def polled(self, provider: str, outcome: str, *, duration: float, lag: float) -> None: ...

    def paused(self, provider: str, reason: str | None) -> None: ...  # None: the pause is over


class AttemptMeter(Protocol):
    def announced(self, event_type: str) -> None:
        """A task's end became one more event that is owed."""
        ...

    def attempted(self, outcome: str, *, duration: float) -> None: ...

    def delivered(self, latency: float) -> None:
        """Seconds from learning a task's end to the receiver's 2xx."""
        ...


class FileMeter(Protocol):
    def fetched(self, outcome: str, size: int = 0) -> None:
        """One try to save a file: `saved` with so many bytes, or the reason why not."""
        ...
