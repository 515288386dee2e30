"""All seven ports over one SQL database: what changes something goes to the writer, what only looks to the reader."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import TypeVar

from sqlalchemy import Connection

from notifier.adapters.stores import (
    bodies,
    deliveries,
    endpoints,
    ends,
    files,
    lives,
    results,
    tasks,
    upkeep,
    watches,
)
from notifier.adapters.stores.herald import SILENCE, Herald, of_cancelled, of_declared, of_registered, telling
from notifier.adapters.stores.leases import UNFENCED, Fences, Held, knowing, prove, proven
from notifier.adapters.stores.lessee import SOLE, Lessee
from notifier.adapters.stores.lists import Lists
from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.reader import Reader
from notifier.adapters.stores.sharing import Shared
from notifier.adapters.stores.writer import Writer
from notifier.domain.delivery import Attempt, Delivery
from notifier.domain.endpoint import Endpoint, Overfull
from notifier.domain.lifetimes import Life
from notifier.domain.task import Task
from notifier.domain.watch import Registration
from notifier.ports import (
    Alter,
    Announce,
    Cancelled,
    Declared,
    Expired,
    Known,
    Outdated,
    Registered,
    Retell,
    Settlement,
    Space,
    StoreFault,
    StoreUnavailableError,
    Subject,
    Unsettled,
    Waiting,
)

T = TypeVar("T")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class SqlStore(Lists):
    """WatchStore, TaskStore, History, DeliveryStore, ResultStore, BodyStore, EndpointStore, Catalog and Upkeep.

    It remembers the providers' usual intervals as `watched`, `register` and `declare` last told them: a watch without
    an interval of its own counts with its provider's wherever a task's interval is summed up.

    `reader` is for what the daemon works on, `lists` for what callers look at; neither waits for the other.
    `lessee` says whose the deliveries are, `fences` which tasks this daemon may write of, `herald` tells other nodes of
    what they have to know.
    """

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        lists: Reader,
        *,
        release: Callable[[], Awaitable[None]],
        outage: Outage,
        space: Callable[[], Space],
    ) -> None:
        super().__init__(lists)
        self._writer = writer
        self._reader = reader
        self._release = release
        self._outage = outage
        self._space = space
        self._usual: Mapping[str, float] = {}
        self.lessee: Lessee = SOLE
        self.fences: Fences = UNFENCED
        self.herald: Herald = SILENCE
        self._register: Shared[watches.Wanted, Sequence[Registered]] = Shared(self._register_all)
        self._save: Shared[tuple[Sequence[Task], Held], None] = Shared(
            self._save_all,
            early=True,  # of a task whose end is being saved nothing else is
            patient=True,  # nobody waits for it: after a start every first answer is a change
        )
        self._end: Shared[tuple[Task, Announce, Held], Sequence[Delivery]] = Shared(self._end_all)
        self._settle: Shared[tuple[Delivery, Attempt], Settlement] = Shared(
            lambda on, wanted: deliveries.settle(on, wanted, self.lessee),
            early=True,  # a delivery is attempted only when what made it due has been committed
            patient=True,
        )

    async def close(self) -> None:
        """Finish what was asked for, then let go of the database; everything after that is refused."""
        await self._lists.close()
        await self._reader.close()
        await self._writer.close()
        await self._release()

    # WatchStore

    async def register(
        self, registrations: Sequence[Registration], now: datetime, announce: Announce
    ) -> Sequence[Registered]:
        self._learn(registrations)
        return await self._writer.share(self._register, watches.Wanted(registrations, now, announce))

    def _register_all(self, on: Connection, wanted: Sequence[watches.Wanted]) -> Sequence[Sequence[Registered]]:
        registered = watches.register(on, wanted, self._usual, lessee=self.lessee)
        self.herald.tasks(on, of_registered(chain.from_iterable(registered)))
        return registered

    async def cancel(self, watch_id: str, now: datetime, known: Known) -> Cancelled | None:
        ours = knowing(self.fences, known)

        def work(on: Connection) -> Cancelled | None:
            return watches.cancel(on, watch_id, now, known=ours(on), usual_intervals=self._usual)

        return await self._writer.write(telling(self.herald, work, of_cancelled))

    async def declare(
        self, registrations: Sequence[Registration], now: datetime, announce: Announce, known: Known
    ) -> Declared:
        self._learn(registrations)
        ours = knowing(self.fences, known)

        def work(on: Connection) -> Declared:
            return watches.declare(
                on, registrations, now, announce, known=ours(on), usual_intervals=self._usual, lessee=self.lessee
            )

        return await self._writer.write(telling(self.herald, work, of_declared))

    def _learn(self, registrations: Sequence[Registration]) -> None:
        told = {one.provider: one.usual_interval for one in registrations}
        self._usual = {**self._usual, **told}

    # TaskStore

    async def watched(
        self, usual_intervals: Mapping[str, float], shards: Collection[int] | None = None
    ) -> Sequence[Task]:
        self._usual = {**self._usual, **usual_intervals}
        return await self._reader.read(lambda on: tasks.watched(on, usual_intervals, shards))

    async def save(self, tasks_: Sequence[Task]) -> None:
        await self._writer.share(self._save, (tasks_, self.fences.now()))

    def _save_all(self, on: Connection, wanted: Sequence[tuple[Sequence[Task], Held]]) -> Sequence[None]:
        lost = self.fences.lost(on, ((task.key, held) for learned, held in wanted for task in learned))
        tasks.save(on, [task for learned, _ in wanted for task in learned if task.key not in lost])
        return [None for _ in wanted]

    async def end(self, task: Task, announce: Announce) -> Sequence[Delivery]:
        return await self._writer.share(self._end, (task, announce, self.fences.now()))

    def _end_all(
        self, on: Connection, wanted: Sequence[tuple[Task, Announce, Held]]
    ) -> Sequence[Sequence[Delivery]]:
        prove(self.fences, on, ((task.key, held) for task, _, held in wanted))
        return ends.end(on, [(task, announce) for task, announce, _ in wanted], self.lessee)

    async def expire(self, task: Task, now: datetime, announce: Announce) -> Expired:
        return await self._writer.write(
            proven(
                self.fences,
                task.key,
                lambda on: ends.expire(on, task, now, announce, self._usual, lessee=self.lessee),
            )
        )

    # History

    async def lives(self) -> Sequence[Life]:
        return await self._reader.read(lives.latest)

    # DeliveryStore

    async def waiting(self) -> Sequence[Waiting]:
        return await self._reader.read(deliveries.waiting)

    async def delivery(self, delivery_id: str) -> Delivery | None:
        return await self._reader.read(lambda on: deliveries.delivery(on, delivery_id))

    async def settle(self, delivery: Delivery, attempt: Attempt) -> Settlement:
        return await self._writer.share(self._settle, (delivery, attempt))

    async def redeliver(self, delivery_id: str, now: datetime) -> Delivery | None:
        return await self._writer.write(lambda on: deliveries.redeliver(on, delivery_id, now, self.lessee))

    # ResultStore

    async def unsettled(self, shards: Collection[int] | None = None) -> Unsettled:
        return await self._reader.read(lambda on: results.unsettled(on, shards))

    async def result(self, key: int) -> Task | None:
        return await self._reader.read(lambda on: results.result(on, key))

    async def keep(
        self, task: Task, changed: Collection[int], now: datetime, retell: Retell
    ) -> Sequence[Delivery]:
        def work(on: Connection) -> Sequence[Delivery]:
            return results.keep(on, task, changed, now, retell, lessee=self.lessee)

        return await self._writer.write(proven(self.fences, task.key, work))

    async def release(self, delivery_id: str, now: datetime, retell: Retell) -> Delivery | None:
        held = self.fences.now()

        def work(on: Connection) -> Delivery | None:
            key = results.task_of_held(on, delivery_id)
            if key is None:
                return None
            prove(self.fences, on, [(key, held)])
            return results.release(on, delivery_id, now, retell, lessee=self.lessee)

        return await self._writer.write(work)

    async def outdated(self, before: datetime, most: int, behind: Outdated | None = None) -> Sequence[Outdated]:
        return await self._reader.read(lambda on: files.outdated(on, before, most, behind))

    async def forget(self, file: Outdated, why: str) -> None:
        await self._writer.write(lambda on: files.forget(on, file, why))

    # BodyStore

    async def subject(self, delivery_id: str) -> Subject | None:
        return await self._reader.read(lambda on: bodies.subject(on, delivery_id))

    async def rewrite(self, delivery: Delivery, task: Task) -> bool:
        return await self._writer.write(lambda on: bodies.rewrite(on, delivery, task, self.lessee))

    # EndpointStore

    async def endpoints(self) -> Sequence[Endpoint]:
        return await self._reader.read(endpoints.every)

    async def add_endpoint(self, endpoint: Endpoint) -> Endpoint:
        return await self._writer.write(self._telling_of_it(lambda on: endpoints.add(on, endpoint)))

    async def change_endpoint(self, endpoint_id: str, alter: Alter) -> Endpoint | Overfull | None:
        return await self._writer.write(self._telling_of_it(lambda on: endpoints.change(on, endpoint_id, alter)))

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        return await self._writer.write(self._telling_of_it(lambda on: endpoints.remove(on, endpoint_id)))

    def _telling_of_it(self, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
        def told(connection: Connection) -> T:
            result = work(connection)
            self.herald.endpoints(connection)
            return result

        return told

    # Upkeep

    async def clean(self, before: datetime, *, keep_files: bool = False) -> int:
        """In portions, each a transaction of its own, so that other writes slip in between."""
        deleted, since = 0, LONG_AGO
        while True:
            cleaned = await self._writer.write(_cleaning(before, since, keep_files=keep_files))
            deleted += cleaned.watches
            if cleaned.resume is None:
                return deleted
            since = cleaned.resume

    async def ping(self) -> None:
        await self._writer.write(upkeep.ping)
        if self._outage.damage is not None:
            raise StoreUnavailableError(str(self._outage.damage), "damaged")

    def fault(self) -> StoreFault | None:
        return self._outage.fault

    async def space(self) -> Space:
        return await asyncio.to_thread(self._space)


def _cleaning(before: datetime, since: datetime, *, keep_files: bool) -> Callable[[Connection], upkeep.Cleaned]:
    return lambda on: upkeep.clean(on, before, since, keep_files=keep_files)
