"""Lists of watches over HTTP: order, pages, filters, and what is wrong with a query."""

import base64

import pytest

from tests.contract.api.world import World, assert_problem


async def test_a_list_comes_newest_first_in_pages(world: World) -> None:
    """`next_cursor` leads through every watch exactly once and is null at the end."""
    for number in range(5):
        await world.add(task_id=f"vid_{number}")
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await world.call("GET", "/v1/watches", params=params)).json()
        seen += [watch["task_id"] for watch in page["watches"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert seen == ["vid_4", "vid_3", "vid_2", "vid_1", "vid_0"]
    assert pages == 3


async def test_a_list_holds_50_unless_told_otherwise(world: World) -> None:
    """50 by default, 1000 at the most."""
    for number in range(51):
        await world.add(task_id=f"vid_{number}")
    assert len((await world.call("GET", "/v1/watches")).json()["watches"]) == 50
    assert len((await world.call("GET", "/v1/watches?limit=1000")).json()["watches"]) == 51
    assert len((await world.call("GET", "/v1/watches?limit=1")).json()["watches"]) == 1


async def test_a_list_can_be_narrowed(world: World) -> None:
    """By state, provider and task, together too; a provider that is not configured has no watches."""
    world.configure("videos", "images")
    one = await world.add(provider="videos", task_id="vid_1")
    two = await world.add(provider="images", task_id="vid_1")
    await world.call("DELETE", f"/v1/watches/{one['id']}")

    async def ids(query: str) -> list[str]:
        return [watch["id"] for watch in (await world.call("GET", f"/v1/watches?{query}")).json()["watches"]]

    assert await ids("state=watching") == [two["id"]]
    assert await ids("state=cancelled") == [one["id"]]
    assert await ids("provider=videos") == [one["id"]]
    assert await ids("task_id=vid_1") == [two["id"], one["id"]]
    assert await ids("task_id=vid_1&provider=images&state=watching") == [two["id"]]
    assert await ids("provider=audio") == []


@pytest.mark.parametrize(
    ("query", "pointer", "says"),
    [
        ("limit=0", "#/limit", "limit: must be from 1 to 1000"),
        ("limit=-1", "#/limit", "limit: must be from 1 to 1000"),
        ("limit=1001", "#/limit", "limit: must be from 1 to 1000"),
        ("limit=99999999999999999999", "#/limit", "limit: must be from 1 to 1000"),
        (f"limit=-{'9' * 5000}", "#/limit", "limit: must be from 1 to 1000"),
        ("limit=--1", "#/limit", "whole number from 1 to 1000"),
        ("limit=-", "#/limit", "whole number"),
        ("limit=%EF%BC%95", "#/limit", "whole number"),
        ("limit=x", "#/limit", "whole number"),
        ("limit=1.0", "#/limit", "whole number"),
        ("limit=%2B5", "#/limit", "whole number"),
        ("limit=1_0", "#/limit", "whole number"),
        ("limit=1&limit=2", "#/limit", "more than once"),
        ("state=wathcing", "#/state", "'watching'"),
        ("cursor=nonsense", "#/cursor", "not a cursor"),
        ("task_id=a%00b", "#/task_id", "control"),
        ("provider=a%00b", "#/provider", "pattern"),
        ("sate=watching", "#/sate", "did you mean 'state'?"),
    ],
)
async def test_a_wrong_query_is_named(world: World, query: str, pointer: str, says: str) -> None:
    """422 with a pointer to the parameter; a mistyped one does not silently list everything."""
    assert says in assert_problem(await world.call("GET", f"/v1/watches?{query}"), 422, pointer)["detail"]


@pytest.mark.parametrize(
    ("call", "parameter", "known"),
    [
        ("/v1/watches", "watch_id", "state, provider, task_id, limit, cursor"),
        ("/v1/deliveries", "task_id", "state, watch_id, limit, cursor"),
        ("/v1/deliveries", "provider", "state, watch_id, limit, cursor"),
    ],
)
async def test_a_parameter_of_the_other_list_is_unknown(world: World, call: str, parameter: str, known: str) -> None:
    """What there is to choose from is told for this very list; the word itself is never proposed."""
    problem = assert_problem(await world.call("GET", f"{call}?{parameter}=x"), 422, f"#/{parameter}")
    assert problem["detail"] == f"{parameter}: is not known; there are {known}"


async def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    """A cursor says which list it belongs to."""
    for number in range(2):
        await world.add(task_id=f"vid_{number}")
    cursor = (await world.call("GET", "/v1/watches?limit=1")).json()["next_cursor"]
    assert_problem(await world.call("GET", f"/v1/deliveries?cursor={cursor}"), 422, "#/cursor")
    assert_problem(await world.call("GET", f"/v1/watches?cursor={cursor}AA"), 422, "#/cursor")


@pytest.mark.parametrize("text", ["w", "w-1", "w01", "w 1", "1", "w1x", "w9999999999999999999", "w9223372036854775808"])
async def test_a_cursor_that_was_never_given_is_refused(world: World, text: str) -> None:
    """Also one that looks inside like ours, and one that no store could count to."""
    cursor = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    assert_problem(await world.call("GET", f"/v1/watches?cursor={cursor}"), 422, "#/cursor")


async def test_an_empty_parameter_counts_as_absent(world: World) -> None:
    """As forms and templates send it: `?state=&limit=&cursor=` lists what no parameter lists."""
    await world.add(task_id="vid_1")
    bare = await world.call("GET", "/v1/watches")
    empty = await world.call("GET", "/v1/watches?state=&provider=&task_id=&limit=&cursor=")
    assert empty.status_code == 200
    assert empty.json() == bare.json()
