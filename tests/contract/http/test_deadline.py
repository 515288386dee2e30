import asyncio
import ssl
import time

import pytest

from notifier.adapters.http import Fault, Http, Reply

TLS = ssl.create_default_context()
TIMEOUT = 0.5
ROOM = 1.5
"""For a busy machine; without a deadline everything here takes seconds longer."""


@pytest.fixture
def http(closing):
    return closing(Http(guard=None, keepalive=5, tls=TLS))


async def ask(http, method, url, *, grace=1.0):
    if method == "GET":
        return await http.get(url, headers={}, timeout=TIMEOUT, cap=1_000_000)
    return await http.post(url, headers={}, body=b"{}", timeout=TIMEOUT, cap=1_000_000, grace=grace)


def dripping(start: bytes, drop: bytes):
    async def drip(_, writer):
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)

    return drip


HEADERS = dripping(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n")
EARLY_HINTS = dripping(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
ONE_LINE = dripping(b"HTTP/1.1 200 OK\r\nx: ", b"y")
BODY = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")
CHUNKS = dripping(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")


async def silent(_, writer):
    await asyncio.sleep(9)


def assert_timeout(answer, start):
    assert isinstance(answer, Fault)
    assert answer.kind == "timeout"
    assert f"within {TIMEOUT:g} s" in answer.message
    assert TIMEOUT - 0.02 < time.monotonic() - start < TIMEOUT + ROOM


@pytest.mark.parametrize("behave", [HEADERS, EARLY_HINTS, ONE_LINE, silent], ids=["headers", "103", "line", "silent"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_one_deadline_covers_the_headers(serve, http, method, behave):
    """However busy the other side keeps the line, no answer by the deadline is a timeout."""
    server = await serve(behave)
    start = time.monotonic()
    assert_timeout(await ask(http, method, server.url), start)


@pytest.mark.parametrize("behave", [BODY, CHUNKS], ids=["length", "chunked"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_one_deadline_covers_the_body_of_a_poll(serve, http, behave, method):
    """A body that drips is cut off by the same deadline."""
    server = await serve(behave)
    start = time.monotonic()
    assert_timeout(await ask(http, method, server.url, grace=None), start)


async def test_the_deadline_covers_the_handshake(serve, http):
    """A port that accepts and never speaks TLS is a timeout."""
    server = await serve(silent, read=False)
    start = time.monotonic()
    assert_timeout(await ask(http, "GET", f"https://127.0.0.1:{server.port}/"), start)


async def test_the_deadline_covers_the_look_up(closing):
    """A name server that hangs is a timeout, and closing does not wait for it."""
    release = asyncio.get_running_loop().create_future()

    def hang(_):
        time.sleep(2 * ROOM)
        release.get_loop().call_soon_threadsafe(release.set_result, None)
        return ["127.0.0.1"]

    http = Http(guard=None, keepalive=5, tls=TLS, resolve=hang)
    start = time.monotonic()
    assert_timeout(await ask(http, "GET", "http://slow.example/"), start)
    await http.aclose()
    assert time.monotonic() - start < TIMEOUT + ROOM
    await release


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_the_deadline_covers_the_sending(serve, http):
    """A receiver that reads nothing cannot hold a large event."""

    async def deaf(_, writer):
        writer.transport.pause_reading()
        await asyncio.sleep(9)

    server = await serve(deaf)
    start = time.monotonic()
    answer = await http.post(server.url, headers={}, body=bytes(30_000_000), timeout=TIMEOUT, cap=10, grace=1)
    assert_timeout(answer, start)


@pytest.mark.parametrize(("behave", "status"), [(BODY, 200), (CHUNKS, 500)])
@pytest.mark.parametrize(("grace", "takes"), [(0.05, 0.05), (1.0, TIMEOUT)])
async def test_after_its_headers_a_post_waits_for_the_grace_only(serve, http, behave, status, grace, takes):
    """The status stands; the rest of the answer has the grace, but never more than the deadline."""
    server = await serve(behave)
    start = time.monotonic()
    reply = await ask(http, "POST", server.url, grace=grace)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.truncated) == (status, True)
    assert set(reply.body) == set(b"x")
    assert takes - 0.02 < time.monotonic() - start < takes + 0.35


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("behave", [silent, BODY])
async def test_cancelling_is_not_swallowed(serve, http, method, behave):
    """A stop goes through: it is no fault of the other side, and no answer either."""
    server = await serve(behave)
    task = asyncio.create_task(ask(http, method, server.url))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
