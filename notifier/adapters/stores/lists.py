"""What people look at, over readers of its own: however long a list takes, the daemon's work does not wait for it."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from notifier.adapters.stores import catalog
from notifier.adapters.stores.reader import Reader
from notifier.domain.delivery import DeliveryView
from notifier.domain.watch import WatchView
from notifier.ports import Counts, DeliveryPage, Page, Results, TooManyListsError, WatchPage

PageT = TypeVar("PageT")
MOST_LISTS = 32
"""Pages of lists that are read or wait for it: a page of a full store takes a tenth of a second or so."""


class Lists:
    """Implements the Catalog port."""

    def __init__(self, lists: Reader) -> None:
        self._lists = lists
        self._listing = 0

    async def watch(self, watch_id: str) -> WatchView | None:
        return await self._lists.read(lambda on: catalog.watch(on, watch_id))

    async def watches(
        self, page: Page, *, state: str | None = None, provider: str | None = None, task_id: str | None = None
    ) -> WatchPage:
        return await self._list(lambda on: catalog.watches_page(on, page, state, provider, task_id))

    async def delivery_view(self, delivery_id: str) -> DeliveryView | None:
        return await self._lists.read(lambda on: catalog.delivery(on, delivery_id))

    async def deliveries(self, page: Page, *, state: str | None = None, watch_id: str | None = None) -> DeliveryPage:
        return await self._list(lambda on: catalog.deliveries_page(on, page, state, watch_id))

    async def results(self, task_key: int) -> Results:
        return await self._lists.read(lambda on: catalog.results(on, task_key))

    async def counts(self) -> Counts:
        return await self._lists.read(catalog.counts)

    async def _list(self, page: Callable[[Connection], PageT]) -> PageT:
        if self._listing >= MOST_LISTS:
            raise TooManyListsError(f"{MOST_LISTS} lists are being read; ask again in a moment")
        self._listing += 1
        try:
            return await self._lists.read(page)
        finally:
            self._listing -= 1
