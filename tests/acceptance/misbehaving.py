"""Fifty receivers that misbehave, in a process of their own: `python misbehaving.py PORT` listens on 127.0.0.2 to .51.

Each address does one of the things below to every request. What hangs or drips goes on until it is cut off.
"""

import asyncio
import contextlib
import gzip
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Behaviour: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HOSTS = [f"127.0.0.{number}" for number in range(2, 52)]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n"


def says(answer: bytes) -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return behave


def repeats(start: bytes, piece: bytes, pause: float) -> Behaviour:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


def drips(start: bytes, piece: bytes) -> Behaviour:
    return repeats(start, piece, 0.1)


def floods(start: bytes, piece: bytes) -> Behaviour:
    return repeats(start, piece * max(1, 65_536 // len(piece)), 0.005)


async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


BEHAVIOURS = [
    silent,
    resets,
    drips(b"HTTP/1.1 5", b"0"),
    drips(OK, b"x: y\r\n"),
    drips(OK + b"x: ", b"y"),
    drips(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    drips(b"HTTP/1.1 500 X\r\nContent-Length: 100000\r\n\r\n", b"x"),
    drips(CHUNKED, b"1\r\nx\r\n"),
    floods(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    floods(b"", b"\r\n"),
    floods(OK, b"x: " + b"y" * 30_000 + b"\r\n"),
    floods(CHUNKED, b"1\r\nx\r\n"),
    floods(CHUNKED + b"1;", b"x"),
    floods(b"HTTP/1.1 500 X\r\n\r\n", b"x"),
    floods(b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(bytes(1_000_000))),
    floods(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"x"),
    says(b""),
    says(b"HTTP/1.1 301 X\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"),
    says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    says(CHUNKED + b"zz\r\n"),
    says(b"HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\nx"),
]


async def serve(port: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for number, host in enumerate(HOSTS):
            behave = BEHAVIOURS[number % len(BEHAVIOURS)]

            async def talk(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, behave: Behaviour = behave
            ) -> None:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await reader.readuntil(b"\r\n\r\n")
                    await behave(reader, writer)
                writer.transport.abort()

            # reuse_port off and address reuse on, as asyncio does: each address has the same port of its own.
            await stack.enter_async_context(await asyncio.start_server(talk, host, port, family=socket.AF_INET))
        print("listening", flush=True)
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
