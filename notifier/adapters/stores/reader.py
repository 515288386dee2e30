"""A few threads that read, so that a long list delays no write."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from notifier.adapters.stores.outage import Outage
from notifier.adapters.stores.transaction import Explain, transaction, trouble
from notifier.ports import StoreUnavailableError

T = TypeVar("T")


class Reader:
    """Runs functions on connections of its own; each sees one consistent state, with all that was committed before."""

    def __init__(self, engine: Engine, explain: Explain, *, threads: int, outage: Outage) -> None:
        self._engine = engine
        self._explain = explain
        self._outage = outage
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store-reader")
        self._closed = False

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)
        except StoreUnavailableError as error:
            self._outage.unread(error)
            raise

    async def close(self) -> None:
        """Take nothing more, finish what was taken."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)

    def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            with transaction(self._engine) as connection:
                return work(connection)
        except SQLAlchemyError as error:
            reason = trouble(error, self._explain)
            if reason is None:
                raise
            raise reason from None
