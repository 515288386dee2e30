"""Who must be looked at by when: a heap that forgets what was dropped or moved."""

import heapq
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

DEAD_ENTRIES = 1000
"""So many entries that mean nothing any more (and as many again as there are living ones) are carried along."""


class Deadlines(Generic[Key]):
    def __init__(self) -> None:
        self._heap: list[tuple[datetime, Key]] = []
        self._at: dict[Key, datetime] = {}

    def set(self, key: Key, at: datetime) -> None:
        """This is the key's deadline from now on."""
        if self._at.get(key) != at:
            self._at[key] = at
            heapq.heappush(self._heap, (at, key))
            self._tidy()

    def drop(self, key: Key) -> None:
        self._at.pop(key, None)
        self._tidy()

    def take(self, now: datetime) -> list[Key]:
        """Those whose deadline is not after `now`, the earliest first; they have none any more."""
        overdue = []
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                overdue.append(key)
        return overdue

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._at) + DEAD_ENTRIES:
            self._heap = [(at, key) for key, at in self._at.items()]
            heapq.heapify(self._heap)
