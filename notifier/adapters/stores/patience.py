"""Connections to a server that may fall silent: how long it is waited for, and when no more.

Where something between acknowledges what is sent (a proxy, a pool of connections), neither the network's time-outs nor
the server's own end such a wait.
"""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen, PQGenConn

T = TypeVar("T")
W = TypeVar("W")

CLOSE_SECONDS = 1.0
"""What is under way when a store is closed gets so long to end; a stop has 30 s for everything."""


class Impatient(psycopg.Connection[tuple[object, ...]]):
    """Waits for the server's next answer for `answers` seconds at most, and for nothing any more once it is `over`."""

    answers = math.inf
    over = threading.Event()

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        return super().wait(_within(self.answers, self.over, gen), *args, **options)

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn["Impatient"]:
        """Connecting has a time limit of its own (`connect_timeout`), for each of the server's addresses."""
        return _within(math.inf, cls.over, super()._connect_gen(conninfo))


def impatient(answers: float, over: threading.Event) -> type[Impatient]:
    class Ours(Impatient):
        pass

    Ours.answers, Ours.over = answers, over
    return Ours


def _within(seconds: float, over: threading.Event, gen: Generator[W, Any, T]) -> Generator[W, Any, T]:
    """psycopg comes back ten times a second while there is nothing to read."""
    until = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and over.is_set():
                raise psycopg.OperationalError("the daemon stops, and waits for the server no more")
            if not ready and time.monotonic() >= until:
                raise psycopg.OperationalError(f"the server has said nothing for {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


@asynccontextmanager
async def closing(over: threading.Event) -> AsyncIterator[None]:
    """Whatever waits for the server while the block runs does so for a moment at most."""
    hurry = asyncio.get_running_loop().call_later(CLOSE_SECONDS, over.set)
    try:
        yield
    finally:
        hurry.cancel()
