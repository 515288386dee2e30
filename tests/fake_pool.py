"""A store in memory that many nodes share, as one of them sees it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notifier.domain.delivery import Attempt, Delivery, keeps
from notifier.ports import Clock, Settlement, Tenure, Waiting
from tests.fake_store import FakeStore

SOON, LATE = timedelta(seconds=2), timedelta(seconds=10)


@dataclass
class FakeTenure:
    """`holding` says whether this node may act, `node` who it is."""

    node: str | None = "node_1"
    holding: bool = True

    def holds(self) -> bool:
        return self.holding


class SharedStore(FakeStore):
    """`leases` names who attempts each delivery; one that is missing there is nobody's. `living` are the nodes that
    have joined."""

    def __init__(self, tenure: Tenure, clock: Clock) -> None:
        super().__init__()
        self.leases: dict[str, str] = {}
        self.living = {tenure.node, "node_2"}
        self.claims: list[tuple[int, set[str]]] = []
        self._tenure = tenure
        self._clock = clock

    async def settle(self, delivery: Delivery, attempt: Attempt) -> Settlement:
        if self.leases.get(delivery.id) != self._tenure.node:
            self._reach()
            return "lost"
        settlement = await super().settle(delivery, attempt)
        if settlement == "kept" and not keeps(delivery, attempt):
            del self.leases[delivery.id]
            return "freed"
        return settlement

    async def redeliver(self, delivery_id: str, now: datetime) -> Delivery | None:
        again = await super().redeliver(delivery_id, now)
        if again is not None and self._tenure.node is not None:
            self.leases[delivery_id] = self._tenure.node
        return again

    # DeliveryPool

    async def claim(self, most: int, crowded: Collection[str]) -> Sequence[Waiting]:
        self._reach()
        self.claims.append((most, set(crowded)))
        free = [one for one in self._due(SOON) if one.id not in self.leases and one.callback_url not in crowded]
        self.leases |= {one.id: str(self._tenure.node) for one in free[:most]}
        return free[:most]

    async def strays(self) -> Sequence[Waiting]:
        self._reach()
        return [one for one in self._due(-LATE) if self.leases.get(one.id) == self._tenure.node]

    async def give_up(self, but: Collection[str]) -> int:
        self._reach()
        mine = [one for one, node in self.leases.items() if node == self._tenure.node and one not in but]
        for one in mine:
            del self.leases[one]
        return len(mine)

    async def free_orphans(self) -> int:
        self._reach()
        orphans = [one for one, node in self.leases.items() if node not in self.living]
        for one in orphans:
            del self.leases[one]
        return len(orphans)

    def _due(self, within: timedelta) -> list[Waiting]:
        by = self._clock.now() + within
        pending = [one for one in self.deliveries.values() if one.state == "pending" and one.held_until is None]
        due = [Waiting(one.id, one.callback_url, one.next_attempt_at) for one in pending if one.next_attempt_at]
        return sorted((one for one in due if one.next_attempt_at <= by), key=lambda one: one.next_attempt_at)

    def owed_by(self, delivery: Delivery, node: str | None) -> Delivery:
        """A delivery that is this node's; None: nobody's."""
        self.deliveries[delivery.id] = delivery
        if node is not None:
            self.leases[delivery.id] = node
        return replace(delivery, ours=node == self._tenure.node)
