"""Servers on loopback that say exactly what a test wants, byte by byte."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """`accepts` counts connections, `open` those that have not ended; `heads` keeps each request up to its body."""

    port: int = 0
    accepts: int = 0
    open: int = 0
    heads: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def serve():
    """Start a server that reads a request (unless `read` is off), then does what `behave` says, on one connection."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(behave: Behaviour | bytes, *, tls=None, read=True, again=False) -> Server:
            server = Server()

            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                server.accepts += 1
                server.open += 1
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    while True:
                        if read:
                            server.heads.append(await reader.readuntil(b"\r\n\r\n"))
                        if isinstance(behave, bytes):
                            writer.write(behave)
                            await writer.drain()
                        else:
                            await behave(reader, writer)
                        if not again:
                            break
                server.open -= 1
                writer.transport.abort() if tls else writer.close()

            tasks: set[asyncio.Task[None]] = set()

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.add(asyncio.create_task(talk(reader, writer)))
                stack.callback(writer.transport.abort)

            async def stop() -> None:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
            stack.callback(listening.close)
            stack.push_async_callback(stop)
            server.port = listening.sockets[0].getsockname()[1]
            return server

        yield start
    await asyncio.sleep(0)  # lets aborted transports close their sockets


@pytest.fixture
async def closing():
    """Close a client at the end of the test: `client = closing(Http(…))`."""
    async with contextlib.AsyncExitStack() as stack:

        def register(client):
            stack.push_async_callback(client.aclose)
            return client

        yield register
    await asyncio.sleep(0)
