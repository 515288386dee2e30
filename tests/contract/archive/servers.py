"""A server of one file that says and does exactly what a test wants, and remembers what it was asked."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

MIB = 1024 * 1024


def content(size: int, seed: int = 0) -> bytes:
    """An MP4 by its first bytes; no two places of it are alike, and none is like that of another seed."""
    head = b"\x00\x00\x00\x20ftypisom"
    numbers = b"".join((seed * 1_000_003 + place).to_bytes(8, "big") for place in range(size // 8 + 1))
    return (head + numbers)[:size]


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]

    @property
    def start(self) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else None


class Answer:
    """What goes back: `sent` counts the bytes of bodies that the kernel took."""

    def __init__(self, writer: asyncio.StreamWriter, server: "FileServer") -> None:
        self._writer = writer
        self._server = server

    async def head(self, status: str, **headers: object) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        await self._writer.drain()

    async def body(self, data: bytes) -> None:
        for start in range(0, len(data), 65_536):
            piece = data[start : start + 65_536]
            self._writer.write(piece)
            await self._writer.drain()
            self._server.sent += len(piece)


Behaviour = Callable[[Request, Answer], Awaitable[None]]


@dataclass
class FileServer:
    behave: Behaviour
    port: int = 0
    accepts: int = 0
    sent: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/planted/file.exe?signature=planted"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepts += 1
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            request = Request(first.split(" ")[1], headers)
            self.requests.append(request)
            await self.behave(request, Answer(writer, self))


@contextlib.asynccontextmanager
async def file_server(behave: Behaviour):
    """One request on each connection, which is closed when `behave` is done."""
    server = FileServer(behave)
    tasks: set[asyncio.Task[None]] = set()
    transports: list[asyncio.WriteTransport] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(server.talk(reader, writer)))
        transports.append(writer.transport)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in transports:
            with contextlib.suppress(AttributeError):  # Python 3.13: one that is closed has no loop any more
                transport.abort()
        await asyncio.sleep(0)  # lets aborted transports close their sockets


def honest(data: bytes, *, etag: str | None = '"v1"', limit: int | None = None, **more: object) -> Behaviour:
    """Knows ranges and If-Range; breaks off after `limit` bytes of each answer."""
    marks = more if etag is None else {"ETag": etag, **more}

    async def behave(request: Request, answer: Answer) -> None:
        start = request.start
        if start is None or request.headers.get("if-range", etag) != etag:
            await answer.head("200 OK", Content_Length=len(data), **marks)
            start = 0
        else:
            where = f"bytes {start}-{len(data) - 1}/{len(data)}"
            await answer.head("206 Partial Content", Content_Length=len(data) - start, Content_Range=where, **marks)
        await answer.body(data[start:][:limit])

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One for each request; the last one for all that follow."""
    left = list(behaviours)

    async def behave(request: Request, answer: Answer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request, answer)

    return behave


def saying(status: str, body: bytes = b"", **headers: object) -> Behaviour:
    """The same to everybody; what is announced is up to the headers."""

    async def behave(request: Request, answer: Answer) -> None:
        await answer.head(status, **headers)
        await answer.body(body)

    return behave
