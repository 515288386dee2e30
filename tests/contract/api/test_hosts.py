"""The Host check against DNS rebinding: on loopback the intake answers for this machine's own names only."""

import httpx
import pytest

from tests.contract.api.world import World, assert_problem

KNOWN = [
    "localhost",
    "localhost:8470",
    "LocalHost.",
    "notifier.localhost:80",
    "127.0.0.1",
    "127.0.0.1:8470",
    "[::1]",
    "[::1]:8470",
    "192.0.2.7:8470",
    "proxy.example.com",
    "PROXY.example.com:443",
    "",
]
UNKNOWN = [
    "evil.example.net",
    "evil.example.net:8470",
    "x.proxy.example.com",
    "localhost.evil.net",
    "notlocalhost",
    "127.0.0.1.nip.io",
    "127.0.0.1@evil.net",
    "127.1",
    "[evil.net]",
    "[::1",
    "::1",
    "localhost, evil.net",
    "evil.net\\localhost",
]


async def ask(world: World, host: str | None, path: str = "/openapi.json", method: str = "GET") -> httpx.Response:
    request = world.client.build_request(method, path)
    del request.headers["host"]
    if host is not None:
        request.headers["host"] = host
    return await world.client.send(request)


@pytest.mark.parametrize("host", KNOWN)
async def test_this_machines_names_and_the_listed_ones_are_known(world: World, host: str) -> None:
    """With any port, in any case; an address cannot be rebound."""
    world.hosts = ("proxy.example.com",)
    assert (await ask(world, host)).status_code == 200


@pytest.mark.parametrize("host", UNKNOWN)
async def test_another_host_is_421(world: World, host: str) -> None:
    """With the setting that would allow it, and without the name, which is the attacker's to choose."""
    world.hosts = ("proxy.example.com",)
    document = assert_problem(await ask(world, host), 421)
    assert "intake.hosts" in document["detail"]
    assert "evil" not in document["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/metrics"), ("GET", "/.well-known/webhook-keys"), ("POST", "/v1/watches"), ("GET", "/nowhere")],
)
async def test_every_path_is_checked(world: World, method: str, path: str) -> None:
    """Before it is known whether the path exists, and before a token is looked at."""
    world.hosts = ()
    world.tokens = {"a": "token"}
    assert_problem(await ask(world, "evil.example.net", path, method), 421)


async def test_without_a_host_no_browser_asks(world: World) -> None:
    """HTTP/1.0 knows a request without one."""
    world.hosts = ()
    assert (await ask(world, None)).status_code == 200


async def test_beyond_loopback_any_host_will_do(world: World) -> None:
    """There it is the tokens that protect the intake, and its names are many."""
    world.hosts = None
    assert (await ask(world, "evil.example.net")).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_may_ask_by_any_name(world: World, path: str) -> None:
    """Whatever watches the process; they tell a page nothing."""
    world.hosts = ()
    assert (await world.call("GET", path, headers={"Host": "probe.example.net"})).status_code == 200
