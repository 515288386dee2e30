"""Watches over HTTP: register, list, show, cancel."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from notifier.domain.address import Refusal
from notifier.domain.answer import Completed, Running, Unavailable
from notifier.services.registrar import WatchRules
from tests.contract.api.world import HOOK, World, assert_problem


async def test_a_registration_is_answered_with_the_watch(world: World) -> None:
    """201, where the watch is, and every member of a watch in the documented order with the provider's defaults."""
    answer = await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK})
    watch = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/watches/{watch['id']}"
    expected = {
        "id": "wch_1",
        "provider": "videos",
        "task_id": "vid_1",
        "callback_url": HOOK,
        "state": "watching",
        "status": None,
        "interval": 30,
        "registered_at": "2026-11-22T13:33:00.000000Z",
        "deadline_at": "2026-11-23T13:33:00.000000Z",
        "last_polled_at": None,
        "next_poll_at": "2026-11-22T13:33:00.000000Z",
        "polls": 0,
        "ended_at": None,
        "source": "intake",
        "vars": {},
        "metadata": {},
        "last_error": None,
        "delivery": None,
    }
    assert watch == expected
    assert list(watch) == list(expected)


async def test_the_same_registration_again_gives_the_same_watch(world: World) -> None:
    """200 with the watch as it was first asked for, and no Location, for nothing was made."""
    first = await world.add(interval="10s")
    again = await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK, "interval": "20s"})
    assert again.status_code == 200
    assert again.json() == first
    assert "location" not in again.headers


@pytest.mark.parametrize(
    ("interval", "seconds"), [("10s", 10), ("7500ms", 7.5), (12, 12), (12.5, 12.5), ("12.5", 12.5), ("1m30s", 90)]
)
async def test_durations_are_text_or_seconds(world: World, interval: object, seconds: float) -> None:
    """`interval` and `deadline` take the durations of the configuration."""
    watch = await world.add(interval=interval, deadline=interval)
    assert watch["interval"] == seconds
    assert watch["deadline_at"] == f"2026-11-22T13:{33 + int(seconds // 60)}:{seconds % 60:09.6f}Z"


async def test_null_counts_as_absent(world: World) -> None:
    """An optional member may be null."""
    watch = await world.add(provider=None, interval=None, deadline=None, metadata=None)
    assert (watch["interval"], watch["metadata"]) == (30, {})


def judge_regional(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from ((name, "is not known") for name in given.keys() - {"region", "a/b"})
    yield from ((name, "is missing") for name in {"a/b"} - given.keys())


def with_variables(world: World) -> None:
    """Its provider wants a variable, and has a default for another."""
    rules = WatchRules(30.0, 5.0, 86_400.0, judge_regional)
    world.registrar.configure({"videos": rules}, world.guard)


async def test_variables_are_shown_as_they_were_given(world: World) -> None:
    """Numbers as the text that they are; with other variables it is another watch, with equal ones the same."""
    with_variables(world)
    watch = await world.add(vars={"a/b": 7, "region": "us"})
    assert watch["vars"] == {"a/b": "7", "region": "us"}
    assert (await world.add(vars={"region": "us", "a/b": "7"}))["id"] == watch["id"]
    assert (await world.add(vars={"a/b": "7"}))["id"] != watch["id"]
    assert (await world.call("GET", f"/v1/watches/{watch['id']}")).json()["vars"] == watch["vars"]


@pytest.mark.parametrize(
    ("given", "pointer", "says"),
    [
        (None, "#/vars/a~1b", "is missing"),
        ({}, "#/vars/a~1b", "is missing"),
        ({"a/b": "1", "Region": "eu"}, "#/vars/Region", "is not known"),
        ({"a/b": True}, "#/vars/a~1b", "must be a string or a number"),
        ({"a/b": None}, "#/vars/a~1b", "must be a string or a number"),
        ({"a/b": "x" * 513}, "#/vars/a~1b", "must have at most 512 characters"),
        ({"a/b": "x\u0000"}, "#/vars/a~1b", "must not hold control"),
        ([], "#/vars", "must be a JSON object"),
        ({f"v{n}": "" for n in range(17)}, "#/vars", "holds more; at most 16 are taken at once"),
    ],
)
async def test_a_wrong_variable_is_pointed_at(world: World, given: object, pointer: str, says: str) -> None:
    """By its name, alone and in a batch; nothing is registered."""
    with_variables(world)
    body = {"task_id": "vid_1", "callback_url": HOOK, "vars": given}
    problem = assert_problem(await world.call("POST", "/v1/watches", body), 422, pointer)
    assert says in problem["detail"]
    (result,) = (await world.call("POST", "/v1/watches/batch", {"watches": [body]})).json()["results"]
    assert result["error"]["pointer"] == pointer.replace("#/", "#/watches/0/")
    assert world.store.watches == {}


async def test_metadata_goes_out_as_it_came_in(world: World) -> None:
    """Numbers keep their form and text its characters; 4 KiB of JSON are taken, one byte more is not."""
    metadata = {"big": 10**30, "float": 1.0, "text": "Füße ✓ \u2028", "deep": [[[{"a": None}]]]}
    assert (await world.add(metadata=metadata))["metadata"] == metadata
    largest = {"a": "x" * (4096 - len('{"a":""}'))}
    await world.add(task_id="vid_2", metadata=largest)
    too_large = {"task_id": "vid_3", "callback_url": HOOK, "metadata": {"a": largest["a"] + "x"}}
    assert_problem(await world.call("POST", "/v1/watches", too_large), 422, "#/metadata")


@pytest.mark.parametrize(
    ("change", "pointer", "says"),
    [
        ({"task_id": None}, "#/task_id", "must be a string"),
        ({"task_id": 5}, "#/task_id", "must be a string"),
        ({"task_id": ""}, "#/task_id", "1 to 512 characters"),
        ({"task_id": "x" * 513}, "#/task_id", "1 to 512 characters"),
        ({"task_id": ".."}, "#/task_id", "path"),
        ({"task_id": "a\nb"}, "#/task_id", "control"),
        ({"task_id": "\ud800"}, "#/task_id", "surrogates"),
        ({"callback_url": 1}, "#/callback_url", "must be a string"),
        ({"provider": "audio"}, "#/provider", "known: videos"),
        ({"provider": 1}, "#/provider", "must be a string"),
        ({"interval": "soon"}, "#/interval", "not a duration"),
        ({"interval": True}, "#/interval", "not a duration"),
        ({"interval": "10:30"}, "#/interval", "not a duration"),
        ({"interval": [5]}, "#/interval", "not a duration"),
        ({"interval": "1s"}, "#/interval", "at least 5s"),
        ({"deadline": "5ms"}, "#/deadline", "at least 10ms"),
        ({"deadline": 1e300}, "#/deadline", "too long"),
        ({"metadata": []}, "#/metadata", "JSON object"),
        ({"metadata": "x"}, "#/metadata", "JSON object"),
        ({"metadata": {"a": "\udfff"}}, "#/metadata", "Unicode"),
        ({"intervall": "5s"}, "#/intervall", "did you mean 'interval'?"),
        ({"zzz": 1}, "#/zzz", "there are task_id"),
        ({"a/b~c d": 1}, "#/a~1b~0c%20d", "not known"),
    ],
)
async def test_what_is_wrong_is_named(world: World, change: dict[str, object], pointer: str, says: str) -> None:
    """422 with a pointer to the member and a sentence that says what would be right; nothing is registered."""
    body = json.dumps({"task_id": "vid_1", "callback_url": HOOK} | change)
    headers = {"content-type": "application/json"}
    document = assert_problem(await world.call("POST", "/v1/watches", content=body, headers=headers), 422, pointer)
    assert says in document["detail"]
    assert document["errors"] == [{"detail": document["errors"][0]["detail"], "pointer": pointer}]
    assert world.store.watches == {}


async def test_everything_wrong_is_named_at_once(world: World) -> None:
    """`errors` lists all wrong members, and the first is the problem's own."""
    answer = await world.call("POST", "/v1/watches", {"interval": "x", "metadata": 1, "extra": 1})
    document = assert_problem(answer, 422, "#/task_id")
    pointers = [one["pointer"] for one in document["errors"]]
    assert pointers == ["#/task_id", "#/callback_url", "#/interval", "#/metadata", "#/extra"]
    assert document["detail"] == "task_id: is required (and 4 more under errors)"


async def test_a_refused_callback_url_is_422(world: World) -> None:
    """The guard's refusal is told with its rule's sentence, at the registration already."""
    world.guard.refused[HOOK] = Refusal("private", "10.0.0.1 is private; list it in webhooks.allow_networks")
    answer = await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK})
    assert "webhooks.allow_networks" in assert_problem(answer, 422, "#/callback_url")["detail"]


async def test_the_provider_is_needed_when_there_are_several(world: World) -> None:
    """Only the only provider goes without saying."""
    world.configure("videos", "images")
    answer = await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK})
    assert "images, videos" in assert_problem(answer, 422, "#/provider")["detail"]
    assert (await world.add(provider="images"))["provider"] == "images"


# What is known of a watch


async def test_a_watch_shows_what_the_last_poll_said(world: World) -> None:
    """A poll that changes nothing is not written to the store, and is shown all the same."""
    watch = await world.add()
    await world.crew.run()
    world.provider.script("vid_1", Running("processing", known=True), Unavailable("HTTP 502"))
    await world.crew.advance(30)
    assert world.store.tasks[1].polls == 1
    shown = (await world.call("GET", f"/v1/watches/{watch['id']}")).json()
    assert (shown["status"], shown["polls"], shown["last_error"]) == ("processing", 2, None)
    assert shown["last_polled_at"] == "2026-11-22T13:33:30.000000Z"
    assert shown["next_poll_at"] == "2026-11-22T13:34:00.000000Z"
    await world.crew.advance(30)
    assert (await world.call("GET", f"/v1/watches/{watch['id']}")).json()["last_error"] == "HTTP 502"


async def test_an_ended_watch_shows_its_delivery(world: World) -> None:
    """The end, its time, no next poll, and the delivery with what became of it."""
    world.provider.script("vid_1", Completed("completed", ("https://cdn.example.com/1.mp4",), '{"id":"vid_1"}'))
    watch = await world.add()
    await world.crew.run()
    shown = (await world.call("GET", f"/v1/watches/{watch['id']}")).json()
    assert (shown["state"], shown["status"], shown["next_poll_at"]) == ("completed", "completed", None)
    assert shown["ended_at"] == "2026-11-22T13:33:00.000000Z"
    assert shown["delivery"] == {"id": "evt_1", "state": "delivered", "attempts": 1, "next_attempt_at": None}


async def test_a_known_end_is_told_at_once(world: World) -> None:
    """A watch of a task that has ended is 201, ended, and its event is sent; the ended one again is 200 and silent."""
    world.provider.script("vid_1", Completed("completed", ("https://cdn.example.com/1.mp4",), None))
    await world.add()
    await world.crew.run()
    other = "https://other.example.com/hook"
    watch = await world.add(callback_url=other)
    await world.crew.run()
    assert watch["state"] == "completed"
    assert len(list(world.sender.to(other))) == 1
    assert (await world.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK})).status_code == 200
    await world.crew.run()
    assert len(list(world.sender.to(HOOK))) == 1


async def test_a_watch_of_a_provider_that_is_gone_has_no_interval(world: World) -> None:
    """After a reload without its provider a watch that followed it can still be looked at."""
    world.configure("images")
    watch = await world.add()
    assert watch["interval"] is None


# Cancelling


async def test_cancelling_is_idempotent(world: World) -> None:
    """204 each time, no event, no more polls; the same registration then makes a new watch."""
    watch = await world.add()
    for _ in range(2):
        answer = await world.call("DELETE", f"/v1/watches/{watch['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert world.poller.task(1) is None
    shown = (await world.call("GET", f"/v1/watches/{watch['id']}")).json()
    assert (shown["state"], shown["delivery"]) == ("cancelled", None)
    assert (await world.add())["id"] != watch["id"]


async def test_a_cancelled_watch_is_not_shown_as_polled(world: World) -> None:
    """While another watch keeps its task going."""
    watch = await world.add()
    other = await world.add(callback_url="https://other.example.com/hook")
    await world.call("DELETE", f"/v1/watches/{watch['id']}")
    assert (await world.call("GET", f"/v1/watches/{watch['id']}")).json()["next_poll_at"] is None
    assert (await world.call("GET", f"/v1/watches/{other['id']}")).json()["next_poll_at"] is not None


async def test_cancelling_an_ended_watch_changes_nothing(world: World) -> None:
    """204 also when it had ended, and it stays as it ended."""
    world.provider.script("vid_1", Completed("completed", ("https://cdn.example.com/1.mp4",), None))
    watch = await world.add()
    await world.crew.run()
    assert (await world.call("DELETE", f"/v1/watches/{watch['id']}")).status_code == 204
    assert (await world.call("GET", f"/v1/watches/{watch['id']}")).json()["state"] == "completed"


@pytest.mark.parametrize("watch_id", ["wch_nope", "x" * 500, "%00", "%20", "a%2Fb", "ü"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_watch_is_404(world: World, method: str, watch_id: str) -> None:
    """Whatever the id looks like."""
    assert_problem(await world.call(method, f"/v1/watches/{watch_id}"), 404)


# Many at once


async def test_a_batch_answers_each_in_its_place(world: World) -> None:
    """201, 200 and 422 in order; what is wrong with one stops no other and points into the body."""
    world.guard.refused["https://10.0.0.1/"] = Refusal("private", "10.0.0.1 is private")
    answer = await world.call(
        "POST",
        "/v1/watches/batch",
        {
            "watches": [
                {"task_id": "vid_1", "callback_url": HOOK},
                {"task_id": "vid_2"},
                {"task_id": "vid_1", "callback_url": HOOK},
                {"task_id": "vid_3", "callback_url": "https://10.0.0.1/"},
                "vid_4",
                {"task_id": "vid_5", "callback_url": HOOK, "interval": "1s"},
                {"task_id": "vid_6", "callback_url": HOOK},
            ]
        },
    )
    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [one["status"] for one in results] == [201, 422, 200, 422, 422, 422, 201]
    assert results[0]["watch"] == results[2]["watch"]
    assert [one["error"]["pointer"] for one in results if "error" in one] == [
        "#/watches/1/callback_url",
        "#/watches/3/callback_url",
        "#/watches/4",
        "#/watches/5/interval",
    ]
    assert results[1]["error"]["title"] == "Unprocessable Content"
    assert results[6]["watch"]["task_id"] == "vid_6"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/watches"),
        ({"watches": {}}, "#/watches"),
        ({"watches": [{}] * 1001}, "#/watches"),
        ({"watches": [], "more": 1}, "#/more"),
    ],
)
async def test_a_batch_that_is_none_is_422_as_a_whole(world: World, body: object, pointer: str) -> None:
    """No list, or more than 1000 watches."""
    assert_problem(await world.call("POST", "/v1/watches/batch", body), 422, pointer)
    assert world.store.watches == {}


async def test_a_batch_may_be_full_or_empty(world: World) -> None:
    """0 to 1000 watches."""
    full = [{"task_id": f"vid_{number}", "callback_url": HOOK} for number in range(1000)]
    answer = await world.call("POST", "/v1/watches/batch", {"watches": full})
    assert {one["status"] for one in answer.json()["results"]} == {201}
    assert (await world.call("POST", "/v1/watches/batch", {"watches": []})).json() == {"results": []}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/watches", {"task_id": "a", "callback_url": HOOK}),
        ("/v1/watches/batch", {"watches": [{"task_id": "a", "callback_url": HOOK}]}),
        ("/v1/endpoints", {"url": HOOK}),
        ("/v1/endpoints/test", {"callback_url": HOOK}),
    ],
)
async def test_a_url_that_cannot_be_judged_now_is_503(world: World, path: str, body: dict[str, Any]) -> None:
    """It is our own shortage and not the caller's mistake: nothing is registered, and later it will be."""
    world.guard.busy = True
    answer = await world.call("POST", path, body)
    assert_problem(answer, 503)
    assert answer.headers["retry-after"] == "5"
    assert "too many look-ups hang" in answer.text
    assert world.store.writes == []
    world.guard.busy = False
    assert (await world.call("POST", path, body)).status_code in (200, 201)
