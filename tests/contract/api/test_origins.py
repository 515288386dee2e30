"""The Origin check: another site's page cannot make a visitor's browser change anything, where no token protects."""

import pytest

from tests.contract.api.world import World, assert_problem

CHANGES = [
    ("POST", "/v1/reload"),
    ("POST", "/v1/deliveries/evt_1/redeliver"),
    ("DELETE", "/v1/watches/wch_1"),
    ("DELETE", "/v1/endpoints/ep_1"),
    ("PATCH", "/v1/endpoints/ep_1"),
    ("POST", "/v1/watches"),
]
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://intake:81"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "intake"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://intake", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_another_sites_page_changes_nothing(world: World, method: str, path: str) -> None:
    """403 for every call that changes something, with what to do instead."""
    document = assert_problem(await world.call(method, path, headers=FOREIGN[0]), 403)
    assert "intake.tokens" in document["detail"]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_page_is_another_sites_unless_it_is_from_here(world: World, headers: dict[str, str]) -> None:
    """Another port is another site's as well; so is a page without an origin."""
    assert_problem(await world.call("POST", "/v1/reload", headers=headers), 403)


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://intake"}, {"Origin": "HTTPS://Intake"}, {"Sec-Fetch-Site": "same-origin"}]
)
async def test_programs_and_pages_from_here_may(world: World, headers: dict[str, str]) -> None:
    """Programs send no Origin; a proxy may have taken the TLS off."""
    assert (await world.call("POST", "/v1/reload", headers=headers)).status_code == 200


async def test_looking_is_not_changing(world: World) -> None:
    """A link from another page leads here all the same; its page cannot read the answer."""
    assert (await world.call("GET", "/v1/watches", headers=FOREIGN[0])).status_code == 200


async def test_a_token_is_enough(guarded: World) -> None:
    """Another site's page does not know it, whatever host a proxy makes of ours."""
    headers = FOREIGN[0] | {"Authorization": "Bearer s3cret-token"}
    assert (await guarded.call("POST", "/v1/reload", headers=headers)).status_code == 200
