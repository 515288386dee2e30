"""The nodes of a database and their leases, as rows that are compared and set. PostgreSQL's only.

Whoever changes a shard's owner locks its row: nobody's write is under way then.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, literal_column, select, true, update
from sqlalchemy.dialects.postgresql import insert

from notifier.adapters.stores.database_clock import NOW
from notifier.adapters.stores.herald import ROSTER, tell
from notifier.adapters.stores.leases import Leases
from notifier.adapters.stores.schema import Moment, deliveries, nodes, shards, shares
from notifier.adapters.stores.shares import Transactions
from notifier.domain.lease import TTL_SECONDS, Lease, NodeRow, Roll
from notifier.ports import Buried

_TTL = int(TTL_SECONDS * 1_000_000)
_ALIVE_UNTIL = literal_column(f"{NOW} + {_TTL}", Moment)
_NOW = literal_column(NOW, Moment)
# Further ahead no beat can have set it: the database's clock was set back, or is another one's since a failover.
_ALIVE: ColumnElement[bool] = literal_column(f"alive_until BETWEEN {NOW} AND {NOW} + 2 * {_TTL}").is_(true())

_ME = nodes.c.id == bindparam("me")
_BEAT = update(nodes).where(_ME).values(alive_until=_ALIVE_UNTIL, report=bindparam("told"))
_NODES = select(nodes, _ALIVE.label("alive"), _NOW.label("now")).order_by(nodes.c.id)
_SHARDS = select(shards.c.n, shards.c.owner, shards.c.fence)
# Nobody buries it meanwhile, and its beats go on.
_I_LIVE = select(nodes.c.id).where(_ME).with_for_update(read=True, key_share=True)
_DEAD = select(nodes.c.id).where(_ME, ~_ALIVE).with_for_update(skip_locked=True)
_MINE = shards.c.owner == bindparam("me")
_WANTED = shards.c.n.in_(bindparam("wanted", expanding=True))
_FREE = select(shards.c.n).where(_WANTED, shards.c.owner.is_(None)).order_by(shards.c.n)
_OWN = _SHARDS.where(_MINE).order_by(shards.c.n).with_for_update()
_FREE_UP = update(shards).where(_WANTED, _MINE).values(owner=None, fence=shards.c.fence + 1)
_CLAIM = (
    update(shards)
    .where(shards.c.n.in_(_FREE.with_for_update(skip_locked=True).scalar_subquery()))
    .values(owner=bindparam("me"), fence=shards.c.fence + 1)
)
_ATTEMPTED = select(deliveries.c.id).where(deliveries.c.leased_by == bindparam("me")).with_for_update(skip_locked=True)
_GIVE_UP = update(deliveries).where(deliveries.c.id.in_(_ATTEMPTED.scalar_subquery())).values(leased_by=None)


class SqlRoster:
    """Implements the Roster port. `beats` runs nothing but beats, so that none waits for anything else; `moves` runs
    the rest. What was claimed stands in `leases`."""

    def __init__(self, beats: Transactions, moves: Transactions, leases: Leases) -> None:
        self._beats = beats
        self._moves = moves
        self._leases = leases
        self._me: str | None = None

    async def join(self, node_id: str, name: str, version: str) -> None:
        row = {"id": node_id, "name": name, "version": version, "report": "{}", "leaving": False}
        await self._moves(lambda on: _join(on, row))
        self._me = node_id
        self._leases.begin(node_id)

    async def beat(self, report: str) -> Roll | Buried:
        me = self._me
        return Buried() if me is None else await self._beats(lambda on: _beat(on, me, report))

    async def bury(self, node_id: str) -> bool:
        return await self._moves(lambda on: _bury(on, node_id))

    async def claim(self, shards: Collection[int]) -> Collection[int]:
        me = self._me
        claimed = {} if me is None else await self._moves(lambda on: _claim(on, me, shards))
        if self._me == me:
            self._leases.grant(claimed)
        return claimed.keys()

    async def release(self, shards: Collection[int]) -> None:
        self._leases.drop(shards)
        me = self._me
        await self._moves(lambda on: _release(on, me, shards))

    async def retire(self) -> None:
        self._leases.begin(self._me)
        me = self._me
        await self._moves(lambda on: _retire(on, me))

    async def leave(self) -> None:
        self._leases.begin(None)
        me, self._me = self._me, None
        await self._moves(lambda on: _remove(on, me))


def _join(connection: Connection, row: Mapping[str, Any]) -> None:
    new = insert(nodes).values(started_at=_NOW, alive_until=_ALIVE_UNTIL, **row)
    connection.execute(new.on_conflict_do_nothing())
    tell(connection, ROSTER)


def _beat(connection: Connection, me: str, report: str) -> Roll | Buried:
    if connection.execute(_BEAT, {"me": me, "told": report}).rowcount == 0:
        return Buried()
    rows = connection.execute(_NODES).all()
    known = tuple(
        NodeRow(row.id, row.name, row.version, row.started_at, row.alive_until, row.alive, row.leaving, row.report)
        for row in rows
    )
    held = {row.n: Lease(row.owner, row.fence) for row in connection.execute(_SHARDS)}
    return Roll(me, rows[0].now, known, held)


def _bury(connection: Connection, node_id: str) -> bool:
    if connection.execute(_DEAD, {"me": node_id}).first() is None:
        return False
    _remove(connection, node_id)
    return True


def _remove(connection: Connection, node_id: str | None) -> None:
    """What somebody else is writing of its deliveries is found later, when its name is nobody's any more."""
    _free_all(connection, node_id)
    connection.execute(_GIVE_UP, {"me": node_id})
    connection.execute(delete(shares).where(shares.c.node == node_id))
    connection.execute(delete(nodes).where(nodes.c.id == node_id))
    tell(connection, ROSTER)


def _claim(connection: Connection, me: str, wanted: Collection[int]) -> Mapping[int, int]:
    if connection.execute(_I_LIVE, {"me": me}).first() is None:
        return {}
    connection.execute(_CLAIM, {"me": me, "wanted": list(wanted)})
    rows = connection.execute(_SHARDS.where(_WANTED, _MINE), {"me": me, "wanted": list(wanted)})
    return {row.n: row.fence for row in rows}


def _release(connection: Connection, me: str | None, wanted: Collection[int]) -> None:
    _free(connection, me, [row.n for row in connection.execute(_OWN, {"me": me}) if row.n in wanted])
    tell(connection, ROSTER)


def _retire(connection: Connection, me: str | None) -> None:
    connection.execute(update(nodes).where(nodes.c.id == me).values(leaving=True))
    _free_all(connection, me)
    tell(connection, ROSTER)


def _free_all(connection: Connection, owner: str | None) -> None:
    _free(connection, owner, [row.n for row in connection.execute(_OWN, {"me": owner})])


def _free(connection: Connection, owner: str | None, numbers: Collection[int]) -> None:
    if numbers:
        connection.execute(_FREE_UP, {"me": owner, "wanted": list(numbers)})
