"""What the server does with clients that are slow, many, odd or hostile, over real sockets."""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs

from notifier.adapters import connections, serving
from notifier.adapters.connections import Connections

SOON = 5.0
"""Seconds within which everything here happens; what is waited for comes much sooner."""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
TOO_MUCH = connections.MOST_HEAD_BYTES + connections.PIECE_BYTES


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage is short, except those that a test is not about."""
    monkeypatch.setattr(serving, "EXPIRE_EVERY_TICKS", 1)
    for stage in connections.SECONDS:
        monkeypatch.setitem(connections.SECONDS, stage, 60.0)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the method, the path and the body; `/unread` does not read it, `/large` answers with 8 MiB."""
    request = Request(scope, receive)
    body = b"" if request.url.path == "/unread" else await request.body()
    content = b"x" * 8_388_608 if request.url.path == "/large" else body
    await Response(request.method.encode() + b" " + content)(scope, receive, send)


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving.serve(echo, listener, grace=1, abort=True):
        yield listener.getsockname()[1]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """The next answer's status and body."""
        async with asyncio.timeout(SOON):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def closed_or_answered(self) -> bytes:
        """The body of the next answer; nothing when the server closes the connection instead."""
        try:
            return (await self.answer())[1]
        except (ConnectionError, asyncio.IncompleteReadError):
            return b""

    async def closed(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(SOON):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def drip(self, first: bytes = b"") -> None:
        """A byte now and then, until the server closes the connection."""
        self.send(first)
        ended = asyncio.create_task(self.closed())
        while not (await asyncio.wait({ended}, timeout=0.05))[0]:
            self.send(b"x")
        await ended

    async def is_open(self) -> bool:
        self.send(GET)
        try:
            return (await self.answer())[0] == 200
        except (ConnectionError, asyncio.IncompleteReadError):
            return False


@pytest_asyncio.fixture
async def connect(port: int) -> AsyncIterator[Callable[[], Any]]:
    async with contextlib.AsyncExitStack() as undo:

        async def one() -> Client:
            client = Client(*await asyncio.open_connection("127.0.0.1", port))
            undo.callback(client.writer.close)
            return client

        yield one


# Slow clients


async def test_a_connection_without_a_request_is_closed(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silently: there is nothing to answer."""
    monkeypatch.setitem(connections.SECONDS, "head", 0.3)
    assert await (await connect()).closed() == b""


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_head_that_does_not_come_is_408(connect: Any, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    """However much of it is there."""
    monkeypatch.setitem(connections.SECONDS, "head", 0.3)
    client = await connect()
    client.send(begun)
    status, body = await client.answer()
    assert (status, json.loads(body)["status"]) == (408, 408)
    assert await client.closed() == b""


async def test_a_dripping_head_is_as_late_as_a_missing_one(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then wins no time, neither in the first request nor in a later one."""
    monkeypatch.setitem(connections.SECONDS, "head", 0.5)
    for served_before in (False, True):
        client = await connect()
        if served_before:
            assert await client.is_open()
        await client.drip(b"GET /")


async def test_between_requests_a_client_may_wait_longer(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the time for idle connections, which begins anew with each answer."""
    monkeypatch.setitem(connections.SECONDS, "idle", 0.6)
    monkeypatch.setitem(connections.SECONDS, "head", 0.1)
    client = await connect()
    for _ in range(4):
        assert await client.is_open()
        await asyncio.sleep(0.25)  # the client's own pace: longer than a head may take, shorter than idle
    assert await client.closed() == b""


async def test_a_body_that_nobody_reads_is_not_waited_for(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is out; the rest has a moment to come, and then the connection is closed, dripping or not."""
    monkeypatch.setitem(connections.SECONDS, "rest", 0.3)
    client = await connect()
    client.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    assert await client.answer() == (200, b"POST ")
    await client.drip()


async def test_after_the_rest_of_a_body_the_connection_is_idle(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And may take another request, but not stay for ever."""
    monkeypatch.setitem(connections.SECONDS, "idle", 0.5)
    client = await connect()
    client.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    assert await client.answer() == (200, b"POST ")
    client.send(b"xxxxx")
    assert await client.is_open()
    client.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    assert await client.answer() == (200, b"POST ")
    client.send(b"xxxxx")
    assert await client.closed() == b""


async def test_an_answer_that_nobody_reads_is_dropped(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends and never reads costs its connection, not a task that waits for ever."""
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.3)
    client = await connect()
    client.writer.transport.pause_reading()
    client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(1.0)  # nothing can be seen from here until it is read
    client.writer.transport.resume_reading()
    assert len(await client.closed()) < 8_388_608


# Many clients


@pytest_asyncio.fixture
async def _three_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "affordable", lambda: 3)


@pytest.mark.usefixtures("_three_at_most")
class TestOfThreeConnections:
    async def test_the_one_that_waits_longest_makes_room(self, connect: Any) -> None:
        """Idle ones go, the one that was used last stays longest; the new one is served."""
        first, second, third = [await connect() for _ in range(3)]
        for client in (second, third, first):
            assert await client.is_open()
        fourth = await connect()
        assert await fourth.is_open()
        assert await second.closed() == b""
        assert [await client.is_open() for client in (first, third, fourth)] == [True] * 3

    async def test_those_being_served_stay(self, connect: Any) -> None:
        """When all are at work, the new one is told to come back, at once."""
        busy = [await connect() for _ in range(3)]
        for client in busy:
            client.send(POST + b"Content-Length: 2\r\n\r\nx")
            client.send(b"")
        for client in busy:
            await client.writer.drain()
        late = None
        async with asyncio.timeout(SOON):
            while late is None or not late.startswith(b"HTTP/1.1 503"):
                late = await (await connect()).closed()
        assert b"Retry-After: 5\r\n" in late
        assert json.loads(late.partition(b"\r\n\r\n")[2])["status"] == 503
        for client in busy:
            client.send(b"y")
            assert await client.answer() == (200, b"POST xy")


async def test_requests_begin_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many clients ask at once, the event loop has turns in between for everything else."""
    monkeypatch.setattr(connections, "BEGUN_AT_ONCE", 2)
    loop, turns, begun = asyncio.get_running_loop(), [0], []

    def turn() -> None:
        turns[0] += 1
        if turns[0] < 1_000_000 and len(begun) < 20:
            loop.call_soon(turn)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.append(turns[0])
        await echo(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    async with serving.serve(app, listener, grace=1, abort=True):
        clients = [Client(*await asyncio.open_connection(*listener.getsockname())) for _ in range(20)]
        turn()
        for client in clients:
            client.send(GET)
        assert [await client.answer() for client in clients] == [(200, b"GET ")] * 20
        for client in clients:
            client.writer.close()
    assert max(begun.count(number) for number in begun) == 2


async def test_a_fault_with_one_connection_is_not_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told and closed; those behind it in the line, and those that come later, are served."""
    monkeypatch.setattr(connections, "BEGUN_AT_ONCE", 1)
    proceed, failed = connections.Connection.proceed, []

    def fail_once(self: connections.Connection) -> None:
        if not failed:
            failed.append(self)
            raise RuntimeError("planted")
        proceed(self)

    monkeypatch.setattr(connections.Connection, "proceed", fail_once)
    listener = socket.create_server(("127.0.0.1", 0))
    with capture_logs() as lines:
        async with serving.serve(echo, listener, grace=1, abort=True):
            clients = [Client(*await asyncio.open_connection(*listener.getsockname())) for _ in range(4)]
            for client in clients[:3]:
                client.send(GET)
            answers = await asyncio.gather(*(client.closed_or_answered() for client in clients[:3]))
            assert sorted(answers) == [b"", b"GET ", b"GET "]
            assert await clients[3].is_open()
            for client in clients:
                client.writer.close()
    assert [line["event"] for line in lines] == ["connection.failed"]


def test_half_of_the_file_descriptors_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls, attempts and the store need them."""
    for soft, most in ((1024, 512), (100_000, connections.MOST_CONNECTIONS), (-1, connections.MOST_CONNECTIONS)):
        monkeypatch.setattr(connections.resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert connections.affordable() == most


def test_all_allowed_file_descriptors_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The soft limit goes up to the hard one; where that is refused the daemon starts all the same."""
    taken = []
    monkeypatch.setattr(connections.resource, "getrlimit", lambda _: (1024, 524_288))
    monkeypatch.setattr(connections.resource, "setrlimit", lambda *limit: taken.append(limit[1]))
    connections.raise_file_limit()
    assert taken == [(524_288, 524_288)]

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(connections.resource, "setrlimit", refuse)
    connections.raise_file_limit()


def test_nobody_has_to_go_while_there_is_room() -> None:
    """Up to the bound."""
    assert Connections(0).make_room()


# Odd clients


async def test_pipelined_requests_are_answered_in_order(connect: Any) -> None:
    """RFC 9112, section 9.3.2, also when a body is cut by the packets."""
    client = await connect()
    client.send(POST + b"Content-Length: 1\r\n\r\na" + POST + b"Content-Length: 1\r\n\r\nb" + GET + POST)
    client.send(b"Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n1\r\n")
    assert [(await client.answer())[1] for _ in range(3)] == [b"POST a", b"POST b", b"GET "]
    client.send(b"d\r\n0\r\n\r\n")
    assert await client.answer() == (200, b"POST cd")


async def test_http_1_0_gets_an_answer_and_the_end(connect: Any) -> None:
    """Without a Host, and without keeping the connection."""
    client = await connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert await client.answer() == (200, b"GET ")
    assert await client.closed() == b""


async def test_who_expects_100_gets_it_before_the_body(connect: Any) -> None:
    """RFC 9110, section 10.1.1; and no 100 when the body is not wanted."""
    client = await connect()
    client.send(POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    async with asyncio.timeout(SOON):
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"a")
    assert await client.answer() == (200, b"POST a")
    client.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert await client.answer() == (200, b"POST ")


async def test_a_body_without_a_length_is_none(connect: Any) -> None:
    """RFC 9112, section 6.3: what follows is the next request."""
    client = await connect()
    client.send(POST + b"\r\n" + GET)
    assert [await client.answer(), await client.answer()] == [(200, b"POST "), (200, b"GET ")]


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Content-Length: 1, 2\r\n\r\nab",
        POST + b"Content-Length: +1\r\n\r\na",
        POST + b"Content-Length: -1\r\n\r\na",
        POST + b"Content-Length: 0x1\r\n\r\na",
        POST + b"Transfer-Encoding: gzip\r\n\r\na",
        POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        GET[:-2] + b"X: " + b"a" * TOO_MUCH + b"\r\n\r\n",
        GET[:-2] + b"X: a\r\n" * (TOO_MUCH // 6) + b"\r\n",
        b"GET /" + b"a" * TOO_MUCH + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"A" * TOO_MUCH,
    ],
)
async def test_what_is_no_http_is_400_and_the_end(connect: Any, request_: bytes) -> None:
    """Nothing behind it is taken for a request, so that nobody can hide one from a proxy before us."""
    client = await connect()
    client.send(request_ + GET)
    status, body = await client.answer()
    assert (status, json.loads(body)["status"]) == (400, 400)
    assert b"HTTP/1.1 200" not in await client.closed()


async def test_a_head_may_be_as_large_as_the_limit(connect: Any) -> None:
    """16 KiB: tokens and proxies' headers have room."""
    client = await connect()
    client.send(GET[:-2] + b"X: " + b"a" * (connections.MOST_HEAD_BYTES - 100) + b"\r\n\r\n")
    assert await client.answer() == (200, b"GET ")


async def test_a_body_that_breaks_off_in_bad_chunks_ends_the_connection(connect: Any) -> None:
    """The application is told that nothing more comes; the client gets one answer."""
    client = await connect()
    client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    client.send(b"zz\r\n" + GET)
    found = await client.closed()
    assert found.count(b"HTTP/1.1 ") == 1
    assert found.startswith(b"HTTP/1.1 400")
