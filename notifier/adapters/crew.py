"""Owner of the coroutines that run beside: at the stop they are waited for, then cancelled."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class AsyncioCrew:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(seconds, call).cancel

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("daemon.fault", exc_info=fault, hint="a fault of Notifier itself; please report it")

    @property
    def size(self) -> int:
        return len(self._tasks)

    async def drain(self, seconds: float) -> int:
        """Wait so long for what is running, then cancel the rest; returns how many had to be cancelled.

        What running work starts meanwhile is waited for too.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + seconds
        while self._tasks and loop.time() < give_up_at:
            await asyncio.wait(self._tasks, timeout=give_up_at - loop.time())
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)
