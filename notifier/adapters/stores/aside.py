"""Connections beside the store's own: whether a node is alive must not depend on how busy it is."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection

from notifier.adapters.stores.address import shown
from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.postgres import conninfo, limited
from notifier.adapters.stores.postgres_errors import explainer
from notifier.adapters.stores.reader import Reader

T = TypeVar("T")

_WRITES = "BEGIN ISOLATION LEVEL READ COMMITTED"
_MILLISECONDS = 3_000
"""How long a statement may take: a beat that comes later is of no use."""
_MOVES = 2
_QUICK = {"connect_timeout": "3", "keepalives_idle": "2", "keepalives_interval": "1", "keepalives_count": "2",
          "tcp_user_timeout": "4000"}  # a server that is gone without a word is noticed while the lease holds


class Aside:
    """Runs short transactions. `beats` waits for nothing but another beat."""

    def __init__(self, url: str) -> None:
        where = _quick(url)
        explain = explainer(shown(url))
        self._over = threading.Event()
        self._engines = [limited(where, size, _WRITES, _MILLISECONDS, over=self._over) for size in (1, _MOVES)]
        self._beats = Reader(self._engines[0], explain, threads=1, outage=Outage())
        self._moves = Reader(self._engines[1], explain, threads=_MOVES, outage=Outage())

    async def beats(self, work: Callable[[Connection], T], /) -> T:
        return await self._beats.read(work)

    async def moves(self, work: Callable[[Connection], T], /) -> T:
        return await self._moves.read(work)

    async def close(self) -> None:
        """What is under way is of no use any more."""
        self._over.set()
        await self._moves.close()
        await self._beats.close()
        for engine in self._engines:
            await asyncio.to_thread(engine.dispose)


def _quick(url: str) -> str:
    """What the URL says itself goes before."""
    full = conninfo(url)  # which names a URL that is none
    given = conninfo_to_dict(url)
    return make_conninfo(full, **{name: value for name, value in _QUICK.items() if name not in given})
