"""Which deliveries this node attempts, and how many more it has room for."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from notifier.domain.receiver import host_of

MOST_MOVING = 2000
"""Deliveries in memory that can be expected to go soon; what exceeds them is left to nodes that are free."""
MOST_AT_ONE_URL = 500
"""What a receiver has waiting behind so many stays in the store, for its memory's sake."""
SOON_AT_ONE_HOST = 16
"""So many of a host's deliveries are counted as moving, until a survey says how many it may have in flight. The rest
waits for the host and for nothing here: it takes no room from others."""


@dataclass(frozen=True, slots=True)
class Vacancy:
    """How many more deliveries there is room for, none of them for the `crowded` URLs."""

    room: int
    crowded: Collection[str]


class Custodian(Protocol):
    def keep(self, delivery_id: str, url: str) -> None:
        """This node attempts it, from now on."""
        ...

    def drop(self, delivery_id: str) -> None:
        """It is settled, or another node's."""
        ...

    def __contains__(self, delivery_id: str) -> bool: ...

    def clear(self) -> None: ...


class Everything:
    """The custody of a daemon that shares its store with nobody: every delivery is its own."""

    def keep(self, delivery_id: str, url: str) -> None:
        """Nothing has to be remembered."""

    def drop(self, delivery_id: str) -> None:
        """As above."""

    def __contains__(self, delivery_id: str) -> bool:
        return True

    def clear(self) -> None:
        """As above."""


class Custody:
    """One node's, of many. What is known here is also written down in the store, as this node's."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self._hosts: dict[str, str] = {}
        self._at: Counter[str] = Counter()
        self._crowded: frozenset[str] = frozenset()
        self._near: Counter[str] = Counter()
        self._soon = SOON_AT_ONE_HOST
        self._moving = 0

    def keep(self, delivery_id: str, url: str) -> None:
        if delivery_id not in self._urls:
            self._urls[delivery_id] = url
            self._at[url] += 1
            host = self._hosts.get(url) or self._hosts.setdefault(url, host_of(url))
            if url not in self._crowded:
                self._near[host] += 1
                self._moving += self._near[host] <= self._soon

    def drop(self, delivery_id: str) -> None:
        url = self._urls.pop(delivery_id, None)
        if url is None:
            return
        host = self._hosts[url]
        if url not in self._crowded:
            self._moving -= self._near[host] <= self._soon
            self._near[host] -= 1
        self._at[url] -= 1
        if not self._at[url]:
            del self._at[url], self._hosts[url]

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._urls

    def clear(self) -> None:
        self._urls.clear()
        self._hosts.clear()
        self._at.clear()
        self._count(frozenset())

    def takes(self, url: str) -> bool:
        """Whether there is room for a new delivery to this URL. May be asked from any thread."""
        return self._moving < MOST_MOVING and url not in self._crowded and self._at[url] < MOST_AT_ONE_URL

    def survey(self, held: Callable[[str], bool], per_host: int) -> Vacancy:
        """Count again, for hosts that may have so many attempts in flight. Of URLs that are `held` (their circuits are
        open) one delivery is enough: it is the probe. Where there is no more room, it is for URLs that have little."""
        self._soon = min(2 * per_host, MOST_AT_ONE_URL)
        self._count(self._having(MOST_AT_ONE_URL, held))
        if self._moving >= MOST_MOVING:
            self._count(self._having(self._soon, held))
        return Vacancy(max(MOST_MOVING - self._moving, 0), self._crowded)

    def _having(self, many: int, held: Callable[[str], bool]) -> frozenset[str]:
        return frozenset(url for url, at in self._at.items() if at >= (1 if held(url) else many))

    def _count(self, crowded: frozenset[str]) -> None:
        """What is for `crowded` URLs is not counted: no more of it comes."""
        self._crowded = crowded
        self._near = Counter()
        for url, at in self._at.items():
            if url not in crowded:
                self._near[self._hosts[url]] += at
        self._moving = sum(min(near, self._soon) for near in self._near.values())


EVERYTHING = Everything()
