"""Looking at what is kept, and keeping it well."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from notifier.domain.delivery import DeliveryView
from notifier.domain.prefix import Prefix
from notifier.domain.result_file import ResultFile
from notifier.domain.watch import WatchView
from notifier.ports.store import StoreFault


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: at most `limit`, newest first, older than `before` (a cursor from the page before).

    With `under`, only what goes to URLs that one of the prefixes covers. How much is looked through for it is bounded:
    such a page may be short, or empty, and have a next one."""

    limit: int = 50
    before: int | None = None
    under: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchPage:
    watches: tuple[WatchView, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    deliveries: tuple[DeliveryView, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class Results:
    """What a task made: the provider's URLs, and what became of those that are to be saved, by their numbers."""

    urls: tuple[str, ...] = ()
    files: tuple[ResultFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Oldest:
    """The pending delivery that was owed first, and since when."""

    id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """How many watches and deliveries are in each state, and how many files are still to be saved."""

    watches: Mapping[str, int] = field(default_factory=dict)
    deliveries: Mapping[str, int] = field(default_factory=dict)
    oldest_pending: Oldest | None = None
    files_pending: int = 0


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes: what the store takes, and what is free on its disk (None where that is not known)."""

    used: int
    free: int | None


class Catalog(Protocol):
    """Reading for people: nothing here changes anything."""

    async def watch(self, watch_id: str) -> WatchView | None: ...

    async def watches(
        self, page: Page, *, state: str | None = None, provider: str | None = None, task_id: str | None = None
    ) -> WatchPage: ...

    async def delivery_view(self, delivery_id: str) -> DeliveryView | None:
        """With its latest 50 attempts, oldest first."""
        ...

    async def deliveries(self, page: Page, *, state: str | None = None, watch_id: str | None = None) -> DeliveryPage:
        """Without their logs."""
        ...

    async def results(self, task_key: int) -> Results:
        """None of either, while the task goes on or when it made nothing."""
        ...

    async def counts(self) -> Counts: ...


class Upkeep(Protocol):
    async def clean(self, before: datetime, *, keep_files: bool = False) -> int:
        """Delete watches that ended before then with their deliveries, and tasks that nobody watched since; returns how
        many watches. What is declared in the configuration stays, and so does what still owes a pending delivery, or
        waits for files. What is known of a task's files goes with it, but with `keep_files` of those that are saved:
        they will be deleted later."""
        ...

    async def ping(self) -> None:
        """Prove that the store takes a durable write, and that no damage to it is known."""
        ...

    def fault(self) -> StoreFault | None:
        """Why the latest write that was answered was refused; None: it was taken."""
        ...

    async def space(self) -> Space: ...
