import asyncio
import contextlib
import ssl
import subprocess
import sys
import threading
import time
from ipaddress import ip_network

import aiohttp
import httpx
import pytest

from notifier.adapters.http import Fault, Http, Reply
from notifier.adapters.http.guard import RefusedError
from notifier.adapters.http.lookup import AT_ONCE, Lookup, system_addresses
from notifier.adapters.http.pool import Pool
from notifier.domain.address import Refusal

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
TLS = ssl.create_default_context()
NOTHING = ()
LOOPBACK = (ip_network("127.0.0.0/8"),)


class Names:
    """A resolver that knows what a test tells it, and counts the questions."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, host):
        self.asked.append(host)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def guarded(closing):
    def make(allow, *answers):
        networks = allow if callable(allow) else lambda: allow
        return closing(Http(guard=networks, keepalive=5, tls=TLS, resolve=Names(*answers) if answers else no_look_up))

    return make


def no_look_up(host):
    raise AssertionError(f"{host} was looked up")


async def post(http, url):
    return await http.post(url, headers={}, body=b"{}", timeout=2.0, cap=1000, grace=0.1)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"),
        *("①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "LOCALHOST.", "127.0.0.1.", "a@127.0.0.1", "a\\@127.0.0.1"),
        "%3127.0.0.1",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_spelling_of_a_forbidden_address_is_dialled(serve, guarded, scheme, host):
    """However loopback is written, nothing arrives there: neither by an attempt nor by the check before it."""
    server = await serve(OK)
    http, url = guarded(NOTHING), f"{scheme}://{host}:{server.port}/"
    assert isinstance(await http.check(url), Refusal)
    fault = await post(http, url)
    assert isinstance(fault, Fault)
    assert fault.kind == "refused"
    assert server.accepts == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1", "http://[::ffff:127.0.0.1]", "http://receiver.example"])
async def test_a_listed_address_is_called(serve, guarded, url):
    """A listed network opens literals, their mapped form, and names that resolve into it, also for plain http."""
    server = await serve(OK)
    http = guarded(LOOPBACK, ["127.0.0.1"])
    assert await http.check(f"{url}:{server.port}/") is None
    reply = await post(http, f"{url}:{server.port}/")
    assert isinstance(reply, Reply)
    assert server.accepts == 1


@pytest.mark.parametrize("addresses", [["127.0.0.1", "10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "::1"]])
async def test_a_name_with_one_bad_address_is_refused_whole(serve, guarded, addresses):
    """Which of a name's addresses is dialled is chance, so one bad one spoils the name; for http all must be listed."""
    server = await serve(OK)
    http = guarded(LOOPBACK, addresses)
    url = f"http://mixed.example:{server.port}/"
    refused = await http.check(url)
    fault = await post(http, url)
    assert isinstance(refused, Refusal)
    assert fault == Fault("refused", refused.message)
    assert "mixed.example: " in refused.message
    assert "webhooks.allow_networks" in refused.message
    assert server.accepts == 0


async def test_a_name_that_changes_after_the_check_is_refused(serve, guarded):
    """A harmless answer at registration is worth nothing at the attempt: the address dialled is judged."""
    server = await serve(OK)
    http = guarded(NOTHING, ["8.8.8.8"], ["127.0.0.1"])
    url = f"https://rebinding.example:{server.port}/"
    assert await http.check(url) is None
    fault = await post(http, url)
    assert isinstance(fault, Fault)
    assert (fault.kind, server.accepts) == ("refused", 0)


async def test_what_is_dialled_is_what_was_judged(serve, closing):
    """Each connection asks for the name once, and dials an address of that answer: a second look-up, which could say
    something else, is not made. A kept connection asks nobody."""
    server = await serve(OK, again=True)
    names = Names(["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2"], ["8.8.8.8"])
    http = closing(Http(guard=lambda: LOOPBACK, keepalive=5, tls=TLS, resolve=names))
    url = f"http://receiver.example:{server.port}/"
    assert await http.check(url) is None
    assert len(names.asked) == 1
    for _ in range(2):
        assert isinstance(await post(http, url), Reply)
    assert (len(names.asked), server.accepts) == (2, 1)


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
async def test_an_address_is_judged_where_it_is_dialled(serve, kept):
    """The pool refuses a literal by itself, the second time too, even if nobody looked at the URL before."""
    server = await serve(OK, again=True)
    async with contextlib.AsyncExitStack() as stack:
        lookup = Lookup(no_look_up)
        pool = Pool(allow=NOTHING, lookup=lookup, tls=TLS, keepalive=5)
        stack.push_async_callback(pool.aclose)
        for url in [f"http://127.0.0.1:{server.port}/", f"https://[::ffff:127.0.0.1]:{server.port}/"] * (1 + kept):
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await pool.handle_async_request(httpx.Request("GET", url))
            assert isinstance(caught.value.__cause__, RefusedError)
    assert server.accepts == 0


async def test_a_change_of_the_rule_holds_for_kept_connections(serve, guarded):
    """After a reload that lists a network no more, the connection that was kept to it is not used again,
    but closed."""
    allow = LOOPBACK
    server = await serve(OK, again=True)
    http = guarded(lambda: allow, ["127.0.0.1"])
    url = f"http://receiver.example:{server.port}/"
    assert isinstance(await post(http, url), Reply)
    allow = (ip_network("10.0.0.0/8"),)
    fault = await post(http, url)
    assert isinstance(fault, Fault)
    assert fault.kind == "refused"
    assert (server.accepts, len(server.heads)) == (1, 1)
    async with asyncio.timeout(0.5):
        while server.open:
            await asyncio.sleep(0.001)


async def test_a_change_of_the_rule_lets_requests_in_flight_finish(serve, guarded):
    """A reload breaks off no attempt: what was allowed when it started goes on."""
    allow = LOOPBACK
    go = asyncio.Event()

    async def slow(_, writer):
        await go.wait()
        writer.write(OK)
        await writer.drain()

    server = await serve(slow)
    http = guarded(lambda: allow, ["127.0.0.1"])
    url = f"http://127.0.0.1:{server.port}/"
    first = asyncio.create_task(post(http, url))
    while not server.heads:
        await asyncio.sleep(0.001)
    allow = NOTHING
    assert isinstance(await post(http, url), Fault)
    assert isinstance(await post(http, "https://rebound.example/"), Fault)
    go.set()
    assert isinstance(await first, Reply)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (OSError(-2, "Name or service not known"), "Name or service not known"),
        ([], "no address"),
        (ValueError("planted"), "ValueError"),
    ],
)
async def test_a_name_that_does_not_resolve_is_refused(guarded, answer, says):
    """A callback URL that cannot be called now is refused at the registration, with the reason."""
    refused = await guarded(NOTHING, answer).check("https://nowhere.example/planted?planted")
    assert isinstance(refused, Refusal)
    assert refused.rule == "unresolvable"
    assert refused.message.startswith("nowhere.example: ")
    assert says in refused.message
    assert "planted" not in refused.message


async def test_a_look_up_that_hangs_is_refused_in_time(guarded, closing):
    """A name server that does not answer holds no registration for longer than the time-out, and no other name."""
    hanging = []

    def hang(host):
        if host == "slow.example":
            hanging.append(host)
            time.sleep(2.5)
        return ["8.8.8.8"]

    http = closing(Http(guard=lambda: NOTHING, keepalive=5, tls=TLS, resolve=hang))
    start = time.monotonic()
    slow = asyncio.gather(*(http.check("https://slow.example/", timeout=1.25) for _ in range(2 * AT_ONCE)))
    assert await http.check("https://quick.example/") is None
    assert time.monotonic() - start < 1.2  # before the slow ones give up
    for refused in await slow:
        assert isinstance(refused, Refusal)
        assert refused.rule == "unresolvable"
        assert "1.25 s" in refused.message
    assert time.monotonic() - start < 2.4  # before the look-up itself ends
    assert hanging == ["slow.example"]
    await asyncio.sleep(1.5)  # lets the thread end within this test


async def test_names_are_looked_up_a_limited_number_at_a_time():
    """However many names are asked for, at most so many threads work on it; who asks for one of these names again
    gets its answer without a thread and without a turn of its own. All are answered."""
    asked, go, others = [], threading.Event(), threading.Event()

    def wait(host):
        asked.append(host)
        (go if host == "0.example" else others).wait(5)
        return ["8.8.8.8", "8.8.8.8"]

    lookup = Lookup(wait)
    first = [asyncio.create_task(lookup.addresses(f"{n}.example")) for n in range(AT_ONCE + 5)]
    await asyncio.sleep(0.05)
    assert len(asked) == AT_ONCE
    again = asyncio.create_task(lookup.addresses("0.example"))
    await asyncio.sleep(0)
    go.set()
    assert await again == ["8.8.8.8"]
    others.set()
    assert await asyncio.gather(*first) == [["8.8.8.8"]] * (AT_ONCE + 5)
    assert len(asked) == AT_ONCE + 5


def test_a_hung_look_up_does_not_hold_the_end_of_the_process():
    """The process ends while the C library still waits for a name server."""
    program = """
import asyncio, time
from notifier.adapters.http import Http
async def main():
    http = Http(guard=lambda: (), keepalive=5, resolve=lambda host: time.sleep(60))
    print((await http.check("https://slow.example/", timeout=0.05)).rule)
    await http.aclose()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "unresolvable\n", "")


def test_the_system_knows_this_machine():
    """The system's resolver is asked for all addresses, as text."""
    assert set(system_addresses("localhost")) & {"127.0.0.1", "::1"}


async def test_without_a_guard_everything_may_be_called(serve, closing):
    """A provider's host is the operator's choice."""
    server = await serve(OK)
    http = closing(Http(guard=None, keepalive=5, tls=TLS, resolve=lambda _: ["127.0.0.1"]))
    assert await http.check("http://127.0.0.1/") is None
    assert isinstance(await post(http, f"http://provider.example:{server.port}/"), Reply)


async def test_a_public_address_may_be_called(guarded):
    """The check lets an ordinary receiver through, named or literal."""
    http = guarded(NOTHING, ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
    assert await http.check("https://receiver.example/hook") is None
    assert await http.check("https://93.184.215.14/hook") is None
