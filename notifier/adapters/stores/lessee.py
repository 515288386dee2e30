"""Who attempts a delivery: this node, another one, or whoever is free."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from notifier.domain.delivery import Delivery
from notifier.ports import Tenure


class Lessee(Protocol):
    """Asked inside transactions, perhaps from another thread."""

    @property
    def node(self) -> str | None:
        """This node, as its deliveries name it."""
        ...

    @property
    def sole(self) -> bool:
        """Nobody else attempts this store's deliveries, so all are this daemon's and none names it."""
        ...

    def takes(self, url: str) -> bool:
        """Whether this node has room for another delivery to this URL."""
        ...


@dataclass(frozen=True, slots=True)
class Sole:
    """The only daemon of a store."""

    node: None = None
    sole: bool = True

    def takes(self, url: str) -> bool:
        return True


class OneOfMany:
    """A node among others: `takes_url` says for which URLs it has room now."""

    sole = False

    def __init__(self, tenure: Tenure, takes_url: Callable[[str], bool]) -> None:
        self._tenure = tenure
        self._takes_url = takes_url

    @property
    def node(self) -> str | None:
        return self._tenure.node

    def takes(self, url: str) -> bool:
        return self._tenure.node is not None and self._takes_url(url)


SOLE = Sole()


def leased_by(delivery: Delivery, lessee: Lessee) -> str | None:
    """What a delivery's row says of who attempts it; what is held goes with its task, and is nobody's."""
    return lessee.node if delivery.ours and delivery.held_until is None else None


def offered(deliveries: Sequence[Delivery], lessee: Lessee) -> list[Delivery]:
    """The same deliveries; those for which there is no room here are not ours."""
    return [one if lessee.takes(one.callback_url) else replace(one, ours=False) for one in deliveries]
