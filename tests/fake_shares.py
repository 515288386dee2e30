"""The shares of a database's nodes in memory: what the port promises, and no more."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifier.domain.share import Wish, granted, is_news
from notifier.ports import Buried, StoreUnavailableError
from tests.fake_roster import FakeDatabase


@dataclass
class FakeShares:
    """One for all nodes. `lost`: what is asked next is done, and its answer does not arrive."""

    database: FakeDatabase
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Wish]]] = field(default_factory=list)
    lost: bool = False

    async def take(self, node_id: str, wishes: Mapping[str, Wish]) -> Mapping[str, float] | Buried:
        self.asked.append((node_id, wishes))
        if self.database.down:
            raise StoreUnavailableError("connection refused")
        if node_id not in self.database.nodes:
            return Buried()
        taken = {provider: self._take(node_id, provider, wish) for provider, wish in wishes.items()}
        if self.lost:
            self.lost = False
            raise StoreUnavailableError("the connection was lost before the answer")
        return taken

    def _take(self, node_id: str, provider: str, wish: Wish) -> float:
        rates = self.rates.setdefault(provider, {})
        others = sum(rate for node, rate in rates.items() if node != node_id and node in self.database.nodes)
        before, rates[node_id] = rates.get(node_id, 0.0), granted(wish, others)
        if is_news(before, rates[node_id], wish.rate):
            self.database.wake()
        return rates[node_id]
