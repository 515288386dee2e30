"""Receivers that answer without end, as fast as they can: each costs little time and memory, and nobody else's turn."""

import asyncio
import contextlib
import gzip
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from socket import create_server, socket

import pytest

from notifier.adapters.clock import SystemClock
from notifier.adapters.http import Fault, Http, Reply
from notifier.adapters.http.wire import MOST_HEADS
from notifier.adapters.webhook import KEPT_BYTES, WebhookSender
from notifier.domain.delivery import Answered, Unanswered

TLS = ssl.create_default_context()
LOOPBACK = (ip_network("127.0.0.0/8"),)
AT_ONCE = 4
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INVALID = "the answer is not valid HTTP, or its headers are too large"

FLOODS = {
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", INVALID),
    "interim answers with links": (b"", b"HTTP/1.1 103 X\r\n" + b"Link: </a>\r\n" * 50 + b"\r\n", INVALID),
    "empty lines": (b"", b"\r\n", INVALID),
    "headers": (OK, b"x: y\r\n", INVALID),
    "long headers": (OK, b"x: " + b"y" * 32_000 + b"\r\n", INVALID),
    "one header": (OK + b"x: ", b"y", INVALID),
    "a status line": (b"HTTP/1.1 200 ", b"O", INVALID),
    "cookies": (OK, b"Set-Cookie: a=" + b"b;" * 3000 + b"\r\n", INVALID),
    "no HTTP": (b"", b"\x00\xff\x1b[2J", INVALID),
    "trailers": (CHUNKED + b"0\r\n", b"x: " + b"y" * 8000 + b"\r\n", 200),
    "chunk extensions": (CHUNKED + b"1;", b"abc", 200),
    "tiny chunks": (CHUNKED, b"1\r\nx\r\n", 200),
    "a chunk size": (CHUNKED, b"0", 200),
    "a body": (OK + b"\r\n", b"x", 200),
    "a body with its length": (OK + b"Content-Length: 1000000000000\r\n\r\n", b"x", 200),
    "a compressed body": (OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(10_000_000)), 200),
    "another protocol": (b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"x", 101),
    "more answers": (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
}


@pytest.fixture
def flood() -> Iterator[Callable[[bytes, bytes], int]]:
    """Start a server, in threads of its own, that reads a request and then sends without end; returns its port."""
    with contextlib.ExitStack() as stack:

        def start(beginning: bytes, piece: bytes) -> int:
            listener = stack.enter_context(create_server(("127.0.0.1", 0)))
            pieces = piece * max(1, 65_536 // len(piece))

            def talk(connection: socket) -> None:
                with connection, contextlib.suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(beginning)
                    while True:
                        connection.sendall(pieces)

            def accept() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()

            threading.Thread(target=accept, daemon=True).start()
            return int(listener.getsockname()[1])

        yield start


@pytest.fixture
def http(closing):
    return closing(Http(guard=lambda: LOOPBACK, keepalive=5, tls=TLS))


class Peak:
    """How much more memory this process had at once than at the start, in MB; None where the system does not say."""

    def __init__(self) -> None:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): reset the peak to what is used now
        except OSError:
            self._start = None
        else:
            self._start = self._peak()

    def grown(self) -> float | None:
        return None if self._start is None else self._peak() - self._start

    def _peak(self) -> float:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found
        return int(found[1]) / 1024


@pytest.mark.parametrize(("start", "piece", "ends"), FLOODS.values(), ids=FLOODS.keys())
async def test_an_answer_without_end_is_cut_off(flood, http, start, piece, ends):
    """No flood has to wait for the deadline: it is cut off by its size. Several at once cost less than a second of the
    loop's time and little memory. A status that came before the flood counts."""
    port = flood(start, piece)
    sender = WebhookSender(http, timeout=8.0, clock=SystemClock())
    peak, busy, began = Peak(), time.thread_time(), time.monotonic()
    url = f"http://127.0.0.1:{port}/planted?planted"
    receipts = await asyncio.gather(*(sender.post(url, {}, b"{}") for _ in range(AT_ONCE)))
    took, busy, grown = time.monotonic() - began, time.thread_time() - busy, peak.grown()
    for receipt in receipts:
        match receipt:
            case Answered(http_status=status, response=response):
                assert status == ends
                assert len(response.encode()) <= KEPT_BYTES
            case Unanswered(error=error):
                assert error == f"127.0.0.1:{port}: {ends}"
    assert took < 6.0
    assert busy < 1.0
    assert grown is None or grown < 48


async def test_large_answers_of_a_provider_still_fit(serve, closing):
    """The limits are for what is no answer: one of a mebibyte, in small chunks and after interim answers, is read."""
    body = b"".join(b"200\r\n" + bytes([65 + number % 26]) * 512 + b"\r\n" for number in range(2048))
    server = await serve(b"HTTP/1.1 103 X\r\n\r\n" * 50 + CHUNKED + body + b"0\r\n\r\n", again=True)
    provider = closing(Http(guard=None, keepalive=5, tls=TLS))
    for _ in range(2):
        reply = await provider.get(server.url, headers={}, timeout=10.0, cap=1 << 20)
        assert isinstance(reply, Reply)
        assert (len(reply.body), reply.truncated) == (1 << 20, False)
    assert server.accepts == 1


@pytest.mark.parametrize(("interim", "kind"), [(MOST_HEADS - 1, Reply), (MOST_HEADS, Fault)])
async def test_interim_answers_have_a_limit(serve, http, interim, kind):
    """Each of them costs a turn of the parser, however short it is."""
    server = await serve(b"HTTP/1.1 102 X\r\n\r\n" * interim + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    answer = await http.post(server.url, headers={}, body=b"{}", timeout=5.0, cap=1000, grace=0.2)
    assert isinstance(answer, kind)


@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
async def test_an_answer_that_nobody_asked_for_is_not_taken(serve, http, late):
    """A second answer, right behind the first or on the idle connection, closes it: the next request must not find it
    waiting, and take it for its own."""
    server = None

    async def twice(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % len(server.heads))
        if late:
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted")
        await writer.drain()

    server = await serve(twice, again=True)
    first = await http.get(server.url, headers={}, timeout=2.0, cap=1000)
    async with asyncio.timeout(5):
        while late and server.open:
            await asyncio.sleep(0.005)
    second = await http.get(server.url, headers={}, timeout=2.0, cap=1000)
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert (first.body, second.body) == (b"01", b"02")
    assert server.accepts == 2


CONTROL = b"\x1b[2J\x07\x08\x7f\xc2\x9b31m"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 " + CONTROL + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 X\rlevel=error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 " + CONTROL + b"\r\n\r\n",
        b"HTTP/1.1 500 X\r\nRetry-After: " + CONTROL + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 X\r\nRetry-After: " + b"9" * 30_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 X\r\nRetry-After: Sat, 99 Foo 99999 99:99:99 +9999\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 X\r\nRetry-After: 1\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: http://planted/\xff\x00\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 X\r\n\xff\xfe: \xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nplanted",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nplanted",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nplanted",
        b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 1000 X\r\n\r\n",
        b"HTTP/1.1 000 X\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"<html>planted</html>",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
    ids=range(20),
)
async def test_what_is_told_of_an_odd_answer_can_be_shown(serve, http, answer):
    """No answer makes the sender raise, and nothing that a receiver or a URL says gets into an error text: a log line
    or a terminal that shows it is safe."""
    server = await serve(answer)
    sender = WebhookSender(http, timeout=0.5, clock=SystemClock())
    receipt = await sender.post(f"{server.url}/planted?planted=1", {"x": "planted"}, b"{}")
    match receipt:
        case Answered(retry_after=wait):
            assert wait is None or 0 <= wait < 1e12
        case Unanswered(error=error):
            assert error.isprintable()
            assert "planted" not in error
            assert error.startswith(f"127.0.0.1:{server.port}: ")


async def test_a_response_is_kept_as_text_that_every_store_takes(serve, http):
    """What is kept of a body is valid text without NUL, whatever the bytes were."""
    server = await serve(b"HTTP/1.1 500 X\r\n\r\n\x00\xff\xed\xa0\x80" + CONTROL)
    receipt = await WebhookSender(http, timeout=2.0, clock=SystemClock()).post(server.url, {}, b"{}")
    assert isinstance(receipt, Answered)
    assert "\x00" not in receipt.response
    receipt.response.encode("utf-8")


def dripping(start: bytes, drop: bytes):
    async def drip(_, writer):
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)

    return drip


async def reset(_, writer):
    writer.transport.abort()


@pytest.mark.parametrize(
    ("behave", "scheme"),
    [
        (dripping(b"", b"H"), "http"),
        (dripping(b"HTTP/1.1 200 ", b"O"), "http"),
        (dripping(b"", b"\r\n"), "http"),
        (dripping(b"", b"\x16"), "https"),
        (dripping(b"\x16\x03\x03\x40\x00", b"\x02"), "https"),
    ],
    ids=["garbage", "status line", "empty lines", "TLS record", "TLS handshake"],
)
async def test_a_drip_ends_at_the_deadline_and_leaves_nothing_behind(serve, http, behave, scheme):
    """However it is dripped, what is no answer by the deadline is a fault, and the connection is closed."""
    server = await serve(behave, read=scheme == "http")
    began = time.monotonic()
    fault = await http.post(
        f"{scheme}://127.0.0.1:{server.port}/", headers={}, body=b"{}", timeout=0.4, cap=1000, grace=0.2
    )
    assert isinstance(fault, Fault)
    assert fault.kind in ("timeout", "tls", "protocol")
    assert time.monotonic() - began < 3.0
    async with asyncio.timeout(5):
        while server.open:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1", OK, OK + b"x", CHUNKED, CHUNKED + b"5\r\nab"], ids=range(6))
async def test_a_reset_at_any_stage_is_told(serve, http, start):
    """Before the headers are in, a reset is no answer; after that the status stands."""

    async def break_off(reader, writer):
        writer.write(start)
        await writer.drain()
        await asyncio.sleep(0.02)
        await reset(reader, writer)

    server = await serve(break_off)
    answer = await http.post(server.url, headers={}, body=b"{}", timeout=2.0, cap=1000, grace=0.5)
    if start.startswith(CHUNKED):
        assert isinstance(answer, Reply)
        assert answer.status == 200
    else:
        assert isinstance(answer, Fault)
        assert answer.kind == "connect"
