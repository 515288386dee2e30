"""Who sleeps until when: those whom only time can help."""

from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)

SPARE = 16


class Sleepers(Generic[Name]):
    """Everybody sleeps at most once. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._until: dict[Name, float] = {}
        self._heap: list[tuple[float, Name]] = []

    def __contains__(self, name: Name) -> bool:
        return name in self._until

    def __len__(self) -> int:
        """Of what is kept for them."""
        return len(self._heap)

    def put(self, name: Name, until: float) -> None:
        """Sleep until then; a time that was said before no longer counts."""
        self._until[name] = until
        heappush(self._heap, (until, name))
        if len(self._heap) > 2 * len(self._until) + SPARE:  # most are of those who were woken before their time
            self._heap = [(at, one) for one, at in self._until.items()]
            heapify(self._heap)

    def wake(self, name: Name) -> None:
        """Before its time; nothing if it does not sleep."""
        self._until.pop(name, None)

    def due(self, now: float) -> Iterator[Name]:
        """Those whose time has come, awake from now on."""
        while self._heap and self._heap[0][0] <= now:
            until, name = heappop(self._heap)
            if self._until.get(name) == until:
                del self._until[name]
                yield name

    def next_at(self) -> float | None:
        """When the first of them wakes up, or a little earlier; None: nobody sleeps."""
        return self._heap[0][0] if self._until else None
