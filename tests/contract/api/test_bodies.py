"""What becomes of a request's body before anybody looks into it: type, size, time and JSON."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request

from notifier.adapters.api.body import BATCH_LIMIT, USUAL_LIMIT, Parsed, read_object
from notifier.adapters.api.problems import Problem
from tests.contract.api.world import HOOK, World, assert_problem

JSON = {"content-type": "application/json"}


def request(*messages: dict[str, Any] | Callable[[], Any], **headers: str) -> Request:
    """A request whose body comes in these ASGI messages; a function is awaited first for its message."""
    coming = iter(messages)

    async def receive() -> Any:
        message = next(coming)
        return await message() if callable(message) else message

    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def status_of(asked: Request, **limits: Any) -> int:
    found = await read_object(asked, **limits)
    assert isinstance(found, Problem)
    return found.status


async def test_a_body_may_come_in_pieces() -> None:
    """Pieces may even cut a character in two, or be empty."""
    text = '{"a":"ü"}'.encode()
    pieces = [chunk(text[:7], more=True), chunk(b"", more=True), {"type": "http.request", "body": text[7:]}]
    assert await read_object(request(*pieces)) == Parsed({"a": "ü"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1} x',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\xff"}',
        b'{"a": "\n"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
async def test_what_is_not_json_is_400(body: bytes) -> None:
    """Including what Python's reader would take, and what it can only read with an exception of its own."""
    assert await status_of(request(chunk(body))) == 400


@pytest.mark.parametrize("body", ["[]", '"x"', "1", "null", "true"])
async def test_json_that_is_no_object_is_422(world: World, body: str) -> None:
    """It can be read, and points to the whole body."""
    assert_problem(await world.call("POST", "/v1/watches", content=body, headers=JSON), 422, "#")


async def test_what_is_wrong_with_the_json_is_told(world: World) -> None:
    """With line and column."""
    answer = await world.call("POST", "/v1/watches", content='{\n "task_id" 1}', headers=JSON)
    assert "line 2, column 12" in assert_problem(answer, 400)["detail"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("", 415),
        (None, 415),
    ],
)
async def test_only_json_is_taken(world: World, content_type: str | None, status: int) -> None:
    """415 for other types and for none: what a form on a web page can send is refused."""
    body = json.dumps({"task_id": "vid_1", "callback_url": HOOK})
    headers = {} if content_type is None else {"content-type": content_type}
    assert (await world.call("POST", "/v1/watches", content=body, headers=headers)).status_code == status


async def test_a_compressed_body_is_415() -> None:
    """Nothing is inflated; `identity` is no encoding."""
    assert await status_of(request(chunk(b"{}"), content_encoding="gzip")) == 415
    assert await read_object(request(chunk(b"{}"), content_encoding="identity")) == Parsed({})


@pytest.mark.parametrize("path", ["/v1/watches", "/v1/endpoints/test", "/v1/watches/batch"])
async def test_a_body_may_be_as_large_as_the_limit(world: World, path: str) -> None:
    """256 KiB, and 4 MiB for a batch: up to it the body is judged, one byte more is 413."""
    limit = BATCH_LIMIT if path.endswith("batch") else USUAL_LIMIT
    body = b"{}" + b" " * (limit - 2)
    assert_problem(await world.call("POST", path, content=body, headers=JSON), 422)
    assert_problem(await world.call("POST", path, content=body + b" ", headers=JSON), 413)


async def test_a_large_body_without_a_length_is_cut_off() -> None:
    """Reading stops with the piece that passes the limit, though there would be many more."""
    pieces = iter([chunk(b" " * 65_536, more=True)] * 100)

    async def receive() -> Any:
        return next(pieces)

    headers = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
    asked = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    assert await status_of(asked) == 413
    assert len(list(pieces)) == 95


async def test_a_length_that_is_too_large_is_believed() -> None:
    """413 before a byte is read, also for lengths that are no sane number."""
    for length in (str(USUAL_LIMIT + 1), "9" * 5000):
        assert await status_of(request(content_length=length)) == 413


async def test_a_length_that_lies_is_not_believed() -> None:
    """The bytes are counted whatever was announced."""
    assert await status_of(request(chunk(b" " * (USUAL_LIMIT + 1)), content_length="2")) == 413


async def test_size_is_judged_before_the_type() -> None:
    """413 before 415 before 400."""
    large = {"content_length": str(USUAL_LIMIT + 1), "content_type": "text/plain"}
    assert await status_of(request(**large)) == 413
    assert await status_of(request(chunk(b"{"), content_type="text/plain")) == 415


async def test_a_body_that_does_not_come_is_408() -> None:
    """A sender that stops in the middle does not hold us up."""
    forever = asyncio.Event().wait
    async with asyncio.timeout(2):
        assert await status_of(request(chunk(b"{", more=True), forever), patience=0.01) == 408


async def test_a_sender_that_goes_away_is_400() -> None:
    """What was sent by then is not taken for the whole."""
    assert await status_of(request(chunk(b"{}", more=True), {"type": "http.disconnect"})) == 400


async def test_calls_without_a_body_do_not_read_one(world: World) -> None:
    """What comes along anyhow is ignored."""
    assert (await world.call("POST", "/v1/reload", content=b"{broken")).status_code == 200
