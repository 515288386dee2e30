"""Which deliveries this node attempts, and how many more it has room for."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

MOST_MOVING = 2000
"""Deliveries in memory that can be expected to go soon; what exceeds them is left to nodes that are free."""
MOST_AT_ONE_URL = 500
"""A receiver that is slower than its deliveries come is no reason to have no room for those of others: what is behind
so many stays in the store, and they are not counted any more."""


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
        self._at: Counter[str] = Counter()
        self._crowded: frozenset[str] = frozenset()
        self._moving = 0

    def keep(self, delivery_id: str, url: str) -> None:
        if delivery_id not in self._urls:
            self._urls[delivery_id] = url
            self._at[url] += 1
            self._moving += url not in self._crowded

    def drop(self, delivery_id: str) -> None:
        url = self._urls.pop(delivery_id, None)
        if url is not None:
            self._moving -= url not in self._crowded
            self._at[url] -= 1
            if not self._at[url]:
                del self._at[url]

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._urls

    def clear(self) -> None:
        self._urls.clear()
        self._at.clear()
        self._crowded, self._moving = frozenset(), 0

    def takes(self, url: str) -> bool:
        """Whether there is room for a new delivery to this URL. May be asked from any thread."""
        return self._moving < MOST_MOVING and url not in self._crowded and self._at[url] < MOST_AT_ONE_URL

    def survey(self, held: Callable[[str], bool]) -> Vacancy:
        """Count again. Of URLs that are `held` (their circuits are open) one delivery is enough: it is the probe."""
        self._crowded = frozenset(url for url, at in self._at.items() if at >= (1 if held(url) else MOST_AT_ONE_URL))
        self._moving = sum(at for url, at in self._at.items() if url not in self._crowded)
        return Vacancy(max(MOST_MOVING - self._moving, 0), self._crowded)


EVERYTHING = Everything()
