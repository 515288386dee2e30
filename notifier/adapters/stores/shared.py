"""A store that many nodes share: what only they need of it."""

import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime

from notifier.adapters.stores import claims, tasks
from notifier.adapters.stores.herald import Crier
from notifier.adapters.stores.leases import Leases
from notifier.adapters.stores.lessee import OneOfMany
from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.patience import closing
from notifier.adapters.stores.reader import Reader
from notifier.adapters.stores.store import SqlStore
from notifier.adapters.stores.writer import Writer
from notifier.domain.task import Task
from notifier.ports import Space, Tenure, Waiting


class SharedStore(SqlStore):
    """DeliveryPool and SharedTasks as well. Until it is `shared` it is a store of one daemon, as any other."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        lists: Reader,
        *,
        release: Callable[[], Awaitable[None]],
        outage: Outage,
        space: Callable[[], Space],
        over: threading.Event,
    ) -> None:
        super().__init__(writer, reader, lists, release=release, outage=outage, space=space)
        self._over = over

    async def close(self) -> None:
        """What the server does not answer in time did not happen, as far as anybody knows."""
        async with closing(self._over):
            await super().close()

    def share(self, tenure: Tenure, takes: Callable[[str], bool], leases: Leases) -> None:
        """From now on others work on this store, too: what is written is this node's, by its `tenure`, and of tasks
        only what its `leases` allow. `takes` says for which URLs it has room for another delivery."""
        self.lessee, self.herald, self.fences = OneOfMany(tenure, takes), Crier(tenure), leases

    # DeliveryPool

    async def claim(self, most: int, crowded: Collection[str]) -> Sequence[Waiting]:
        node = self.lessee.node
        free = await self._reader.read(lambda on: claims.free(on, most, crowded))
        if not free or node is None:
            return ()
        return await self._writer.write(lambda on: claims.claim(on, free, node))

    async def strays(self) -> Sequence[Waiting]:
        node = self.lessee.node
        return () if node is None else await self._reader.read(lambda on: claims.strays(on, node))

    async def give_up(self, but: Collection[str]) -> int:
        node = self.lessee.node
        return 0 if node is None else await self._writer.write(lambda on: claims.give_up(on, node, but))

    async def free_orphans(self) -> int:
        return await self._writer.write(claims.free_orphans)

    # SharedTasks

    async def current(self, keys: Collection[int]) -> Mapping[int, Task]:
        return await self._writer.write(lambda on: tasks.current(on, keys, self._usual))

    async def touched(self, seconds: float) -> Mapping[int, datetime]:
        return await self._reader.read(lambda on: tasks.touched(on, seconds))
