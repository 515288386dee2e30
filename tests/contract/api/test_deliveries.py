"""Deliveries and endpoints over HTTP: list, show, send again, try out."""

import pytest

from notifier.domain.address import Refusal
from notifier.domain.answer import Completed
from notifier.domain.delivery import Answered, RetrySchedule, Unanswered
from notifier.domain.receiver import Receiver, Receivers
from notifier.services.dispatcher import DispatchPolicy
from tests.contract.api.world import HOOK, KEY, World, assert_problem

DONE = Completed("completed", ("https://cdn.example.com/1.mp4",), '{"id":"vid_1"}')


async def ended(world: World, task_id: str = "vid_1") -> str:
    """Register a watch whose task ends at once; its delivery's id."""
    world.provider.script(task_id, DONE)
    watch = await world.add(task_id=task_id)
    await world.crew.run()
    shown = (await world.call("GET", f"/v1/watches/{watch['id']}")).json()
    delivery_id: str = shown["delivery"]["id"]
    return delivery_id


async def test_a_delivery_is_shown_with_its_attempts(world: World) -> None:
    """Every documented member, and in `log` each HTTP try, oldest first."""
    world.sender.script(HOOK, Answered(500, None, "no", 0.1234567), Unanswered("connection refused", 2.0))
    delivery_id = await ended(world)
    shown = (await world.call("GET", f"/v1/deliveries/{delivery_id}")).json()
    assert shown == {
        "id": "evt_1",
        "type": "task.completed",
        "watch_id": "wch_1",
        "callback_url": HOOK,
        "state": "pending",
        "reason": None,
        "attempts": 1,
        "created_at": "2026-11-22T13:33:00.000000Z",
        "next_attempt_at": "2026-11-22T13:33:05.000000Z",
        "log": [
            {
                "at": "2026-11-22T13:32:59.876543Z",
                "outcome": "failed",
                "http_status": 500,
                "error": "HTTP 500",
                "duration_ms": 123.5,
                "response": "no",
            }
        ],
    }
    await world.crew.advance(5)
    shown = (await world.call("GET", f"/v1/deliveries/{delivery_id}")).json()
    assert (shown["state"], shown["reason"], shown["next_attempt_at"]) == ("exhausted", "schedule", None)
    assert [(one["http_status"], one["error"]) for one in shown["log"]] == [
        (500, "HTTP 500"),
        (None, "connection refused"),
    ]


async def test_a_delivery_that_waits_for_an_open_circuit_says_why(world: World) -> None:
    """Since when its URL has been failing, how often, and when it is tried next; not any more once all is well."""
    policy = DispatchPolicy(Receivers(Receiver((KEY,))), RetrySchedule((4.0,) * 99), 8, 8)
    world.dispatcher.configure(policy, world.sender, world.guard)
    world.sender.usual = Answered(500, None, "no", 0.1)
    delivery_id = await ended(world)
    await world.crew.advance(60)
    shown = (await world.call("GET", f"/v1/deliveries/{delivery_id}")).json()["circuit"]
    assert (shown.pop("failures"), shown.pop("next_probe_at")[:16]) == (len(world.sender.posts), "2026-11-22T13:34")
    assert shown == {"state": "open", "since": "2026-11-22T13:33:00.000000Z", "error": "HTTP 500"}
    world.sender.usual = Answered(204, None, "", 0.1)
    await world.crew.advance(60)
    assert "circuit" not in (await world.call("GET", f"/v1/deliveries/{delivery_id}")).json()


async def test_deliveries_are_listed_without_their_logs(world: World) -> None:
    """Newest first, in pages, by state and by watch."""
    ids = [await ended(world, f"vid_{number}") for number in range(3)]
    page = (await world.call("GET", "/v1/deliveries?limit=2")).json()
    assert [one["id"] for one in page["deliveries"]] == [ids[2], ids[1]]
    assert "log" not in page["deliveries"][0]
    rest = (await world.call("GET", f"/v1/deliveries?limit=2&cursor={page['next_cursor']}")).json()
    assert ([one["id"] for one in rest["deliveries"]], rest["next_cursor"]) == ([ids[0]], None)
    assert (await world.call("GET", "/v1/deliveries?state=pending")).json()["deliveries"] == []
    found = (await world.call("GET", "/v1/deliveries?watch_id=wch_2&state=delivered")).json()["deliveries"]
    assert [one["id"] for one in found] == [ids[1]]


@pytest.mark.parametrize("query", ["state=watching", "limit=0", "watch=wch_1", "provider=videos"])
async def test_a_wrong_query_is_422(world: World, query: str) -> None:
    """Deliveries have states and parameters of their own."""
    assert_problem(await world.call("GET", f"/v1/deliveries?{query}"), 422, f"#/{query.partition('=')[0]}")


@pytest.mark.parametrize("delivery_id", ["evt_nope", "%00", "x" * 100])
async def test_an_unknown_delivery_is_404(world: World, delivery_id: str) -> None:
    """To be shown as well as to be sent again."""
    assert_problem(await world.call("GET", f"/v1/deliveries/{delivery_id}"), 404)
    assert_problem(await world.call("POST", f"/v1/deliveries/{delivery_id}/redeliver"), 404)


async def test_an_event_is_sent_again(world: World) -> None:
    """202 for a delivered and for an exhausted delivery: pending, the same id, a fresh schedule."""
    delivery_id = await ended(world)
    answer = await world.call("POST", f"/v1/deliveries/{delivery_id}/redeliver")
    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["state"]) == (delivery_id, "pending")
    world.sender.script(HOOK, Answered(410, None, "", 0.1))
    await world.crew.run()
    assert len(world.sender.posts) == 2
    assert {post.headers["webhook-id"] for post in world.sender.posts} == {delivery_id}
    shown = (await world.call("GET", f"/v1/deliveries/{delivery_id}")).json()
    assert (shown["state"], shown["reason"]) == ("exhausted", "gone")
    assert (await world.call("POST", f"/v1/deliveries/{delivery_id}/redeliver")).status_code == 202


async def test_a_pending_delivery_is_not_sent_again(world: World) -> None:
    """409: it is under way already."""
    world.sender.script(HOOK, Answered(500, None, "", 0.1))
    delivery_id = await ended(world)
    answer = await world.call("POST", f"/v1/deliveries/{delivery_id}/redeliver")
    assert "pending" in assert_problem(answer, 409)["detail"]


async def test_a_test_event_tells_how_it_went(world: World) -> None:
    """200 with the outcome when the receiver took it; nothing is kept."""
    world.sender.script(HOOK, Answered(200, None, "thanks", 0.25))
    answer = await world.call("POST", "/v1/endpoints/test", {"callback_url": HOOK})
    assert answer.status_code == 200
    assert answer.json() == {
        "outcome": "delivered",
        "http_status": 200,
        "error": None,
        "duration_ms": 250.0,
        "response": "thanks",
    }
    assert b"notifier.test" in world.sender.posts[0].body
    assert (await world.call("GET", "/v1/deliveries")).json()["deliveries"] == []


@pytest.mark.parametrize("receipt", [Unanswered("timed out", 15.0, timed_out=True), Answered(503, 5.0, "later", 0.1)])
async def test_a_test_event_that_fails_is_200_too(world: World, receipt: Answered | Unanswered) -> None:
    """Nobody answering, or an answer that asks to wait, is a result of the test and no error of the call."""
    world.sender.script(HOOK, receipt)
    answer = await world.call("POST", "/v1/endpoints/test", {"callback_url": HOOK})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "failed")


async def test_a_test_event_to_a_refused_url_is_422(world: World) -> None:
    """The test goes through the same guard as every attempt."""
    world.guard.refused[HOOK] = Refusal("private", "10.0.0.1 is private")
    answer = await world.call("POST", "/v1/endpoints/test", {"callback_url": HOOK})
    assert "10.0.0.1 is private" in assert_problem(answer, 422, "#/callback_url")["detail"]
    assert world.sender.posts == []


@pytest.mark.parametrize("body", [{}, {"callback_url": None}, {"callback_url": 1}])
async def test_a_test_needs_a_url(world: World, body: object) -> None:
    """422 with a pointer to it."""
    assert_problem(await world.call("POST", "/v1/endpoints/test", body), 422, "#/callback_url")


async def test_a_test_takes_nothing_else(world: World) -> None:
    """422 for the unknown member, with what it might have meant."""
    body = {"callback_url": HOOK, "calback_url": HOOK}
    document = assert_problem(await world.call("POST", "/v1/endpoints/test", body), 422, "#/calback_url")
    assert "did you mean 'callback_url'?" in document["detail"]
