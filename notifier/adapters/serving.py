"""Serves an ASGI application with uvicorn inside a running event loop, on a socket of our own."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Generator
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from notifier.adapters.connections import MOST_HEAD_BYTES, SECONDS, Connection, Connections, affordable
from notifier.adapters.listener import patient

BACKLOG = 2048
"""Clients that the kernel keeps waiting; Linux cuts it to net.core.somaxconn."""
ACCEPTED_AT_ONCE = 64
"""In one turn of the event loop. asyncio would take the whole backlog, and polls would wait for a flood of clients."""
EXPIRE_EVERY_TICKS = 10
"""A tick of uvicorn's is a tenth of a second."""

HEAR_OUT_SECONDS = 1.0
HEAR_OUT_STEPS = 20

# What a client sends is its own business: a malformed request is answered 400 and needs no line of ours.
logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


@contextlib.asynccontextmanager
async def serve(
    app: ASGIApp, listener: socket.socket, *, grace: int, abort: bool = False, hand_over: bool = False
) -> AsyncIterator[None]:
    """Serve `app` on a bound socket for as long as the block runs.

    At the end no connection is accepted any more, and requests in progress have `grace` seconds; with `abort` their
    connections are closed at once instead, for callers that are done with them. With `hand_over` somebody else serves
    the socket next: whoever was accepted and has not asked yet is waited for, since nobody else can answer.
    """
    server = _Server(app, grace, abort=abort, hand_over=hand_over)
    running = asyncio.create_task(server.serve(sockets=[patient(listener)]))
    try:
        await _started(server, running)
        yield
    finally:
        server.should_exit = True
        listener.close()  # the server closes its own descriptor of it
        await running


class _Server(uvicorn.Server):
    def __init__(self, app: ASGIApp, grace: int, *, abort: bool, hand_over: bool) -> None:
        self._connections = Connections(affordable())
        super().__init__(_config(app, grace, self._connections))
        self.ready = asyncio.Event()
        self._abort = abort
        self._hand_over = hand_over

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the process: uvicorn would raise them anew after serving, which ends it with 143."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # what is accepted at once would be the backlog too
        self.ready.set()

    async def on_tick(self, counter: int) -> bool:
        if counter % EXPIRE_EVERY_TICKS == 0:
            self._connections.expire()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self._connections.open) if self._abort else ():
            connection.transport.abort()
        if self._hand_over:
            await self._hear_out()
        await super().shutdown(sockets)

    async def _hear_out(self) -> None:
        """Accept nobody more, and let those who came last ask: closing on them would look like a refusal."""
        for server in self.servers:
            server.close()
        silent = HEAR_OUT_STEPS
        while silent and any(connection.cycle is None for connection in self._connections.open):
            silent -= 1
            await asyncio.sleep(HEAR_OUT_SECONDS / HEAR_OUT_STEPS)


def _config(app: ASGIApp, grace: int, connections: Connections) -> uvicorn.Config:
    """No signs of uvicorn's own: its logging set-up is global and would undo ours. It parses with h11: slower
    than parsers in C, but strict about RFC 9112, and `Connection` knows its states."""
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(Connection, others=connections)),
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        backlog=ACCEPTED_AT_ONCE,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(SECONDS["idle"]),
        timeout_graceful_shutdown=grace,
    )


async def _started(server: _Server, running: asyncio.Task[None]) -> None:
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ready.cancel()
    if running.done():
        running.result()
        raise RuntimeError("the server ended before it had begun")
