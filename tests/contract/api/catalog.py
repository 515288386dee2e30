"""The catalog over the store in memory. Numbers in cursors are positions in the order of registration."""

from collections.abc import Sequence
from typing import Any

from notifier.domain.delivery import DeliveryView
from notifier.domain.watch import WatchView
from notifier.ports import Counts, DeliveryPage, Page, Results, StoreUnavailableError, WatchPage
from tests.fake_store import FakeStore


class FakeCatalog:
    """`broken` is raised by whoever asks: a fault of our own."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.broken: Exception | None = None

    def _ask(self) -> FakeStore:
        if self.broken is not None:
            raise self.broken
        if self._store.down:
            raise StoreUnavailableError("disk I/O error")
        return self._store

    async def watch(self, watch_id: str) -> WatchView | None:
        store = self._ask()
        return store.view(watch_id) if watch_id in store.watches else None

    async def watches(
        self, page: Page, *, state: str | None = None, provider: str | None = None, task_id: str | None = None
    ) -> WatchPage:
        store = self._ask()
        wanted = [
            (number, watch.id)
            for number, watch in enumerate(store.watches.values(), 1)
            if state in (None, watch.state) and provider in (None, watch.provider) and task_id in (None, watch.task_id)
            if _is_under(watch.callback_url, page)
        ]
        shown, more = _cut(wanted, page)
        return WatchPage(tuple(store.view(watch_id) for watch_id in shown), more)

    async def delivery_view(self, delivery_id: str) -> DeliveryView | None:
        store = self._ask()
        known = store.deliveries.get(delivery_id)
        return None if known is None else DeliveryView(known, tuple(store.logs.get(delivery_id, ())[-50:]))

    async def deliveries(self, page: Page, *, state: str | None = None, watch_id: str | None = None) -> DeliveryPage:
        store = self._ask()
        wanted = [
            (number, delivery)
            for number, delivery in enumerate(store.deliveries.values(), 1)
            if state in (None, delivery.state) and watch_id in (None, delivery.watch_id)
            if _is_under(delivery.callback_url, page)
        ]
        shown, more = _cut(wanted, page)
        return DeliveryPage(tuple(DeliveryView(delivery) for delivery in shown), more)

    async def results(self, task_key: int) -> Results:
        end = self._ask().tasks[task_key].end
        return Results() if end is None else Results(end.urls, end.files)

    async def counts(self) -> Counts:
        raise AssertionError("metrics are rendered elsewhere")


def _is_under(url: str, page: Page) -> bool:
    return not page.under or any(prefix.covers(url) for prefix in page.under)


def _cut(numbered: Sequence[tuple[int, Any]], page: Page) -> tuple[list[Any], int | None]:
    newest = [one for one in reversed(numbered) if page.before is None or one[0] < page.before]
    shown = newest[: page.limit]
    return [item for _, item in shown], shown[-1][0] if len(newest) > page.limit else None
