"""Where a download may go, and what it takes along."""

import asyncio
import re

import pytest
from structlog.testing import capture_logs

from notifier.adapters.archive.fetch import REFUSED
from notifier.adapters.http import Home, origin
from notifier.ports import Saved, SaveOrder, Unsaved
from tests.contract.archive.conftest import LOOPBACK
from tests.contract.archive.servers import content, honest, saying

FILE = content(5000)
KEY = {"authorization": "Bearer planted"}


def order(server) -> SaveOrder:
    return SaveOrder(url=server.url, name="videos/t/wch_1-0", provider="videos")


def to(url: str, status: str = "302 Found"):
    return saying(status, Location=url, Content_Length=0)


def carried(server) -> list[str | None]:
    return [request.headers.get("authorization") for request in server.requests]


async def test_the_providers_own_origin_gets_its_key_and_needs_no_listing(serve, archive):
    """The operator chose it: it may be private and speak plain http."""
    server = await serve(honest(FILE, limit=3000))
    built = await archive(guard=lambda: (), home=Home(frozenset({origin(server.url)}), KEY))
    assert isinstance(await built.save(order(server)), Saved)
    assert carried(server) == [KEY["authorization"]] * 2


async def test_a_key_in_the_query_goes_to_the_providers_own_origin_only(serve, archive):
    """Beside the parameters that are there already."""
    storage = await serve(honest(FILE))
    provider = await serve(to(storage.url))
    home = Home(frozenset({origin(provider.url)}), query=(("key", "s3cret"),))
    assert isinstance(await (await archive(home=home)).save(order(provider)), Saved)
    assert [request.path.rpartition("?")[2] for request in provider.requests] == ["signature=planted&key=s3cret"]
    assert "s3cret" not in storage.requests[0].path


async def test_any_other_origin_gets_no_key(serve, archive):
    """The same host on another port is another origin."""
    server, provider = await serve(honest(FILE)), await serve(honest(FILE))
    built = await archive(home=Home(frozenset({origin(provider.url)}), KEY))
    assert isinstance(await built.save(order(server)), Saved)
    assert carried(server) == [None]


async def test_the_guard_judges_every_other_url(serve, archive):
    """Before any connection."""
    server = await serve(honest(FILE))
    with capture_logs() as lines:
        result = await (await archive(guard=lambda: ())).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "refused"
    assert server.accepts == 0
    (line,) = lines
    assert (line["event"], line["provider"], line["file"]) == ("result.refused", "videos", "videos/t/wch_1-0")
    assert "webhooks.allow_networks" in line["error"]


async def test_receivers_are_told_no_address_of_our_network(serve, archive):
    """A name or a redirect may lead anywhere, and what answers there is nothing for outsiders to map."""
    server = await serve(honest(FILE))
    for url in (f"http://localhost:{server.port}/x", "http://127.0.0.1:1/", "http://169.254.169.254/x"):
        provider = await serve(to(url))
        home = Home(frozenset({origin(provider.url)}))
        result = await (await archive(guard=lambda: (), home=home)).save(order(provider))
        assert result == Unsaved("refused", REFUSED)
    assert not re.search(r"[0-9]|allow_networks", REFUSED)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_elsewhere_is_judged_and_takes_no_key_along(serve, archive, status):
    """A file behind the provider's API, which hands out a URL of its storage."""
    storage = await serve(honest(FILE))
    provider = await serve(to(storage.url, status))
    home = Home(frozenset({origin(provider.url)}), KEY)
    assert isinstance(await (await archive(home=home)).save(order(provider)), Saved)
    assert carried(provider) == [KEY["authorization"]]
    assert carried(storage) == [None]
    refused = await (await archive(guard=lambda: (), home=home)).save(order(provider))
    assert isinstance(refused, Unsaved)
    assert refused.reason == "refused"
    assert storage.accepts == 1


async def test_a_redirect_within_the_origin_keeps_the_key(serve, archive):
    """A relative one, too."""
    server = await serve(honest(FILE))

    async def moves(request, answer):
        await (to("/elsewhere") if request.path != "/elsewhere" else honest(FILE))(request, answer)

    server.behave = moves
    built = await archive(guard=lambda: (), home=Home(frozenset({origin(server.url)}), KEY))
    assert isinstance(await built.save(order(server)), Saved)
    assert carried(server) == [KEY["authorization"]] * 2


async def test_a_way_back_home_takes_no_key_along(serve, archive):
    """Who sends us there is a stranger: neither the key nor the exemption from the guard is for it to use."""
    provider, stranger = await serve(honest(FILE)), await serve(honest(FILE))
    stranger.behave = to(f"{provider.origin}/internal")
    built = await archive(home=Home(frozenset({origin(provider.url)}), KEY))
    assert isinstance(await built.save(order(stranger)), Saved)
    assert carried(provider) == [None]
    provider.behave = to(stranger.url)
    strict = await archive(guard=lambda: (), home=Home(frozenset({origin(provider.url)}), KEY))
    result = await strict.save(order(provider))
    assert isinstance(result, Unsaved)
    assert result.reason == "refused"


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://user:password@127.0.0.1/",
        "http://a\\@127.0.0.1/",
        "http://127.0.0.1:0/",
        "//[",
    ],
)
async def test_a_redirect_to_what_is_no_place_for_files_is_refused(serve, archive, location):
    """Also when it comes from the provider itself, and whatever networks are listed."""
    server = await serve(to(location))
    built = await archive(home=Home(frozenset({origin(server.url)}), KEY))
    result = await built.save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "refused"
    assert len(server.requests) == 1


async def test_redirects_without_end_end_the_try(serve, archive):
    """Five are followed."""
    server = await serve(honest(FILE))
    server.behave = to(server.url)
    result = await (await archive()).save(order(server))
    assert isinstance(result, Unsaved)
    assert result.message.startswith("127.0.0.1: more than 5 redirects")
    assert len(server.requests) == 3 * 6


async def test_a_changed_guard_holds_from_the_next_leg_on(serve, archive):
    """A connection that was allowed before is not used again."""
    allowed = list(LOOPBACK)
    server = await serve(honest(FILE, limit=3000))
    built = await archive(guard=lambda: tuple(allowed))

    async def forbid(seconds):
        allowed.clear()

    built._sleep = forbid
    result = await built.save(order(server))
    assert isinstance(result, Unsaved)
    assert result.reason == "refused"
    assert server.accepts == 1


async def test_no_message_shows_the_path_or_the_query(serve, archive):
    """Signed URLs are keys."""
    for behave in (saying("500 Oops"), saying("403 No"), saying("200 OK", b"x", Content_Length=2), to("/planted")):
        result = await (await archive()).save(order(await serve(behave)))
        assert isinstance(result, Unsaved)
        assert "planted" not in result.message


async def test_a_server_that_is_gone_is_broken_not_raised(serve, archive):
    """Nobody listens there any more."""
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()
    result = await (await archive()).save(SaveOrder(f"http://127.0.0.1:{port}/x", "videos/t/wch_1-0", "videos"))
    assert isinstance(result, Unsaved)
    assert result.reason == "broken"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://Example.com/a?b", "https://example.com:443"),
        ("http://example.com:8080", "http://example.com:8080"),
        ("http://[0:0::1]/", "http://::1:80"),
    ],
)
def test_an_origin_has_one_spelling(url, same):
    """So that comparing text compares origins."""
    assert origin(url) == same
