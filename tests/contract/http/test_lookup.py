"""Name servers that never answer, and the names of everybody else."""

import asyncio
import ssl
import threading
import time

import pytest

from notifier.adapters.http import Fault, Http, lookup
from notifier.adapters.http.guard import MOST_ADDRESSES, MOST_DIALLED, Resolver
from notifier.adapters.http.lookup import AT_ONCE, Lookup
from notifier.domain.address import Refusal
from notifier.ports import GuardBusyError

TLS = ssl.create_default_context()
PUBLIC = ["93.184.215.14"]


class Tarpit:
    """A resolver in which the names with `hangs` in them wait until the test's end, when `hanging`."""

    def __init__(self):
        self.hanging = True
        self.asked = []
        self._end = threading.Event()

    def __call__(self, host):
        self.asked.append(host)
        if self.hanging and "hangs" in host:
            self._end.wait(20)
        return PUBLIC

    def close(self):
        self._end.set()


@pytest.fixture
async def tarpit():
    names = Tarpit()
    yield names
    names.close()
    await asyncio.sleep(0.1)  # lets the threads end within this test


def names(count):
    return [f"hangs-{number}.example" for number in range(count)]


async def until(true):
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_many_hanging_names_do_not_stop_the_checks_of_good_ones(tarpit, closing):
    """Twice as many names as have places hang, and a name that nobody knows yet is judged all the same."""
    http = closing(Http(guard=lambda: (), keepalive=5, tls=TLS, resolve=tarpit))
    hanging = [asyncio.create_task(http.check(f"https://{name}/", timeout=9)) for name in names(2 * AT_ONCE)]
    await until(lambda: len(tarpit.asked) == AT_ONCE)
    assert await http.check("https://good.example/", timeout=5) is None
    assert "good.example" in tarpit.asked
    tarpit.close()
    assert await asyncio.gather(*hanging) == [None] * 2 * AT_ONCE


async def test_a_name_that_was_quick_before_never_waits_for_hanging_ones(tarpit, monkeypatch):
    """Places of its own: neither all places taken nor too many hanging look-ups keep a known receiver waiting."""
    monkeypatch.setattr(lookup, "MOST_HUNG", AT_ONCE)
    found = Lookup(tarpit)
    await found.addresses("known.example")
    hanging = [asyncio.create_task(found.addresses(name)) for name in names(2 * AT_ONCE)]
    await until(lambda: len(tarpit.asked) == 1 + AT_ONCE)
    began = time.monotonic()
    assert await found.addresses("known.example") == PUBLIC
    assert time.monotonic() - began < 0.4  # before any of the others could have lost its place
    tarpit.close()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_name_that_turns_bad_loses_its_good_name(tarpit, monkeypatch):
    """Being quick once buys one hanging look-up, not a place for ever."""
    monkeypatch.setattr(lookup, "PATIENCE_SECONDS", 0.01)
    found = Lookup(tarpit)
    tarpit.hanging = False
    await found.addresses("hangs.example")
    assert "hangs.example" in found._quick
    tarpit.hanging = True
    hanging = asyncio.create_task(found.addresses("hangs.example"))
    await until(lambda: len(tarpit.asked) == 2 and not found._patience)
    tarpit.close()
    assert await hanging == PUBLIC
    assert "hangs.example" not in found._quick


async def test_there_is_an_end_to_hanging_look_ups(tarpit, monkeypatch, closing):
    """When too many hang, a name that nobody knows is not left to its deadline. A check says that it is nothing
    about the name; a delivery is told the same, and
    a name that was quick before is not refused. When they have ended, all is well."""
    monkeypatch.setattr(lookup, "MOST_HUNG", 3)
    monkeypatch.setattr(lookup, "PATIENCE_SECONDS", 0.01)
    http = closing(Http(guard=lambda: (), keepalive=5, tls=TLS, resolve=tarpit))
    assert await http.check("https://known.example/") is None
    urls = [f"https://{name}/" for name in names(3)]
    hanging = [asyncio.create_task(http.check(url, timeout=9)) for url in urls]
    posts = [asyncio.create_task(post(http, url)) for url in urls]
    await until(lambda: len(tarpit.asked) == 7 and not http._checks._patience and not http._lookup._patience)
    says = "the look-ups of too many other names hang; try again in a minute"
    with pytest.raises(GuardBusyError, match=says):
        await http.check("https://new.example/", timeout=9)
    fault = await post(http, "https://new.example/")
    assert fault == Fault("dns", f"new.example: the name cannot be looked up: {says}")
    assert "new.example" not in tarpit.asked
    assert await http.check("https://known.example/") is None
    for task in posts:
        task.cancel()
    tarpit.close()
    await asyncio.gather(*hanging)
    assert await http.check("https://new.example/", timeout=9) is None


async def test_without_a_thread_a_name_is_refused_and_tried_again(monkeypatch):
    """A machine at its limit of tasks fails this look-up, and no later one."""
    found = Lookup(lambda _: PUBLIC)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(2 * AT_ONCE):
            with pytest.raises(OSError, match="no thread left"):
                await found.addresses("receiver.example")
    assert await found.addresses("receiver.example") == PUBLIC


def no_thread(_):
    raise RuntimeError("can't start new thread")


async def post(http, url):
    return await http.post(url, headers={}, body=b"{}", timeout=9, cap=1000, grace=0.1)


async def test_the_names_that_are_known_are_limited(monkeypatch):
    """A daemon that runs for years does not remember every name; the latest ones it does."""
    monkeypatch.setattr(lookup, "MOST_KNOWN", 2)
    found = Lookup(lambda _: PUBLIC)
    for name in ("a", "b", "a", "c"):
        await found.addresses(name)
    assert list(found._quick) == ["a", "c"]


async def test_a_name_with_hundreds_of_addresses_is_refused(closing):
    """Judging thousands would hold up everybody else, and no receiver has so many."""
    many = [f"93.184.{number // 250}.{number % 250 + 1}" for number in range(MOST_ADDRESSES + 1)]
    answers = {"many.example": many, "enough.example": many[1:]}
    http = closing(Http(guard=lambda: (), keepalive=5, tls=TLS, resolve=answers.__getitem__))
    assert await http.check("https://enough.example/") is None
    refused = await http.check("https://many.example/")
    assert isinstance(refused, Refusal)
    assert refused.message == "many.example: the name has 65 addresses; at most 64 are taken"
    assert await post(http, "https://many.example/") == Fault("refused", refused.message)


@pytest.mark.parametrize(
    ("found", "dialled"),
    [
        (["192.0.2.1"], "1"),
        ([f"192.0.2.{number}" for number in range(1, 9)], "1 2 3 4"),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2", "192.0.2.3"], "v1 v2 1 2"),
        (["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"], "1 2 v1"),
    ],
)
async def test_few_addresses_of_a_name_are_dialled(found, dialled):
    """When none of them answers they are dialled side by side: a name could cost a descriptor for each. Both families
    have their share, in the resolver's order."""
    resolver = Resolver(Lookup(lambda _: found), "https", None)
    short = [one["host"].replace("2001:db8::", "v").replace("192.0.2.", "") for one in await resolver.resolve("x")]
    assert short == dialled.split()
    assert len(short) <= MOST_DIALLED
