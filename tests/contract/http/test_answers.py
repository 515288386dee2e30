import asyncio
import gzip
import ssl
from ipaddress import ip_network

import pytest

from notifier import __version__
from notifier.adapters.http import Fault, Http, Reply

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
TLS = ssl.create_default_context()


@pytest.fixture
def http(closing):
    return closing(Http(guard=None, keepalive=5, tls=TLS))


async def get(http, url, *, headers=None, timeout=2.0, cap=1000):
    answer = await http.get(url, headers=headers or {"authorization": "Bearer planted"}, timeout=timeout, cap=cap)
    assert not isinstance(answer, Fault) or "planted" not in answer.message
    return answer


async def post(http, url, *, headers=None, body=b"{}", timeout=2.0, cap=1000, grace=0.1):
    answer = await http.post(
        url, headers=headers or {"x-key": "planted"}, body=body, timeout=timeout, cap=cap, grace=grace
    )
    assert not isinstance(answer, Fault) or "planted" not in answer.message
    return answer


async def test_an_answer_is_status_headers_and_body(serve, http):
    """Headers are found in any case, and the time taken is told."""
    server = await serve(b"HTTP/1.1 404 Not Found\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\nabc")
    reply = await get(http, f"{server.url}/v1/result/x")
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["retry-after"], reply.body, reply.truncated) == (404, "7", b"abc", False)
    assert 0 < reply.elapsed < 2


async def test_a_request_says_who_we_are_and_wants_no_compression(serve, http):
    """Callers' headers go out as they are, non-ASCII ones as UTF-8; compression cannot be asked for."""
    server = await serve(OK)
    await get(http, f"{server.url}/x", headers={"X-Env": "prüfung", "Accept-Encoding": "gzip"})
    (head,) = server.heads
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"get /x http/1.1"
    assert "x-env: prüfung".encode() in lines
    assert [line for line in lines if line.startswith(b"accept-encoding")] == [b"accept-encoding: identity"]
    assert f"user-agent: notifier/{__version__}".encode() in lines
    assert f"host: 127.0.0.1:{server.port}".encode() in lines


async def test_a_callers_user_agent_wins(serve, http):
    """The default is only a default, in whatever case the caller writes the header."""
    server = await serve(OK)
    await get(http, server.url, headers={"User-Agent": "mine"})
    assert server.heads[0].lower().count(b"user-agent") == 1
    assert b"mine" in server.heads[0]


async def test_a_post_carries_its_body(serve, http):
    """The body arrives unchanged, with its length."""
    received = []

    async def behave(reader, writer):
        received.append(await reader.readexactly(5))
        writer.write(OK)

    server = await serve(behave)
    reply = await post(http, server.url, body=b"\x00\xff{}!", headers={"content-type": "application/json"})
    assert isinstance(reply, Reply)
    assert received == [b"\x00\xff{}!"]
    assert b"content-length: 5" in server.heads[0].lower()


@pytest.mark.parametrize("path", ["/a%2Fb%3Fc%2E%2E/%25/%2e%2e/%7E", "/x?q=%2F%26&r=a%20b", "//a//b/", "/v1/%C3%BC"])
async def test_a_percent_encoded_path_reaches_the_wire_unchanged(serve, http, path):
    """An id with a slash or dots in it must not become another path."""
    server = await serve(OK)
    await get(http, server.url + path)
    assert server.heads[0].split(b" ")[1] == path.encode()


async def test_a_host_name_that_newer_rules_refuse_is_still_called(serve, closing):
    """Emoji domains exist in DNS though IDNA 2008 has no place for them."""
    server = await serve(OK)
    allow = [ip_network("127.0.0.0/8")]
    http = closing(Http(guard=lambda: allow, keepalive=5, tls=TLS, resolve=lambda _: ["127.0.0.1"]))
    reply = await post(http, f"http://xn--i-7iq.example:{server.port}/")
    assert isinstance(reply, Reply)


async def test_a_redirect_is_an_answer(serve, http):
    """A redirect is not followed, so credentials and events go nowhere but where they were sent."""
    server = await serve(b"HTTP/1.1 301 Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", again=True)
    for answer in (await get(http, server.url), await post(http, server.url)):
        assert isinstance(answer, Reply)
        assert (answer.status, answer.headers["location"]) == (301, "/other")
    assert len(server.heads) == 2


async def test_no_cookie_is_kept(serve, http):
    """One receiver's cookie is not sent back, to it or to others."""
    server = await serve(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n", again=True)
    for _ in range(2):
        await get(http, server.url)
    assert len(server.heads) == 2
    assert b"cookie" not in server.heads[1].lower()


async def test_nothing_is_inflated(serve, http):
    """A bomb of compressed zeros stays as small as it came."""
    bomb = gzip.compress(bytes(10_000_000))[:900]
    server = await serve(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 900\r\n\r\n" + bomb)
    reply = await get(http, server.url)
    assert isinstance(reply, Reply)
    assert reply.body == bomb


async def test_a_huge_body_is_read_up_to_the_cap(serve, http):
    """What is over the cap is not read: the connection is closed on it."""
    broken = asyncio.Event()

    async def endless(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except OSError:
            broken.set()

    server = await serve(endless)
    for ask in (get, post):
        broken.clear()
        reply = await ask(http, server.url)
        assert isinstance(reply, Reply)
        assert (reply.body, reply.truncated) == (b"x" * 1000, True)
        async with asyncio.timeout(0.5):
            await broken.wait()


@pytest.mark.parametrize(("length", "truncated"), [(999, False), (1000, False), (1001, True)])
async def test_a_body_of_just_the_cap_is_whole(serve, http, length, truncated):
    """The cap itself is still allowed; one byte more is cut off and said to be."""
    server = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)
    reply = await get(http, server.url)
    assert isinstance(reply, Reply)
    assert (len(reply.body), reply.truncated) == (min(length, 1000), truncated)


async def reset(_, writer):
    writer.transport.abort()


async def silent(_, writer):
    await asyncio.sleep(9)


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (reset, "connect"),
        (b"", "connect"),
        (b"HTTP/1.1 200 O", "connect"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: planted\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n", "protocol"),
        (silent, "timeout"),
    ],
    ids=["reset", "closed", "broken off", "not http", "status", "length", "lengths", "header", "headers", "silence"],
)
@pytest.mark.parametrize("ask", [get, post])
async def test_no_usable_answer_is_a_fault(serve, http, ask, behave, kind):
    """What goes wrong before the headers are in is told by its kind, without the URL or what was sent."""
    server = await serve(behave)
    fault = await ask(http, f"{server.url}/planted?planted", timeout=0.2)
    assert isinstance(fault, Fault)
    assert fault.kind == kind
    assert fault.message.startswith(f"127.0.0.1:{server.port}: ")


async def test_a_closed_port_is_a_fault(serve, http):
    """Nobody listening is told in the system's words."""
    fault = await get(http, "http://127.0.0.1:1/planted")
    assert fault == Fault("connect", "127.0.0.1:1: no connection, or it broke: Connection refused")


async def test_a_failed_look_up_is_a_fault(closing):
    """A provider's name that does not resolve is told as such."""

    def nowhere(_):
        raise OSError(-2, "Name or service not known")

    http = closing(Http(guard=None, keepalive=5, tls=TLS, resolve=nowhere))
    fault = await get(http, "http://provider.example/planted")
    assert fault == Fault("dns", "provider.example: the name cannot be looked up: Name or service not known")


BROKEN = [
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nplanted\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    b"Content-Length: 10\r\n\r\nhi",
]


@pytest.mark.parametrize("rest", BROKEN, ids=["malformed", "unended", "short"])
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["", "103"])
@pytest.mark.parametrize("status", [200, 204, 404, 500])
async def test_a_post_is_settled_by_its_headers(serve, http, rest, start, status):
    """What becomes of the body after the headers changes nothing, for a success and for a refusal alike, also when
    all of it comes in one packet."""
    server = await serve(start + b"HTTP/1.1 %d X\r\n" % status + rest)
    reply = await post(http, server.url)
    assert isinstance(reply, Reply)
    assert reply.status == status
    assert reply.body in (b"hi", b"")


@pytest.mark.parametrize("rest", BROKEN, ids=["malformed", "unended", "short"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_poll_needs_its_whole_body(serve, http, rest, method):
    """Half an answer of a provider must not pass for one, whichever way it was asked."""
    server = await serve(b"HTTP/1.1 200 OK\r\n" + rest)
    fault = await (get(http, server.url) if method == "GET" else post(http, server.url, grace=None))
    assert isinstance(fault, Fault)
    assert fault.kind in ("protocol", "connect")


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_an_early_answer_to_a_large_post_counts(serve, http):
    """A receiver may answer without reading; what could not be sent holds nothing up."""
    server = await serve(OK)
    reply = await post(http, server.url, body=bytes(20_000_000))
    assert isinstance(reply, Reply | Fault)  # which of the two came first, the answer or the reset, is chance
    assert not isinstance(reply, Fault) or reply.kind == "connect"


async def test_a_get_is_sent_once_though_a_kept_connection_breaks(serve, http):
    """Else one poll would be two requests, one of them neither counted nor paced."""

    async def answer_once(reader, writer):
        if len(server.heads) > 1:
            raise ConnectionAbortedError
        writer.write(OK)

    server = await serve(answer_once, again=True)
    assert isinstance(await get(http, server.url), Reply)
    assert isinstance(await get(http, server.url), Fault)
    assert len(server.heads) == 2


@pytest.mark.parametrize("cut", [b"HTTP/1.1 200 OK\r\n", OK[:-5], OK[:-4], OK[:-3], b"HTTP/1.1 2"])
async def test_a_status_counts_wherever_its_head_is_cut(serve, http, cut):
    """What TCP makes of it must not decide whether a malformed body loses an accepted event."""
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"

    async def in_two(reader, writer):
        writer.write(whole[: len(cut)])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(whole[len(cut) :])

    server = await serve(in_two)
    reply = await post(http, server.url)
    assert isinstance(reply, Reply)
    assert reply.status == 200


async def test_long_headers_fail_no_answer(serve, http):
    """Receivers behind many proxies answer with many and long ones."""
    many = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 20) for number in range(200))
    server = await serve(b"HTTP/1.1 200 OK\r\nX-Long: " + b"b" * 16_000 + b"\r\n" + many + b"Content-Length: 0\r\n\r\n")
    reply = await post(http, server.url)
    assert isinstance(reply, Reply)
    assert reply.status == 200


async def test_a_post_is_sent_once(serve, http):
    """Repeating is the schedule's business: a connection that breaks is one attempt."""
    server = await serve(b"")
    await post(http, server.url)
    assert server.accepts == 1


@pytest.mark.parametrize(
    "headers", [{"x": "a\r\nplanted: 1"}, {"x": "a\x00planted"}, {"x": "\udcffplanted"}, {"ü": "planted"}]
)
async def test_a_header_that_cannot_be_sent_is_a_fault(serve, http, headers):
    """A header with a line break would be two; nothing of it is sent or shown."""
    server = await serve(OK)
    fault = await post(http, server.url, headers=headers)
    assert isinstance(fault, Fault)
    assert fault.kind == "protocol"
    assert "header" in fault.message
    assert server.heads == []


@pytest.mark.parametrize(
    "url", ["", "planted", "ftp://127.0.0.1/planted", "http://", "http://[x/planted", "http://a:b/", "http://\udcff/"]
)
async def test_a_url_that_cannot_be_called_is_a_fault(http, url):
    """Whatever the text is, asking for it does not raise."""
    fault = await get(http, url)
    assert isinstance(fault, Fault)


async def test_connections_are_kept_and_let_go(serve, closing):
    """A second request uses the first one's connection, unless that was idle for longer than it is kept."""
    server = await serve(OK, again=True)
    http = closing(Http(guard=None, keepalive=0.05, tls=TLS))
    await get(http, server.url)
    await get(http, server.url)
    assert server.accepts == 1
    await asyncio.sleep(0.15)
    await get(http, server.url)
    assert server.accepts == 2


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
async def test_proxies_of_the_environment_are_ignored(serve, closing, monkeypatch, name):
    """A proxy would be dialled in the place of the address that was judged."""
    server, proxy = await serve(OK, again=True), await serve(OK)
    monkeypatch.setenv(name, proxy.url)
    http = closing(Http(guard=None, keepalive=5, tls=TLS))
    assert isinstance(await get(http, server.url), Reply)
    assert (server.accepts, proxy.accepts) == (1, 0)


async def test_a_closed_client_answers_with_a_fault(serve):
    """Work that is late at the stop is told no, and opens no new connection, even if a reload comes in between."""
    allow = [ip_network("127.0.0.0/8")]
    server = await serve(OK, again=True)
    http = Http(guard=lambda: allow, keepalive=5, tls=TLS)
    assert isinstance(await get(http, server.url), Reply)
    await http.aclose()
    assert isinstance(await get(http, server.url), Fault)
    allow = [ip_network("127.0.0.1/32")]
    assert isinstance(await get(http, server.url), Fault)
    assert server.accepts == 1
