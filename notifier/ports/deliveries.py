"""Deliveries as they are kept: attempted, claimed among nodes, and written anew."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from notifier.domain.delivery import Attempt, Delivery
from notifier.domain.task import Task
from notifier.domain.watch import Watch


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending delivery, as little of it as waiting needs."""

    id: str
    callback_url: str
    next_attempt_at: datetime


Settlement: TypeAlias = Literal["kept", "known", "freed", "lost"]
"""What became of an attempt: it was kept, and the delivery stays with this node; it had been kept before, by this node
(the answer was lost); it was kept, and the next attempt is whoever's is free; the delivery is gone, or not this node's
any more, and nothing was kept."""


class DeliveryStore(Protocol):
    """Where many nodes share the store, each pending delivery is one node's, or whoever's is free. What is new is the
    node's that owes it, unless that has no room (then it is not `ours`); what is held is nobody's."""

    async def waiting(self) -> Sequence[Waiting]:
        """Every pending delivery that nothing holds back, the earliest due first."""
        ...

    async def delivery(self, delivery_id: str) -> Delivery | None: ...

    async def settle(self, delivery: Delivery, attempt: Attempt) -> Settlement:
        """Keep one attempt and what it made of the delivery, in one transaction, if no other attempt with its number
        was kept and the delivery is this node's (compare-and-set)."""
        ...

    async def redeliver(self, delivery_id: str, now: datetime) -> Delivery | None:
        """Make a delivered or exhausted delivery pending again; None if it is pending or does not exist."""
        ...


class DeliveryPool(Protocol):
    """Pending deliveries of a store that many nodes share, as far as nobody holds them back. A write that is not known
    to have happened leaves at most deliveries that are this node's without its knowing: `strays`."""

    async def claim(self, most: int, crowded: Collection[str]) -> Sequence[Waiting]:
        """Those that are this node's from now on: nobody's before, due within two seconds on the database's clock, the
        earliest first, but none for the `crowded` URLs. What another node is claiming at the same time is left out."""
        ...

    async def strays(self) -> Sequence[Waiting]:
        """Those that are this node's and have been due for ten seconds: it may not know of them."""
        ...

    async def give_up(self, but: Collection[str]) -> int:
        """Make nobody's what is this node's, `but` for these deliveries (ids); how many there were."""
        ...

    async def free_orphans(self) -> int:
        """Make nobody's what was the deliveries of nodes that are gone; how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """What a delivery is about: the task, which has ended, and the watch, as they are known now."""

    task: Task
    watch: Watch


class BodyStore(Protocol):
    """Bodies of deliveries, which are written anew while they are late."""

    async def subject(self, delivery_id: str) -> Subject | None:
        """None: there is no such delivery, or its task is not one that completed or failed."""
        ...

    async def rewrite(self, delivery: Delivery, task: Task) -> bool:
        """In one transaction: give a pending delivery that nothing holds back this body, with what is known of the URLs
        in it, and keep what was learned of the task when it was refreshed, unless something newer is. False, and
        nothing, if the delivery was attempted meanwhile or is gone (compare-and-set on the number of attempts)."""
        ...
