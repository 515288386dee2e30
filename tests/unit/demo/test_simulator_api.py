"""The simulator's HTTP calls, without a socket and with a clock of our own."""

import asyncio

import httpx
import pytest

from notifier.demo.simulator import Studio, create_app
from notifier.domain.content import HEAD_BYTES, recognise

KEY = {"authorization": "Bearer any"}


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def polled():
    return []


@pytest.fixture
def app(clock, polled):
    return create_app(Studio(duration=20), clock, on_poll=polled.append)


@pytest.fixture
async def client(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sim", headers=KEY) as client:
        yield client


async def test_a_poll_is_answered_as_documented(client, clock, polled):
    """An unknown id is a new task; its poll is narrated."""
    reply = await client.get("/v1/result/vid_1")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {
        "id": "vid_1",
        "object": "video",
        "created": 1_700_000_000,
        "model": "simulated-video-1",
        "status": "queued",
    }
    assert [(poll.at, poll.task_id, poll.answer.status) for poll in polled] == [(clock.now, "vid_1", "queued")]


@pytest.mark.parametrize("task_id", ["a/b", "a b", "ü", "50%", "a?b", "a%2Fb"])
async def test_ids_are_percent_decoded_once(client, task_id):
    """Whatever an id holds comes back as it was before encoding."""
    encoded = "".join(f"%{byte:02X}" for byte in task_id.encode())
    assert (await client.get(f"/v1/result/{encoded}")).json()["id"] == task_id


async def test_a_path_without_an_id_is_not_found(client, polled):
    """The empty id is no task, and there is no redirect."""
    assert (await client.get("/v1/result/")).status_code == 404
    assert (await client.get("/v1/result")).status_code == 404
    assert (await client.put("/simulator/tasks/", json={})).status_code == 404
    assert polled == []


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic any", "any"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/result/vid_1"), ("POST", "/v1/videos")])
async def test_without_a_key_nothing_is_told(client, polled, header, method, path):
    """A missing, empty or other authorization is a 401 that makes no task and is counted."""
    del client.headers["authorization"]
    reply = await client.request(method, path, headers={} if header is None else {"authorization": header})
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert polled == []
    stats = (await client.get("/simulator/stats")).json()
    assert (stats["tasks"], stats["unauthorized"]) == ({}, 1 if method == "GET" else 0)


@pytest.mark.parametrize(
    ("header", "status"), [("Bearer right", 200), ("bearer right", 200), ("Bearer wrong", 401), ("Bearer ü", 401)]
)
async def test_with_an_api_key_only_that_one_counts(clock, header, status):
    """With a key of its own the simulator refuses every other."""
    app = create_app(Studio(duration=20), clock, api_key="right")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sim") as client:
        reply = await client.get("/v1/result/vid_1", headers={"authorization": header.encode()})
    assert reply.status_code == status


async def test_a_video_can_be_ordered(client, clock):
    """POST makes a queued task that can be polled to its end; further fields of the real API are let through."""
    order = {"prompt": "a cat", "model": "sora-2", "seconds": 8}
    made = (await client.post("/v1/videos", json=order)).json()
    assert (made["status"], made["model"]) == ("queued", "sora-2")
    clock.now += 30
    assert (await client.get(f"/v1/result/{made['id']}")).json()["status"] == "completed"
    assert (await client.post("/v1/videos")).status_code == 200
    assert (await client.post("/v1/videos", content=b"{")).status_code == 400


async def test_a_scripted_task_misbehaves_and_then_tells_the_truth(client, clock):
    """The steps are used up one a poll; then the story goes as ordered."""
    order = {
        "queued": 1,
        "processing": 2.5,
        "outcome": "failed",
        "error": "no credits",
        "misbehave": [{"status": 429, "retry_after": 2}, {"body": "{broken"}, {"status": 404, "repeat": 2}],
    }
    assert (await client.put("/simulator/tasks/a%2Fb", json=order)).status_code == 200
    replies = [await client.get("/v1/result/a%2Fb") for _ in range(5)]
    assert [reply.status_code for reply in replies] == [429, 200, 404, 404, 200]
    assert (replies[0].headers["retry-after"], replies[1].text) == ("2", "{broken")
    clock.now += 3.5
    end = (await client.get("/v1/result/a%2Fb")).json()
    assert (end["status"], end["error"]) == ("failed", "no credits")
    assert (await client.get("/simulator/stats")).json()["polls_after_end"] == 0


async def test_null_is_a_wish_and_absence_is_none(client, clock):
    """A null URL is taken away, a null time never passes, and what is not named stays usual."""
    await client.put("/simulator/tasks/a", json={"queued": 0, "processing": 0, "video_url": None})
    await client.put("/simulator/tasks/b", json={"processing": None})
    await client.put("/simulator/tasks/c", json={"queued": 0, "processing": 0})
    clock.now += 1e6
    told = {name: (await client.get(f"/v1/result/{name}")).json() for name in "abc"}
    assert (told["a"]["status"], "video_url" in told["a"]) == ("completed", False)
    assert told["b"]["status"] == "processing"
    assert told["c"]["video_url"] == "http://sim/files/c.mp4"


async def test_the_file_of_a_task_is_there(client, clock):
    """At the URL that the task tells, without a key; the same bytes each time, recognised as MP4."""
    await client.put("/simulator/tasks/a%2Fb", json={"queued": 0, "processing": 0})
    url = (await client.get("/v1/result/a%2Fb")).json()["video_url"]
    whole = await client.get(url, headers={"authorization": ""})
    assert (whole.status_code, whole.headers["content-type"], len(whole.content)) == (200, "video/mp4", 300 * 1024)
    assert recognise(whole.content[:HEAD_BYTES]).type == "video/mp4"
    assert (await client.get(url)).content == whole.content
    assert (await client.get("/files/other.mp4")).content != whole.content


@pytest.mark.parametrize(
    ("asked", "if_range", "status", "told"),
    [
        ("bytes=100-", None, 206, slice(100, None)),
        ("bytes=0-9", None, 206, slice(0, 10)),
        ("bytes=100-999999999", "same", 206, slice(100, None)),
        ("bytes=100-", '"other"', 200, slice(None)),
        ("bytes=9-3", None, 200, slice(None)),
        ("bytes=-5", None, 200, slice(None)),
        ("bytes=307200-", None, 416, slice(0, 0)),
    ],
)
async def test_a_file_goes_on_where_it_broke(client, asked, if_range, status, told):
    """One range from a first byte on, of the same version; anything else is the whole."""
    whole = await client.get("/files/a.mp4")
    headers = {"range": asked} | ({} if if_range is None else {"if-range": if_range})
    if if_range == "same":
        headers["if-range"] = whole.headers["etag"]
    part = await client.get("/files/a.mp4", headers=headers)
    assert (part.status_code, part.content == whole.content[told]) == (status, True)
    if status == 206:
        start, stop, _ = told.indices(len(whole.content))
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole.content)}"


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ({"queud": 1}, "queud"),
        ({"queued": "1"}, "queued"),
        ({"queued": -1}, "queued"),
        ({"outcome": "done"}, "outcome"),
        ({"misbehave": [{"stauts": 429}]}, "misbehave.0.stauts"),
        ({"misbehave": [{"status": 99}]}, "misbehave.0.status"),
        ({"misbehave": [{"headers": {"a b": "c"}}]}, "misbehave.0.headers"),
        ({"misbehave": [{"retry_after": "x\r\ny"}]}, "misbehave.0.retry_after"),
        ([], "object"),
    ],
)
async def test_a_wrong_story_is_refused_and_changes_nothing(client, order, named):
    """The answer names the field, and the task is not made."""
    reply = await client.put("/simulator/tasks/a", json=order)
    assert reply.status_code == 422
    assert named in reply.json()["error"]["message"]
    assert (await client.get("/simulator/tasks/a")).status_code == 404


@pytest.mark.parametrize(
    ("rule", "statuses"),
    [
        ({"steps": [{"status": 500}, {"status": 404}]}, [500, 404, 200, 200]),
        ({"every": 2, "step": {"status": 500}}, [200, 500, 200, 500]),
        ({"lasting": 5, "step": {"status": 500}}, [500, 500, 500, 500]),
        ({"after": 5, "lasting": 5, "step": {"status": 500}}, [200, 200, 200, 200]),
        ({"one_in": 1, "steps": [{"status": 500}]}, [500, 500, 500, 500]),
        ({}, [200, 200, 200, 200]),
    ],
)
async def test_the_whole_api_misbehaves_by_a_rule(client, rule, statuses):
    """A rule replaces the one before and meets the polls of all tasks; {} ends it."""
    await client.put("/simulator/misbehave", json={"every": 1, "step": {"status": 503}})
    assert (await client.put("/simulator/misbehave", json=rule)).status_code == 204
    assert [(await client.get(f"/v1/result/vid_{n}")).status_code for n in range(4)] == statuses


@pytest.mark.parametrize(
    "rule", [b"", b"{", b"[]", b'{"evry": 2}', b'{"every": 0, "step": {}}', b'{"steps": [{"x": 1}]}', b"1"]
)
async def test_a_wrong_rule_is_refused_and_changes_nothing(client, rule):
    """What cannot be understood leaves the rule in force."""
    await client.put("/simulator/misbehave", json={"every": 1, "step": {"status": 503}})
    assert (await client.put("/simulator/misbehave", content=rule)).status_code == 422
    assert (await client.get("/v1/result/vid_1")).status_code == 503


async def test_polls_after_the_end_can_be_seen(client, clock):
    """The record shows times and the polls that came after the end was told."""
    await client.put("/simulator/tasks/a", json={"queued": 0, "processing": 0})
    for _ in range(3):
        await client.get("/v1/result/a")
        clock.now += 1
    start = clock.now - 3
    assert (await client.get("/simulator/tasks/a")).json() == {
        "id": "a",
        "status": "completed",
        "polls": 3,
        "polled_at": [start, start + 1, start + 2],
        "end_told_at": start,
        "polls_after_end": 2,
    }
    stats = (await client.get("/simulator/stats")).json()
    assert (stats["polls"], stats["polls_after_end"]) == (3, 2)


async def test_a_late_answer_is_the_truth(client):
    """A delay changes nothing about what is told."""
    await client.put("/simulator/tasks/a", json={"misbehave": [{"delay": 0.01}]})
    assert (await client.get("/v1/result/a")).json()["status"] == "queued"


async def test_a_dripping_answer_is_whole_in_the_end(client):
    """Byte by byte the same body arrives."""
    await client.put("/simulator/tasks/a", json={"misbehave": [{"drip": 0.0001, "body": "[]"}]})
    assert (await client.get("/v1/result/a")).text == "[]"


async def test_a_client_that_hangs_up_early_was_told_nothing(app, client):
    """An end that was still being delayed when the client went away is not held against the next poll."""
    order = {"queued": 0, "processing": 0, "misbehave": [{"delay": 3600}]}
    await client.put("/simulator/tasks/a", json=order)
    await asyncio.wait_for(hang_up(app, "/v1/result/a"), timeout=1)
    await client.get("/v1/result/a")
    assert (await client.get("/simulator/tasks/a")).json()["polls_after_end"] == 0


async def hang_up(app, path):
    """Send a request as a server would, with the connection closed right after it."""

    async def receive():
        return {"type": "http.disconnect"}

    async def send(_message):
        pass

    headers = [(b"authorization", b"Bearer any")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
