"""Serves an ASGI application with uvicorn inside a running event loop, on a socket of our own."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Generator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from notifier.adapters.listener import patient

KEEP_ALIVE_SECONDS = 75
"""Longer than pollers usually keep a connection, so that it is they who close it and never in mid-request."""

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
    server = _Server(_config(app, grace), abort=abort, hand_over=hand_over)
    running = asyncio.create_task(server.serve(sockets=[patient(listener)]))
    try:
        await _started(server, running)
        yield
    finally:
        server.should_exit = True
        listener.close()  # the server closes its own descriptor of it
        await running


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, abort: bool, hand_over: bool) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._abort = abort
        self._hand_over = hand_over

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the process: uvicorn would raise them anew after serving, which ends it with 143."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections) if self._abort else ():
            if isinstance(connection, H11Protocol):
                connection.transport.abort()
        if self._hand_over:
            await self._hear_out()
        await super().shutdown(sockets)

    async def _hear_out(self) -> None:
        """Accept nobody more, and let those who came last ask: closing on them would look like a refusal."""
        for server in self.servers:
            server.close()
        silent = HEAR_OUT_STEPS
        while silent and any(_is_new(connection) for connection in self.server_state.connections):
            silent -= 1
            await asyncio.sleep(HEAR_OUT_SECONDS / HEAR_OUT_STEPS)


def _is_new(connection: object) -> bool:
    return isinstance(connection, H11Protocol) and connection.cycle is None


def _config(app: ASGIApp, grace: int) -> uvicorn.Config:
    """No signs of uvicorn's own: its logging set-up is global and would undo ours."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
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
