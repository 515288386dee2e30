"""Shares of the providers' rates, in a PostgreSQL that many nodes use.

A provider has a row of nobody's beside those of the nodes: who takes a share of it holds that row until the commit, so
that no two nodes take what only one of them can have.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, bindparam, insert, select, text, update
from sqlalchemy.dialects import postgresql

from notifier.adapters.stores.herald import ROSTER, tell
from notifier.adapters.stores.schema import nodes, shares
from notifier.domain.share import Wish, granted, is_news
from notifier.ports import Buried

T = TypeVar("T")

NOBODY = ""
_PATIENCE = text("SET LOCAL lock_timeout = 300")
"""Milliseconds: others hold the row for a few. If one of them stopped meanwhile, the next beat asks again."""


_IS_THERE = (
    select(nodes.c.id)
    .where(nodes.c.id == bindparam("me"))
    .with_for_update(read=True, key_share=True)  # nobody buries it meanwhile, and its beats go on
)


class Transactions(Protocol):
    def __call__(self, work: Callable[[Connection], T], /) -> Awaitable[T]:
        """Run this in a transaction that may write; StoreUnavailableError when it is not known to be committed."""
        ...


class SqlShares:
    """Implements the Shares port. What `run` runs keeps no write of the store waiting."""

    def __init__(self, run: Transactions) -> None:
        self._run = run

    async def take(self, node_id: str, wishes: Mapping[str, Wish]) -> Mapping[str, float] | Buried:
        return await self._run(lambda connection: _take(connection, node_id, wishes))


def _take(connection: Connection, node_id: str, wishes: Mapping[str, Wish]) -> Mapping[str, float] | Buried:
    connection.execute(_PATIENCE)
    if connection.execute(_IS_THERE, {"me": node_id}).first() is None:
        return Buried()
    _lock(connection, sorted(wishes))
    others, mine = _sums(connection, node_id, sorted(wishes))
    taken = {provider: granted(wish, others.get(provider, 0.0)) for provider, wish in wishes.items()}
    for provider, rate in taken.items():
        _write(connection, provider, node_id, rate)
    if any(is_news(mine.get(provider, 0.0), taken[provider], wish.rate) for provider, wish in wishes.items()):
        tell(connection, ROSTER)
    return taken


def _lock(connection: Connection, providers: Sequence[str]) -> None:
    """In the order of their names, so that nobody waits for each other."""
    rows = select(shares.c.provider).where(shares.c.node == NOBODY, shares.c.provider.in_(providers))
    locked = rows.order_by(shares.c.provider).with_for_update()
    missing = set(providers) - set(connection.scalars(locked))
    if missing:
        new = [{"provider": provider, "node": NOBODY, "rate": 0.0} for provider in sorted(missing)]
        connection.execute(postgresql.insert(shares).on_conflict_do_nothing(), new)
        connection.execute(locked)


def _sums(
    connection: Connection, node_id: str, providers: Sequence[str]
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """What the other nodes have, and what this one has. A statement of its own: only so it sees what was committed
    while the lock was waited for."""
    rates = select(shares.c.provider, shares.c.node, shares.c.rate).where(
        shares.c.provider.in_(providers), shares.c.node.in_(select(nodes.c.id))
    )
    others, mine = defaultdict[str, float](float), dict[str, float]()
    for provider, node, rate in connection.execute(rates):
        if node == node_id:
            mine[provider] = rate
        else:
            others[provider] += rate
    return others, mine


def _write(connection: Connection, provider: str, node_id: str, rate: float) -> None:
    mine: ColumnElement[Any] = and_(shares.c.provider == provider, shares.c.node == node_id)
    if connection.execute(update(shares).where(mine).values(rate=rate)).rowcount == 0:
        connection.execute(insert(shares).values(provider=provider, node=node_id, rate=rate))
