"""One thread that writes, with group commit: what is asked for while the disk syncs shares the next sync.

What is alike shares its statements, too (`sharing.py`).
"""

import asyncio
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine

from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.sharing import Shared, Wanted, together
from notifier.adapters.stores.transaction import Explain, transaction, trouble
from notifier.ports import StoreUnavailableError

MAX_BATCH = 500
"""When so many writes wait for a commit, no more are gathered for it: the first of them waits for the last."""
PATIENCE_SECONDS = 0.01
"""How long what is patient waits for others, to share their commit."""
TOLD_AT_ONCE = 32
T = TypeVar("T")
Relieve: TypeAlias = Callable[[Exception], None]
"""Look at why a transaction failed, and make it likelier that the next one does not. It must not raise."""
Collides: TypeAlias = Callable[[Exception], bool]
"""Whether a write failed for another daemon's doing, so that it may succeed when it is tried again."""
RETRIES = 5
"""How often a write that collides is tried again before its caller is told."""
RETRY_SECONDS = 0.02
"""The first wait; each later one is twice as long, give or take a half."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[T]):
    """`shared` None: done for itself, after all that was asked for earlier and before all that comes later."""

    run: Callable[[Connection, Sequence[Any]], Sequence[T]]
    shared: Shared[Any, T] | None
    wanted: Any
    future: asyncio.Future[T]


@dataclass(frozen=True, slots=True)
class _Done:
    result: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


_Outcome: TypeAlias = _Done | _Failed


class Writer:
    """Runs functions on a connection, in the order in which they were given, and tells their callers after the commit.

    A function may be called twice, if another one of its batch failed: what it does outside the connection must not
    matter. A caller that goes away does not undo its write.
    """

    def __init__(
        self,
        engine: Engine,
        explain: Explain,
        *,
        relieve: Relieve,
        outage: Outage,
        collides: Collides = lambda _: False,
    ) -> None:
        self._engine = engine
        self._explain = explain
        self._relieve = relieve
        self._outage = outage
        self._collides = collides
        self._asked: list[_Job[Any]] = []
        self._hand_over_at: asyncio.Handle | None = None
        self._soon = False
        self._queue: queue.SimpleQueue[list[_Job[Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self._herald = _Herald()
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Durable when it returns. StoreUnavailableError: nothing of it happened."""
        return await self._ask(lambda on, _: [work(on)], None, None)

    async def share(self, work: Shared[Wanted, T], wanted: Wanted) -> T:
        """The same, together with others that want the same work done."""
        return await self._ask(work.run, work, wanted)

    async def _ask(
        self, run: Callable[[Connection, Sequence[Wanted]], Sequence[T]], shared: Shared[Wanted, T] | None, wanted: Any
    ) -> T:
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.append(_Job(run, shared, wanted, future))
        self._plan(patient=shared is not None and shared.patient)
        try:
            written = await future
        except StoreUnavailableError as error:
            self._outage.refused(error)
            raise
        self._outage.took()
        return written

    async def close(self) -> None:
        """Take nothing more, write what was taken."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _plan(self, *, patient: bool) -> None:
        """What is asked for in one turn of the loop is handed over together: the thread is woken up once for it."""
        if self._soon or (patient and self._hand_over_at is not None):
            return
        loop = asyncio.get_running_loop()
        if self._hand_over_at is not None:
            self._hand_over_at.cancel()
        self._soon = not patient
        self._hand_over_at = (
            loop.call_later(PATIENCE_SECONDS, self._hand_over) if patient else loop.call_soon(self._hand_over)
        )

    def _hand_over(self) -> None:
        if self._hand_over_at is not None:
            self._hand_over_at.cancel()
        self._hand_over_at, self._soon = None, False
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), MAX_BATCH):
            self._queue.put(asked[start : start + MAX_BATCH])

    def _serve(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._gather()
            if batch:
                self._herald.announce(batch, self._outcomes(batch))

    def _gather(self) -> tuple[list[_Job[Any]], bool]:
        """Wait for jobs, then take all that are there; False when the last ones were taken."""
        batch: list[_Job[Any]] = []
        jobs = self._queue.get()
        while jobs is not None:
            batch += jobs
            if len(batch) >= MAX_BATCH:
                return batch, True
            try:
                jobs = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _outcomes(self, batch: Sequence[_Job[Any]]) -> Sequence[_Outcome]:
        """All in one transaction. If one of them fails by its own fault, all again, each in its own savepoint; if by
        another daemon's doing, each in a transaction of its own, so that none holds what another one needs."""
        try:
            return self._commit(batch, _run_together)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the jobs' callers must be told
            if self._collides(error):
                return self._one_by_one(batch)
            if len(batch) == 1 or trouble(error, self._explain) is not None:
                return self._failures(batch, error)
        try:
            return self._commit(batch, self._run_one_by_one)
        except Exception as error:  # noqa: BLE001 -- as above
            return self._failures(batch, error)

    def _one_by_one(self, batch: Sequence[_Job[Any]]) -> Sequence[_Outcome]:
        """Once the store itself is in trouble the rest need not wait for it, one after the other, to say so again."""
        outcomes: list[_Outcome] = []
        for at, job in enumerate(batch):
            outcome = self._persist(job)
            outcomes.append(outcome)
            if isinstance(outcome, _Failed) and isinstance(outcome.error, StoreUnavailableError):
                return [*outcomes, *self._failures(batch[at + 1 :], outcome.error)]
        return outcomes

    def _persist(self, job: _Job[Any]) -> _Outcome:
        retry = 0
        while True:
            try:
                return self._commit([job], _run)[0]
            except Exception as error:  # noqa: BLE001 -- as above
                if retry == RETRIES or not self._collides(error):
                    return self._failures([job], error)[0]
            time.sleep(RETRY_SECONDS * 2**retry * random.uniform(0.5, 1.5))  # noqa: S311 -- no secret
            retry += 1

    def _failures(self, batch: Sequence[_Job[Any]], error: Exception) -> Sequence[_Outcome]:
        """To each its own exception: one that is raised in several places collects all their tracebacks."""
        self._relieve(error)
        return [_Failed(trouble(error, self._explain) or error) for _ in batch]

    def _commit(
        self,
        batch: Sequence[_Job[Any]],
        run: Callable[[Connection, Sequence[_Job[Any]]], Sequence[_Outcome]],
    ) -> Sequence[_Outcome]:
        with transaction(self._engine) as connection:
            return run(connection, batch)

    def _run_one_by_one(self, connection: Connection, batch: Sequence[_Job[Any]]) -> Sequence[_Outcome]:
        return [self._run_alone(connection, job) for job in batch]

    def _run_alone(self, connection: Connection, job: _Job[Any]) -> _Outcome:
        try:
            with connection.begin_nested():
                return _run(connection, [job])[0]
        except Exception as error:
            if trouble(error, self._explain) is not None:
                raise
            return _Failed(error)


def _run_together(connection: Connection, batch: Sequence[_Job[Any]]) -> Sequence[_Outcome]:
    outcomes: dict[_Job[Any], _Outcome] = {}
    for group in together(batch, lambda job: job.shared):
        outcomes.update(zip(group, _run(connection, group), strict=True))
    return [outcomes[job] for job in batch]


def _run(connection: Connection, group: Sequence[_Job[Any]]) -> Sequence[_Outcome]:
    return [_Done(result) for result in group[0].run(connection, [job.wanted for job in group])]


class _Herald:
    """Tells callers in the order of the commits, so that what was committed first is acted upon first; a few in one
    turn of the event loop, for acting takes its time and others need their turns."""

    def __init__(self) -> None:
        self._untold: deque[tuple[_Job[Any], _Outcome]] = deque()

    def announce(self, batch: Sequence[_Job[Any]], outcomes: Sequence[_Outcome]) -> None:
        """From the writing thread."""
        pairs = list(zip(batch, outcomes, strict=True))
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            batch[0].future.get_loop().call_soon_threadsafe(self._line_up, pairs)

    def _line_up(self, pairs: Sequence[tuple[_Job[Any], _Outcome]]) -> None:
        idle = not self._untold
        self._untold.extend(pairs)
        if idle:
            self._tell(pairs[0][0].future.get_loop())

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(TOLD_AT_ONCE, len(self._untold))):
            _settle(*self._untold.popleft())
        if self._untold:
            loop.call_soon(self._tell, loop)


def _settle(job: _Job[Any], outcome: _Outcome) -> None:
    if job.future.done():  # its caller was cancelled
        return
    match outcome:
        case _Done(result):
            job.future.set_result(result)
        case _Failed(error):
            job.future.set_exception(error)
