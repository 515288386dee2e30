"""Deliveries of a store that many nodes share, taken by whichever is free. PostgreSQL's only."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Text, all_, bindparam, exists, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from notifier.adapters.stores.database_clock import STARTED
from notifier.adapters.stores.deliveries import WAITING
from notifier.adapters.stores.schema import HELD, PENDING, deliveries, nodes
from notifier.ports import Waiting

SOON_MICROSECONDS = 2_000_000
"""What is due so soon is claimed already, so that it starts on time."""
LATE_MICROSECONDS = 10_000_000
"""Whoever knows of a delivery has begun with it by then, or its receiver is slow."""

_NOBODYS = deliveries.c.leased_by.is_(None)
_FREE = (
    select(deliveries.c.id)
    .where(PENDING, ~HELD, _NOBODYS)
    .where(deliveries.c.next_attempt_at <= literal_column(f"{STARTED} + {SOON_MICROSECONDS}"))
    .where(deliveries.c.callback_url != all_(bindparam("crowded", type_=ARRAY(Text))))  # as many as have a circuit
    .order_by(deliveries.c.next_attempt_at)
    .limit(bindparam("most"))
)
_STILL_FREE = (
    select(deliveries.c.id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)), PENDING, ~HELD, _NOBODYS)
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    update(deliveries)
    .where(deliveries.c.id.in_(_STILL_FREE.scalar_subquery()))
    .values(leased_by=bindparam("node"))
    .returning(deliveries.c.id, deliveries.c.callback_url, deliveries.c.next_attempt_at)
)
_STRAYS = (
    WAITING.where(deliveries.c.leased_by == bindparam("node"))
    .where(deliveries.c.next_attempt_at <= literal_column(f"{STARTED} - {LATE_MICROSECONDS}"))
    .order_by(deliveries.c.next_attempt_at)
)
_ORPHANED = (
    select(deliveries.c.id)
    .where(deliveries.c.leased_by.is_not(None), ~exists().where(nodes.c.id == deliveries.c.leased_by))
    .with_for_update(skip_locked=True)  # one that a stopped node holds on to is found the next time
)
_ORPHANS = update(deliveries).where(deliveries.c.id.in_(_ORPHANED.scalar_subquery())).values(leased_by=None)
_WAITING = (
    select(deliveries.c.id)
    .where(deliveries.c.leased_by == bindparam("node"), deliveries.c.id != all_(bindparam("but", type_=ARRAY(Text))))
    .with_for_update(skip_locked=True)
)
_GIVE_UP = update(deliveries).where(deliveries.c.id.in_(_WAITING.scalar_subquery())).values(leased_by=None)


def free(connection: Connection, most: int, crowded: Collection[str]) -> list[str]:
    """What may be claimed now. A full store is looked through where nobody waits for it."""
    return list(connection.execute(_FREE, {"most": most, "crowded": list(crowded)}).scalars())


def claim(connection: Connection, ids: Sequence[str], node: str) -> list[Waiting]:
    """Those of these that are still nobody's, and that nobody else is about to claim."""
    claimed = [Waiting(*row) for row in connection.execute(_CLAIM, {"ids": list(ids), "node": node})]
    return sorted(claimed, key=lambda one: one.next_attempt_at)


def strays(connection: Connection, node: str) -> list[Waiting]:
    return [Waiting(*row) for row in connection.execute(_STRAYS, {"node": node})]


def give_up(connection: Connection, node: str, but: Collection[str]) -> int:
    return connection.execute(_GIVE_UP, {"node": node, "but": list(but)}).rowcount


def free_orphans(connection: Connection) -> int:
    return connection.execute(_ORPHANS).rowcount
