"""The daemon itself over HTTP: reload, health, readiness, metrics, keys; and what happens when something is down."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from notifier.adapters.api import Cluster, PausedProvider, Readiness, Reloaded, ReloadRefused, problems
from notifier.domain.report import NodeReport, Standing
from notifier.domain.signature import Ed25519Key, parse_public_key, public_key
from notifier.ports import Counts, Oldest, Space, TooManyListsError
from notifier.services import registrar
from tests.contract.api.world import HOOK, KEY, World, assert_problem
from tests.fakes import START

EVERY_V1_CALL = [
    ("POST", "/v1/watches"),
    ("POST", "/v1/watches/batch"),
    ("GET", "/v1/watches"),
    ("GET", "/v1/watches/wch_1"),
    ("DELETE", "/v1/watches/wch_1"),
    ("GET", "/v1/watches/wch_1/files/0"),
    ("GET", "/v1/deliveries"),
    ("GET", "/v1/deliveries/evt_1"),
    ("POST", "/v1/deliveries/evt_1/redeliver"),
    ("POST", "/v1/endpoints"),
    ("GET", "/v1/endpoints"),
    ("GET", "/v1/endpoints/ep_1"),
    ("PATCH", "/v1/endpoints/ep_1"),
    ("DELETE", "/v1/endpoints/ep_1"),
    ("POST", "/v1/endpoints/test"),
    ("POST", "/v1/reload"),
    ("GET", "/v1/status"),
]
BODIES = {
    "/v1/watches": {"task_id": "vid_1", "callback_url": HOOK},
    "/v1/watches/batch": {"watches": [{"task_id": "vid_1", "callback_url": HOOK}]},
    "/v1/endpoints": {"url": HOOK},
    "/v1/endpoints/ep_1": {"rate": "1/s"},
    "/v1/endpoints/test": {"callback_url": HOOK},
}


async def test_a_reload_says_what_it_did(world: World) -> None:
    """200 with the numbers of declared watches and the settings that need a restart."""
    world.reloaded = Reloaded(added=2, changed=1, cancelled=3, needs_restart=("store", "intake.listen"))
    answer = await world.call("POST", "/v1/reload")
    assert answer.status_code == 200
    assert answer.json() == {
        "watches": {"added": 2, "changed": 1, "cancelled": 3},
        "needs_restart": ["store", "intake.listen"],
    }


async def test_a_bad_file_is_422_with_all_its_errors(world: World) -> None:
    """Each error as the command line prints it."""
    world.reloaded = ReloadRefused(("c.yaml:3:5: store.retention: is too short", "c.yaml:9:1: pro: is not known"))
    document = assert_problem(await world.call("POST", "/v1/reload"), 422)
    assert [one["detail"] for one in document["errors"]] == list(world.reloaded.errors)
    assert "pointer" not in document


async def test_health_is_being_alive(world: World) -> None:
    """200 also while stopping and with the store down."""
    world.stopping = world.store.down = True
    answer = await world.call("GET", "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readiness_says_which_part_does_not_work(world: World) -> None:
    """503 with what is wrong; a paused provider is named and alone no reason for it."""
    paused = {"videos": PausedProvider("unauthorized", 12.5)}
    world.readiness = Readiness(True, {"store": "ok", "scheduler": "ok"}, paused, poll_lag=0.25)
    answer = await world.call("GET", "/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": {"store": "ok", "scheduler": "ok"},
        "paused": {"videos": {"reason": "unauthorized", "seconds_left": 12.5}},
        "poll_lag_seconds": 0.25,
    }
    world.readiness = Readiness(False, {"store": "disk is full", "scheduler": "ok"})
    answer = await world.call("GET", "/readyz")
    assert (answer.status_code, answer.json()["checks"]["store"]) == (503, "disk is full")


async def test_the_status_is_readiness_and_figures(world: World) -> None:
    """200 also when it is not ready, for whoever may read it may know why."""
    counts = Counts({"watching": 3}, {"pending": 2, "exhausted": 1}, Oldest("evt_1", START - timedelta(seconds=90)))
    world.status = replace(world.status, counts=counts, readiness=Readiness(False, {"store": "is full"}))
    answer = await world.call("GET", "/v1/status")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": False,
        "checks": {"store": "is full"},
        "paused": {},
        "poll_lag_seconds": 0.0,
        "version": "1.2.3",
        "started_at": "2026-11-22T13:33:00.000000Z",
        "uptime_seconds": 3725.5,
        "polls_per_second": 1.25,
        "watches": {"watching": 3},
        "deliveries": {"pending": 2, "exhausted": 1},
        "oldest_pending": {"id": "evt_1", "created_at": "2026-11-22T13:31:30.000000Z", "age_seconds": 90.0},
        "open_circuits": 0,
        "store": {"bytes": 4096, "free_bytes": 1 << 30},
        "last_reload": {"successful": True, "at": "2026-11-22T13:33:00.000000Z"},
        "cluster": None,
    }


async def test_the_status_shows_the_nodes_that_share_the_database(world: World) -> None:
    """What each says of itself, what it holds, and what is nobody's."""
    report = NodeReport(1200, 40.0, 0.5)
    node = Standing("host-1", True, "1.2.3", True, START, START + timedelta(hours=1), 86, report)
    world.status = replace(world.status, cluster=Cluster((node,), unowned=170, age=1.2345))
    assert (await world.call("GET", "/v1/status")).json()["cluster"] == {
        "nodes": [
            {
                "name": "host-1",
                "this": True,
                "version": "1.2.3",
                "alive": True,
                "started_at": "2026-11-22T13:33:00.000000Z",
                "seen_at": "2026-11-22T14:33:00.000000Z",
                "shards": 86,
                "tasks": 1200,
                "polls_per_second": 40.0,
                "poll_lag_seconds": 0.5,
            }
        ],
        "unowned_shards": 170,
        "age_seconds": 1.2,
    }


async def test_the_status_does_not_need_the_store(world: World) -> None:
    """What cannot be counted is null."""
    world.status = replace(world.status, counts=None, space=Space(0, None))
    shown = (await world.call("GET", "/v1/status")).json()
    assert (shown["watches"], shown["deliveries"], shown["oldest_pending"]) == (None, None, None)
    assert shown["store"] == {"bytes": 0, "free_bytes": None}


async def test_metrics_come_as_they_are_rendered(world: World) -> None:
    """The renderer's bytes and its content type, untouched."""
    answer = await world.call("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.content == b"notifier_up 1\n"


async def test_public_keys_come_in_both_forms(world: World) -> None:
    """A JWK set and the whpk_ form of the same keys, in the same order."""
    other = Ed25519Key(bytes(32))
    world.keys = (KEY, other)
    answer = (await world.call("GET", "/.well-known/webhook-keys")).json()
    assert answer["whpk"] == [public_key(KEY), public_key(other)]
    raw = [base64.urlsafe_b64decode(jwk["x"] + "=") for jwk in answer["keys"]]
    assert raw == [parse_public_key(text).raw for text in answer["whpk"]]
    world.keys = ()
    assert (await world.call("GET", "/.well-known/webhook-keys")).json() == {"keys": [], "whpk": []}


@pytest.mark.parametrize(("method", "path"), EVERY_V1_CALL)
async def test_a_stop_refuses_work(world: World, method: str, path: str) -> None:
    """503 with Retry-After on every call under /v1/ while a stop is under way, and nothing is done."""
    world.stopping = True
    answer = await world.call(method, path, BODIES.get(path))
    assert "stopping" in assert_problem(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert (world.store.watches, world.sender.posts) == ({}, [])


async def test_too_many_lists_are_503(world: World) -> None:
    """With Retry-After; the log hears nothing of it, for there is no trouble."""
    world.catalog.broken = TooManyListsError("32 lists are being read")
    with capture_logs() as lines:
        answer = await world.call("GET", "/v1/watches")
    assert "too many lists" in assert_problem(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert [line["event"] for line in lines] == ["request.answered"]


WITHOUT_STORE = [("POST", "/v1/endpoints/test"), ("POST", "/v1/reload"), ("GET", "/v1/status")]
WITHOUT_STORE += [("GET", "/v1/endpoints"), ("GET", "/v1/endpoints/ep_1")]


@pytest.mark.parametrize(("method", "path"), [one for one in EVERY_V1_CALL if one not in WITHOUT_STORE])
async def test_a_store_that_is_down_is_503(world: World, method: str, path: str) -> None:
    """With Retry-After, a line in the log that says why, and no traceback: it is not our fault."""
    if path.endswith("/ep_1"):
        await world.call("POST", "/v1/endpoints", {"url": HOOK})
    world.store.down = True
    with capture_logs() as lines:
        answer = await world.call(method, path, BODIES.get(path))
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    (line,) = [one for one in lines if one["event"] == "request.refused"]
    assert (line["error"], line["log_level"], "exc_info" in line) == ("disk I/O error", "warning", False)


@pytest.mark.parametrize("path", ["/v1/watches", "/v1/watches/batch"])
async def test_a_store_that_cannot_keep_up_is_503(world: World, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """At once and with Retry-After, for the batch as a whole; nothing is registered, and what only reads goes on."""
    monkeypatch.setattr(registrar, "MOST_WAITING", 0)
    answer = await world.call("POST", path, BODIES[path])
    assert "wait for the store" in assert_problem(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert world.store.watches == {}
    assert (await world.call("GET", "/v1/watches")).status_code == 200


async def test_a_fault_of_our_own_is_500_and_logged_once(world: World) -> None:
    """A problem document that gives nothing away; the traceback is in the log, once."""
    world.catalog.broken = RuntimeError("secret details")
    with capture_logs() as lines:
        answer = await world.call("GET", "/v1/watches")
    assert_problem(answer, 500)
    assert "secret" not in answer.text
    (line,) = [one for one in lines if "exc_info" in one]
    assert (line["event"], line["exc_info"]) == ("request.failed", world.catalog.broken)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/watches", "GET, HEAD, POST"),
        ("GET", "/v1/watches/batch", "POST"),
        ("DELETE", "/v1/watches/batch", "POST"),
        ("POST", "/v1/watches/wch_1", "DELETE, GET, HEAD"),
        ("GET", "/v1/deliveries/evt_1/redeliver", "POST"),
        ("OPTIONS", "/v1/reload", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_with_the_right_ones(world: World, method: str, path: str, allowed: str) -> None:
    """`Allow` names every method of the path, and a fixed path is not taken for an id."""
    answer = await world.call(method, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/watches/", "/v1/watches/a/b", "/v2/watches", "/docs", "/redoc"])
async def test_an_unknown_path_is_404(world: World, path: str) -> None:
    """A problem document for every method; nothing redirects and there are no pages beside the API."""
    for method in ("GET", "POST", "DELETE"):
        assert_problem(await world.call(method, path), 404)


def test_what_utf8_cannot_hold_is_replaced() -> None:
    """A lone surrogate out of somebody's answer makes no answer of ours fail."""
    assert problems.encode({"last_error": "a\ud800b"}) == b'{"last_error":"a?b"}'


@pytest.mark.parametrize("path", ["/healthz", "/v1/watches", "/metrics", "/openapi.json"])
async def test_head_is_get_without_the_body(world: World, path: str) -> None:
    """The same status and headers, and not a byte of the body, whatever server is in front."""
    head, get = await world.call("HEAD", path), await world.call("GET", path)
    assert head.status_code == 200
    assert head.headers == get.headers
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "HEAD", "path": path, "query_string": b"", "headers": [], "client": None}
    await world.app(scope, world.client.aclose, send)
    assert [message.get("body", b"") for message in sent] == [b""] * len(sent)
