"""How often something happens, over the last minute."""

from collections import deque

WINDOW_SECONDS = 60


class Tempo:
    """Counts by whole seconds, so that it takes the same little room however often it happens. Times are monotonic."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._seconds: deque[tuple[int, int]] = deque()

    def note(self, now: float) -> None:
        """It happened."""
        second, count = int(now), 1
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))
        self._forget(now)

    def per_second(self, now: float) -> float:
        """The average over the last minute, or since the beginning when that is less."""
        self._forget(now)
        over = min(max(now - self._began, 1.0), WINDOW_SECONDS)
        return sum(count for _, count in self._seconds) / over

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW_SECONDS - 1:
            self._seconds.popleft()
