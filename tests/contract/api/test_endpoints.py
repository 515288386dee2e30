"""Endpoints over HTTP: registering, looking, changing, deleting."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from notifier.adapters.api.models import LONGEST_URL
from notifier.domain.address import Refusal
from notifier.domain.endpoint import Terms, declared
from notifier.domain.event import EVENT_TYPES
from notifier.domain.receiver import Receiver
from notifier.domain.signature import new_private_key, new_secret
from tests.contract.api.world import HOOK, SECRET, World, assert_problem

ENDPOINTS = "/v1/endpoints"
ONE, TWO = new_secret(b"1" * 32), new_secret(b"2" * 32)
NOW = "2026-11-22T13:33:00.000000Z"


async def register(world: World, url: str = HOOK, **members: Any) -> dict[str, Any]:
    answer = await world.call("POST", ENDPOINTS, {"url": url} | members)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def change(world: World, **members: Any) -> dict[str, Any]:
    answer = await world.call("PATCH", f"{ENDPOINTS}/ep_1", members)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def configured(world: World, *urls: str) -> None:
    world.endpoints.configure([declared(url, Terms((ONE,))) for url in urls], Receiver((SECRET,)), world.guard)


def kept(world: World, endpoint_id: str = "ep_1") -> Terms:
    return world.store.registered[endpoint_id].terms


# Registering


async def test_an_endpoint_is_registered_with_all_its_terms(world: World) -> None:
    """201, where it is, and the endpoint as it is shown: neither secrets nor header values are in it."""
    members = {
        "url": HOOK,
        "secrets": [TWO, ONE],
        "headers": {"X-Env": "production", "Authorization": "Bearer pass-1"},
        "events": ["task.failed", "task.completed", "task.failed"],
        "rate": "30/m",
        "concurrency": 4,
    }
    answer = await world.call("POST", ENDPOINTS, members)
    assert (answer.status_code, answer.headers["location"]) == (201, f"{ENDPOINTS}/ep_1")
    assert answer.json() == {
        "id": "ep_1",
        "url": HOOK,
        "source": "intake",
        "events": ["task.completed", "task.failed"],
        "headers": {"X-Env": "…", "Authorization": "…"},
        "secrets": 2,
        "rate": 0.5,
        "concurrency": 4,
        "created_at": NOW,
        "updated_at": NOW,
        "circuit": None,
        "secret": None,
    }
    assert kept(world).secrets == (TWO, ONE)
    assert kept(world).headers == members["headers"]
    shown = (await world.call("GET", f"{ENDPOINTS}/ep_1")).json()
    assert shown | {"secret": None} == answer.json()


async def test_a_secret_that_was_made_is_shown_once(world: World) -> None:
    """In the answer that made it and nowhere else; without more, all events are sent and nothing is limited."""
    made = await register(world)
    assert made["secret"] == new_secret(b"\x01" * 32) == kept(world).secrets[0]
    assert (made["secrets"], made["headers"], made["rate"], made["concurrency"]) == (1, {}, None, None)
    assert made["events"] == list(EVENT_TYPES)
    for path in (ENDPOINTS, f"{ENDPOINTS}/ep_1"):
        assert "whsec_" not in (await world.call("GET", path)).text


@pytest.mark.parametrize(
    ("members", "secrets"),
    [
        ({"secret": ONE}, (ONE,)),
        ({"secrets": [TWO, ONE, TWO]}, (TWO, ONE)),
        ({"secret": new_private_key(b"k" * 32)}, (new_private_key(b"k" * 32),)),
        ({"secret": ONE, "secrets": None, "headers": None, "events": None, "rate": None, "concurrency": None}, (ONE,)),
    ],
)
async def test_secrets_are_given_one_way_or_the_other(world: World, members: Any, secrets: Any) -> None:
    """null counts as absent, and a secret is not there twice."""
    assert (await register(world, **members))["secret"] is None
    assert kept(world).secrets == secrets


@pytest.mark.parametrize(
    ("rate", "shown"), [("10/s", 10), ("36000/h", 10), (2, 2), (0.25, 0.25), (100_000, 100_000), (None, None)]
)
async def test_a_rate_is_text_or_a_number_a_second(world: World, rate: Any, shown: Any) -> None:
    """It is shown as the number."""
    assert (await register(world, rate=rate))["rate"] == shown


async def test_a_registered_url_is_409_with_the_id_that_has_it(world: World) -> None:
    """Whether it was registered through the intake or stands in the file."""
    await register(world)
    document = assert_problem(await world.call("POST", ENDPOINTS, {"url": HOOK}), 409, "#/url")
    assert "ep_1" in document["detail"]
    configured(world, "https://file.example/")
    document = assert_problem(await world.call("POST", ENDPOINTS, {"url": "https://file.example/"}), 409, "#/url")
    assert declared("https://file.example/", Terms()).id in document["detail"]


async def test_a_url_that_may_not_be_called_is_422(world: World) -> None:
    """In the guard's words."""
    world.guard.refused[HOOK] = Refusal("private", "10.0.0.1 is private")
    document = assert_problem(await world.call("POST", ENDPOINTS, {"url": HOOK}), 422, "#/url")
    assert document["detail"] == "url: 10.0.0.1 is private"
    assert world.store.registered == {}


WRONG: list[tuple[Any, str, str]] = [
    ({"secret": "planted"}, "#/secret", "starts with whsec_"),
    ({"secret": "whsec_planted!"}, "#/secret", "not base64"),
    ({"secret": 5}, "#/secret", "must be a string"),
    ({"secrets": []}, "#/secrets", "give at least 1"),
    ({"secrets": [ONE] * 11}, "#/secrets", "at most 10"),
    ({"secrets": ONE}, "#/secrets", "must be an array"),
    ({"secrets": [ONE, "whpk_planted"]}, "#/secrets/1", "public key"),
    ({"secret": ONE, "secrets": [TWO]}, "#/secrets", "cannot stand beside secret"),
    ({"headers": {"Host": "x"}}, "#/headers/Host", "set by Notifier itself"),
    ({"headers": {"webhook-id": "x"}}, "#/headers/webhook-id", "set by Notifier itself"),
    ({"headers": {"X Y": "x"}}, "#/headers/X%20Y", "not the name of a header"),
    ({"headers": {"X-A": "a\r\nplanted: 1"}}, "#/headers/X-A", "not a header's value"),
    ({"headers": {"X-A": 5}}, "#/headers/X-A", "is not text"),
    ({"headers": {"X-A": "…"}}, "#/headers/X-A", "not a header's value"),
    ({"headers": {"X-A": "1", "x-a": "2"}}, "#/headers", "the same header"),
    ({"headers": {f"X-{number}": "1" for number in range(33)}}, "#/headers", "at most 32"),
    ({"headers": ["X-A"]}, "#/headers", "must be a JSON object"),
    ({"events": []}, "#/events", "give at least 1"),
    ({"events": ["task.done"]}, "#/events/0", "'task.abandoned', 'result.saved' or 'result.unsaved'"),
    ({"events": ["notifier.test"]}, "#/events/0", "must be"),
    ({"rate": "10"}, "#/rate", "is not a rate"),
    ({"rate": "0/s"}, "#/rate", "no rate to work at"),
    ({"rate": 0}, "#/rate", "more than 0"),
    ({"rate": 1e300}, "#/rate", "at most 100000"),
    ({"rate": True}, "#/rate", "is not a rate"),
    ({"concurrency": 0}, "#/concurrency", "greater than or equal to 1"),
    ({"concurrency": 1001}, "#/concurrency", "less than or equal to 1000"),
    ({"concurrency": "4"}, "#/concurrency", "integer"),
    ({"header": {}}, "#/header", "did you mean 'headers'?"),
]


@pytest.mark.parametrize(("members", "pointer", "says"), WRONG)
async def test_what_cannot_be_is_422_at_its_place(world: World, members: Any, pointer: str, says: str) -> None:
    """In a registration and in a change alike; what may be a secret is not repeated, and nothing changes."""
    answers = [await world.call("POST", ENDPOINTS, {"url": HOOK} | members)]
    assert world.store.registered == {}
    await register(world)
    before = kept(world)
    answers.append(await world.call("PATCH", f"{ENDPOINTS}/ep_1", members))
    for answer in answers:
        document = assert_problem(answer, 422, pointer)
        assert says in document["detail"]
        assert "planted" not in answer.text
    assert kept(world) == before


@pytest.mark.parametrize("url", [None, 5, [HOOK]])
async def test_a_url_is_needed(world: World, url: Any) -> None:
    """And a string."""
    assert_problem(await world.call("POST", ENDPOINTS, {"url": url}), 422, "#/url")
    assert_problem(await world.call("POST", ENDPOINTS, {}), 422, "#/url")


async def test_the_document_tells_the_limits(world: World) -> None:
    """As they are enforced."""
    schemas = world.document["components"]["schemas"]
    new = schemas["NewEndpoint"]["properties"]
    assert new["url"]["maxLength"] == LONGEST_URL
    (secrets,) = [one for one in new["secrets"]["anyOf"] if one.get("type") == "array"]
    assert (secrets["minItems"], secrets["maxItems"]) == (1, 10)
    (headers,) = [one for one in new["headers"]["anyOf"] if one.get("type") == "object"]
    assert headers["maxProperties"] == 32
    assert schemas["EndpointChange"]["properties"]["url"]["not"] == {}


# Looking


async def test_endpoints_are_listed_in_pages(world: World) -> None:
    """Those of the file first, then the newest; `source` says which is which."""
    configured(world, "https://file.example/1", "https://file.example/2")
    for number in range(3):
        await register(world, f"https://a.example/{number}")
    found, cursor = [], ""
    while cursor is not None:
        page = (await world.call("GET", f"{ENDPOINTS}?limit=2&cursor={cursor}")).json()
        found += [(each["source"], each["url"][-1]) for each in page["endpoints"]]
        cursor = page["next_cursor"]
    assert found == [("config", "1"), ("config", "2"), ("intake", "2"), ("intake", "1"), ("intake", "0")]


async def test_one_of_the_file_is_shown_under_its_id(world: World) -> None:
    """Without times: nobody knows when it was written there."""
    configured(world, HOOK)
    (listed,) = (await world.call("GET", ENDPOINTS)).json()["endpoints"]
    shown = (await world.call("GET", f"{ENDPOINTS}/{listed['id']}")).json()
    assert shown == listed
    assert (shown["source"], shown["secrets"], shown["created_at"], shown["updated_at"]) == ("config", 1, None, None)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "state=on", "cursor=xyz", "limit=1&limit=2"])
async def test_a_wrong_query_is_422(world: World, query: str) -> None:
    """As of every list."""
    assert_problem(await world.call("GET", f"{ENDPOINTS}?{query}"), 422)


async def test_a_cursor_of_another_list_is_none_of_this(world: World) -> None:
    """Numbers of watches say nothing here."""
    for number in range(3):
        await world.add(task_id=f"vid_{number}")
    cursor = (await world.call("GET", "/v1/watches?limit=1")).json()["next_cursor"]
    assert_problem(await world.call("GET", f"{ENDPOINTS}?cursor={cursor}"), 422, "#/cursor")


# Changing


async def test_only_given_members_change(world: World) -> None:
    """null resets what has a default, and headers change by name."""
    terms = {"secret": ONE, "headers": {"X-A": "1", "X-B": "2"}, "events": ["task.failed"], "rate": 5, "concurrency": 2}
    before = await register(world, **terms)
    assert await change(world) == before
    world.clock.jump(60)
    changed = await change(world, rate="9/s", headers={"x-a": "3", "X-B": None})
    assert (changed["rate"], changed["concurrency"], changed["headers"]) == (9, 2, {"x-a": "…"})
    assert (changed["created_at"], changed["updated_at"]) == (NOW, "2026-11-22T13:34:00.000000Z")
    assert kept(world).headers == {"x-a": "3"}
    changed = await change(world, rate=None, concurrency=None, headers=None, events=None, secret=None, secrets=None)
    assert (changed["rate"], changed["concurrency"], changed["headers"]) == (None, None, {})
    assert (len(changed["events"]), changed["secrets"], kept(world).secrets) == (5, 1, (ONE,))
    assert (await change(world, secrets=[TWO, ONE]))["secrets"] == 2
    assert (await change(world, secret=TWO))["secrets"] == 1
    assert kept(world).secrets == (TWO,)


async def test_rotating_shows_the_new_secret_once(world: World) -> None:
    """The newest one until now stays second."""
    await register(world, secrets=[TWO, ONE])
    rotated = await change(world, rotate=True)
    assert kept(world).secrets == (rotated["secret"], TWO)
    assert (rotated["secrets"], (await change(world, rotate=False))["secret"]) == (2, None)
    assert "secret" not in (await world.call("GET", f"{ENDPOINTS}/ep_1")).json()


@pytest.mark.parametrize(
    ("members", "pointer", "says"),
    [
        ({"url": HOOK}, "#/url", "register the new URL"),
        ({"url": None}, "#/url", "register the new URL"),
        ({"rotate": True, "secret": ONE}, "#/rotate", "without it"),
        ({"rotate": True, "secrets": [ONE]}, "#/rotate", "without it"),
        ({"rotate": "yes"}, "#/rotate", "boolean"),
        ({"id": "ep_2"}, "#/id", "is not known"),
    ],
)
async def test_what_cannot_change_is_422(world: World, members: Any, pointer: str, says: str) -> None:
    """With what to do instead."""
    await register(world)
    answer = await world.call("PATCH", f"{ENDPOINTS}/ep_1", members)
    assert says in assert_problem(answer, 422, pointer)["detail"]


async def test_headers_that_would_be_too_many_are_422(world: World) -> None:
    """Those that stay are counted."""
    await register(world, headers={f"X-{number}": "1" for number in range(32)})
    answer = await world.call("PATCH", f"{ENDPOINTS}/ep_1", {"headers": {"X-More": "1"}})
    assert "at most 32" in assert_problem(answer, 422, "#/headers")["detail"]


async def test_an_endpoint_is_deleted(world: World) -> None:
    """204, then 404, and its URL can be registered again."""
    await register(world)
    assert (await world.call("DELETE", f"{ENDPOINTS}/ep_1")).status_code == 204
    assert (await world.call("DELETE", f"{ENDPOINTS}/ep_1")).status_code == 404
    assert (await register(world))["id"] == "ep_2"


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"rate": 1}), ("DELETE", None)])
async def test_an_unknown_endpoint_is_404(world: World, method: str, body: Any) -> None:
    """Whatever its id looks like."""
    for endpoint_id in ("ep_nope", "%00", "x" * 500):
        document = assert_problem(await world.call(method, f"{ENDPOINTS}/{endpoint_id}", body), 404)
        assert "GET /v1/endpoints" in document["detail"]


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"rotate": True}), ("DELETE", None)])
async def test_one_of_the_file_is_changed_in_the_file(world: World, method: str, body: Any) -> None:
    """409, and nothing changes."""
    configured(world, HOOK)
    answer = await world.call(method, f"{ENDPOINTS}/{declared(HOOK, Terms()).id}", body)
    assert "in the file" in assert_problem(answer, 409)["detail"]
    assert len((await world.call("GET", ENDPOINTS)).json()["endpoints"]) == 1


async def test_the_test_call_is_no_endpoint(world: World) -> None:
    """`test` is a call of its own, which takes POST only."""
    assert (await world.call("POST", f"{ENDPOINTS}/test", {"callback_url": HOOK})).json()["outcome"] == "delivered"
    for method in ("GET", "PATCH", "DELETE"):
        answer = await world.call(method, f"{ENDPOINTS}/test")
        assert_problem(answer, 405)
        assert answer.headers["allow"] == "POST"
    answer = await world.call("POST", f"{ENDPOINTS}/ep_1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, PATCH")


async def test_a_test_event_is_signed_by_the_endpoints_secret(world: World) -> None:
    """As every other; events that it does not list are no matter here."""
    await register(world, secret=ONE, headers={"X-A": "1"}, events=["task.failed"])
    await world.call("POST", f"{ENDPOINTS}/test", {"callback_url": HOOK})
    assert world.sender.posts[-1].headers["X-A"] == "1"


async def test_no_line_and_no_refusal_holds_what_is_secret(world: World) -> None:
    """Not the log of the calls either, at its most talkative."""
    members = {"secret": ONE, "headers": {"Authorization": "Bearer pass-1"}, "url": HOOK + "?token=pass-2"}
    with capture_logs() as lines:
        await world.call("POST", ENDPOINTS, members)
        answers = [await world.call("POST", ENDPOINTS, members), await world.call("GET", ENDPOINTS)]
        world.store.down = True
        answers.append(await world.call("PATCH", f"{ENDPOINTS}/ep_1", members | {"secret": TWO}))
        del members["url"]
        answers.append(await world.call("PATCH", f"{ENDPOINTS}/ep_1", members | {"secret": TWO}))
    assert [answer.status_code for answer in answers] == [409, 200, 422, 503]
    told = str(lines) + "".join(answer.text.replace(HOOK + "?token=pass-2", "") for answer in answers)
    assert not any(secret in told for secret in (ONE, TWO, "pass-1", "pass-2"))
