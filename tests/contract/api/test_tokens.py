"""Bearer tokens: who gets in, who is told what, and how often somebody may be wrong."""

import httpx
import pytest
from structlog.testing import capture_logs

from notifier.adapters.api import auth
from tests.contract.api.test_operations import EVERY_V1_CALL
from tests.contract.api.world import World, assert_problem


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("header", ["Bearer s3cret-token", "bearer s3cret-token", "BEARER  other-token"])
async def test_each_configured_token_opens(guarded: World, header: str) -> None:
    """The scheme's case does not matter (RFC 9110, section 11.1), the token's does."""
    assert (await guarded.call("GET", "/v1/watches", headers={"Authorization": header})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic s3cret-token"},
        {"Authorization": "s3cret-token"},
        bearer("S3CRET-TOKEN"),
        bearer("s3cret-toke"),
        bearer("s3cret-tokenx"),
        bearer("backend"),
        {"X-Token": "s3cret-token"},
    ],
)
async def test_no_token_or_a_wrong_one_is_401(guarded: World, headers: dict[str, str]) -> None:
    """With the challenge that RFC 9110 asks for, and no word about which tokens there are."""
    answer = await guarded.call("GET", "/v1/watches", headers=headers)
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "s3cret" not in answer.text


async def test_a_token_that_is_not_text_is_401(guarded: World) -> None:
    """Header values are bytes."""
    answer = await guarded.client.get("/v1/watches", headers={b"Authorization": b"Bearer \xff\xfe"})
    assert_problem(answer, 401)


@pytest.mark.parametrize(("method", "path"), [*EVERY_V1_CALL, ("GET", "/metrics"), ("GET", "/openapi.json")])
async def test_every_call_needs_a_token(guarded: World, method: str, path: str) -> None:
    """401 comes before everything else: the body is not read."""
    assert_problem(await guarded.call(method, path, content=b"{broken"), 401)


@pytest.mark.parametrize("path", ["/nowhere", "/v1/watches/"])
async def test_what_exists_is_not_told_without_a_token(guarded: World, path: str) -> None:
    """401 before 404 and 405."""
    assert_problem(await guarded.call("GET", path), 401)
    assert_problem(await guarded.call("PUT", "/v1/watches"), 401)
    assert_problem(await guarded.call("GET", path, headers=bearer("other-token")), 404)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/.well-known/webhook-keys"])
async def test_health_readiness_and_keys_need_none(guarded: World, path: str) -> None:
    """Probes have no token, and public keys are public."""
    assert (await guarded.call("GET", path)).status_code == 200


async def test_tokens_may_change_while_running(guarded: World) -> None:
    """A reload takes effect with the next call."""
    guarded.tokens = {"new": "fresh-token"}
    assert_problem(await guarded.call("GET", "/v1/watches", headers=bearer("s3cret-token")), 401)
    assert (await guarded.call("GET", "/v1/watches", headers=bearer("fresh-token"))).status_code == 200


async def test_tokens_are_never_logged(guarded: World) -> None:
    """The name of the caller is, its token is not, right or wrong."""
    with capture_logs() as lines:
        await guarded.call("GET", "/v1/watches", headers=bearer("s3cret-token"))
        await guarded.call("GET", "/v1/watches?token=s3cret-token", headers=bearer("wrong-token"))
    assert [(line["caller"], line["status"]) for line in lines] == [("backend", 200), (None, 401)]
    assert {line["log_level"] for line in lines} == {"debug"}
    assert "token" not in str(lines)


async def test_too_many_failures_are_429(guarded: World) -> None:
    """From one address; a right token passes all the same, and with time come new tries."""
    statuses = [(await guarded.call("GET", "/v1/watches", headers=bearer("x"))).status_code for _ in range(60)]
    assert statuses == [401] * 50 + [429] * 10
    answer = await guarded.call("GET", "/v1/watches")
    assert_problem(answer, 429)
    assert answer.headers["retry-after"] == "1"
    assert (await guarded.call("GET", "/v1/watches", headers=bearer("other-token"))).status_code == 200
    await guarded.crew.advance(1)
    assert (await guarded.call("GET", "/v1/watches")).status_code == 401
    assert (await guarded.call("GET", "/v1/watches")).status_code == 429


async def test_right_tokens_are_not_limited(guarded: World) -> None:
    """Only failures are counted."""
    for _ in range(120):
        assert (await guarded.call("GET", "/v1/reload", headers=bearer("other-token"))).status_code == 405


async def test_clients_are_counted_by_address(guarded: World) -> None:
    """One who is limited does not limit another."""

    async def from_address(address: str) -> int:
        transport = httpx.ASGITransport(guarded.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
            return (await client.get("/v1/watches")).status_code

    while await from_address("192.0.2.1") == 401:
        pass
    assert await from_address("192.0.2.1") == 429
    assert await from_address("192.0.2.2") == 401


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8::1", 5), "2001:db8::/64"),
        (("2001:db8::ffff:1", 5), "2001:db8::/64"),
        (("fe80::1%eth0", 5), "fe80::/64"),
        (("", 0), "unix"),
        (None, "unix"),
    ],
)
def test_who_is_counted_together(client: object, counted: str) -> None:
    """One IPv6 customer has a /64 at least; everybody on a unix socket is one."""
    assert auth.client_of({"type": "http", "client": client}) == counted


def test_failures_are_counted_in_bounded_memory() -> None:
    """The clients seen longest ago are forgotten first; who comes when the memory is full is counted all the same."""
    failures = auth.FailedAttempts(lambda: 0.0)
    assert [failures.count("first") is None for _ in range(51)] == [True] * 50 + [False]
    for number in range(auth.MOST_CLIENTS):
        failures.count(str(number))
    assert len(failures) == auth.MOST_CLIENTS
    assert [failures.count("last") is None for _ in range(51)] == [True] * 50 + [False]
    assert failures.count("first") is None


def test_a_clock_that_stands_still_gives_no_tries() -> None:
    """Who is over the limit stays there until time has passed, however often it tries."""
    now = 0.0
    failures = auth.FailedAttempts(lambda: now)
    for _ in range(50):
        assert failures.count("a") is None
    assert [failures.count("a") for _ in range(3)] == [1.0, 1.0, 1.0]
    now = 0.75
    assert failures.count("a") == 0.25
    now = 1.0
    assert failures.count("a") is None
    now = 1000.0
    assert [failures.count("a") is None for _ in range(51)] == [True] * 50 + [False]


async def test_a_token_that_two_callers_have_gives_the_rights_of_the_first(guarded: World) -> None:
    """No configuration has one; if it had, whoever stands below could not widen what stands above."""
    guarded.tokens = {"tenant": "one-token", "owner": "one-token"}
    guarded.prefixes = {"tenant": ("https://mine.example.com",)}
    assert_problem(await guarded.call("POST", "/v1/reload", headers=bearer("one-token")), 403)
