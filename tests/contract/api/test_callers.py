"""Tokens that are limited to callback prefixes: what such a caller may ask for, and what it gets to see."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from notifier.domain.answer import Completed
from tests.contract.api.world import World, assert_problem, opened

MINE, THEIRS = "https://mine.example.com/hooks/video", "https://theirs.example.com/hooks/video"
TENANT = {"Authorization": "Bearer tenant-token"}
OWNER = {"Authorization": "Bearer owner-token"}
SETTING = "intake.tokens[].callback_prefixes"


@pytest_asyncio.fixture
async def shared() -> AsyncIterator[World]:
    """An intake with two tokens, one of them a tenant's; two tasks of its own and one of another have ended."""
    world = World(tokens={"owner": "owner-token", "tenant": "tenant-token"})
    world.prefixes = {"tenant": ("https://mine.example.com/hooks/", "https://also.example.com")}
    async with opened(world):
        for task_id, url in (("vid_1", MINE), ("vid_2", THEIRS), ("vid_3", MINE)):
            world.provider.script(task_id, Completed("completed", ("https://cdn.example.com/1.mp4",)))
            await register(world, task_id, url, OWNER)
        await world.crew.run()
        yield world


async def register(world: World, task_id: str, url: str, headers: dict[str, str]) -> Any:
    body = {"task_id": task_id, "callback_url": url}
    return await world.call("POST", "/v1/watches", body, headers=headers)


async def test_a_limited_caller_registers_its_own_receivers_only(shared: World) -> None:
    """422 for others, pointing to the URL and naming the token and the setting; nobody is looked up for it."""
    assert (await register(shared, "vid_5", MINE, TENANT)).status_code == 201
    assert (await register(shared, "vid_3", "https://also.example.com/x", TENANT)).status_code == 201
    with capture_logs() as lines:
        for url in (THEIRS, "https://mine.example.com/other", "https://mine.example.com.evil.net/hooks/"):
            document = assert_problem(await register(shared, "vid_4", url, TENANT), 422, "#/callback_url")
            assert "'tenant'" in document["detail"]
            assert SETTING in document["detail"]
    assert not [line for line in lines if line["event"] == "watch.registered"]
    assert (await register(shared, "vid_4", THEIRS, OWNER)).status_code == 201


async def test_in_a_batch_each_is_judged_by_itself(shared: World) -> None:
    """What is out of reach is a 422 in its place, the others are registered."""
    body = {"watches": [{"task_id": f"vid_{n}", "callback_url": url} for n, url in enumerate((MINE, THEIRS, MINE), 5)]}
    results = (await shared.call("POST", "/v1/watches/batch", body, headers=TENANT)).json()["results"]
    assert [one["status"] for one in results] == [201, 422, 201]
    assert results[1]["error"]["pointer"] == "#/watches/1/callback_url"
    assert SETTING in results[1]["error"]["detail"]


async def test_a_limited_caller_tries_its_own_receivers_only(shared: World) -> None:
    """A test event is a request that the caller makes us send."""
    before = len(shared.sender.posts)
    answer = await shared.call("POST", "/v1/endpoints/test", {"callback_url": THEIRS}, headers=TENANT)
    assert SETTING in assert_problem(answer, 422, "#/callback_url")["detail"]
    assert len(shared.sender.posts) == before
    assert (await shared.call("POST", "/v1/endpoints/test", {"callback_url": MINE}, headers=TENANT)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/watches", "/v1/watches?state=completed", "/v1/deliveries?state=delivered"])
async def test_lists_hold_only_what_is_the_callers(shared: World, path: str) -> None:
    """Everybody's for the one, its own for the other, on every page."""
    name = path.partition("?")[0].rpartition("/")[2]

    async def urls(headers: dict[str, str]) -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            joint = "&" if "?" in path else "?"
            page = (await shared.call("GET", f"{path}{joint}limit=1&cursor={cursor}", headers=headers)).json()
            found += [one["callback_url"] for one in page[name]]
            cursor = page["next_cursor"]
        return found

    assert await urls(OWNER) == [MINE, THEIRS, MINE]
    assert await urls(TENANT) == [MINE, MINE]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/watches/wch_2"),
        ("DELETE", "/v1/watches/wch_2"),
        ("GET", "/v1/deliveries/evt_2"),
        ("POST", "/v1/deliveries/evt_2/redeliver"),
    ],
)
async def test_what_is_not_the_callers_is_not_there(shared: World, method: str, path: str) -> None:
    """404 as for what does not exist, and nothing happens to it; its own it may look at and touch."""
    posts = len(shared.sender.posts)
    theirs = assert_problem(await shared.call(method, path, headers=TENANT), 404)
    nobodys = assert_problem(await shared.call(method, path.replace("_2", "_77"), headers=TENANT), 404)
    assert theirs == nobodys
    await shared.crew.run()
    assert len(shared.sender.posts) == posts
    assert (await shared.call(method, path.replace("_2", "_1"), headers=TENANT)).status_code < 300
    assert (await shared.call(method, path, headers=OWNER)).status_code < 300


async def test_cancelling_anothers_watch_cancels_nothing(shared: World) -> None:
    """It goes on watching."""
    await register(shared, "vid_9", THEIRS, OWNER)
    (watch, *_) = (await shared.call("GET", "/v1/watches", headers=OWNER)).json()["watches"]
    assert_problem(await shared.call("DELETE", f"/v1/watches/{watch['id']}", headers=TENANT), 404)
    shown = (await shared.call("GET", f"/v1/watches/{watch['id']}", headers=OWNER)).json()
    assert shown["state"] == "watching"


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/reload"), ("GET", "/metrics")])
async def test_what_is_about_everybody_is_refused(shared: World, method: str, path: str) -> None:
    """403, naming the setting; a token without a limit may."""
    assert SETTING in assert_problem(await shared.call(method, path, headers=TENANT), 403)["detail"]
    assert (await shared.call(method, path, headers=OWNER)).status_code == 200


async def test_endpoints_belong_to_their_urls(shared: World) -> None:
    """A limited caller registers, sees, changes and deletes those of its own URLs, page by page; others are 404."""
    for number, url in enumerate((MINE, THEIRS, "https://also.example.com/x"), 1):
        answer = await shared.call("POST", "/v1/endpoints", {"url": url}, headers=OWNER)
        assert (answer.status_code, answer.json()["id"]) == (201, f"ep_{number}")
    answer = await shared.call("POST", "/v1/endpoints", {"url": THEIRS + "/2"}, headers=TENANT)
    assert SETTING in assert_problem(answer, 422, "#/url")["detail"]
    first = (await shared.call("GET", "/v1/endpoints?limit=1", headers=TENANT)).json()
    rest = (await shared.call("GET", f"/v1/endpoints?limit=9&cursor={first['next_cursor']}", headers=TENANT)).json()
    assert [one["url"] for one in first["endpoints"] + rest["endpoints"]] == ["https://also.example.com/x", MINE]
    for method, body in (("GET", None), ("PATCH", {"concurrency": 2}), ("DELETE", None)):
        assert_problem(await shared.call(method, "/v1/endpoints/ep_2", body, headers=TENANT), 404)
        with capture_logs() as lines:
            assert (await shared.call(method, "/v1/endpoints/ep_1", body, headers=TENANT)).status_code < 300
        assert {line["by"] for line in lines if "by" in line} == (set() if method == "GET" else {"tenant"})
    shown = (await shared.call("GET", "/v1/endpoints/ep_2", headers=OWNER)).json()
    assert (shown["url"], shown["concurrency"]) == (THEIRS, None)


async def test_a_reload_can_limit_a_token(shared: World) -> None:
    """From the next call on."""
    shared.prefixes["owner"] = ("https://mine.example.com",)
    assert_problem(await shared.call("GET", "/v1/watches/wch_2", headers=OWNER), 404)


async def test_the_log_names_who_did_it(shared: World) -> None:
    """By the token's name, never its value: registering, cancelling, sending again."""
    with capture_logs() as lines:
        await register(shared, "vid_8", MINE, TENANT)
        (watch, *_) = (await shared.call("GET", "/v1/watches", headers=TENANT)).json()["watches"]
        await shared.call("DELETE", f"/v1/watches/{watch['id']}", headers=TENANT)
        await shared.call("POST", "/v1/deliveries/evt_1/redeliver", headers=TENANT)
    told = {line["event"]: line["by"] for line in lines if "by" in line}
    assert told == {"watch.registered": "tenant", "watch.cancelled": "tenant", "delivery.redelivered": "tenant"}
    assert "tenant-token" not in str(lines)


async def test_without_tokens_nobody_is_limited(world: World) -> None:
    """And nobody is named."""
    with capture_logs() as lines:
        await world.add()
    assert [line["by"] for line in lines if line["event"] == "watch.registered"] == [None]
    assert (await world.call("POST", "/v1/reload")).status_code == 200
