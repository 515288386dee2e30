"""Reads a request's JSON body: capped while it comes in, within a deadline, strictly JSON, and as its model says."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Never, TypeAlias

from starlette.requests import Request

from notifier.adapters.api.models import ModelT, read
from notifier.adapters.api.problems import Complaint, Problem, invalid, pointer

USUAL_LIMIT = 256 * 1024
BATCH_LIMIT = 4 * 1024 * 1024
PATIENCE_SECONDS = 30.0
"""For the whole body: a sender that drips must not hold up an orderly stop."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body that is a JSON object."""

    value: dict[str, Any]


Body: TypeAlias = Parsed | Problem


async def read_request(request: Request, model: type[ModelT], *, limit: int = USUAL_LIMIT) -> ModelT | Problem:
    """What a request asks for; otherwise as `read_object`, and 422 with everything that is wrong with it."""
    body = await read_object(request, limit=limit)
    if isinstance(body, Problem):
        return body
    asked = read(model, body.value)
    return invalid(asked) if isinstance(asked, tuple) else asked


async def read_object(request: Request, *, limit: int = USUAL_LIMIT, patience: float = PATIENCE_SECONDS) -> Body:
    """The JSON object that a request carries, of at most `limit` bytes; 400, 408, 413, 415 or 422 otherwise."""
    refusal = _judge_headers(request, limit)
    if refusal is not None:
        return refusal
    try:
        async with asyncio.timeout(patience):
            raw = await _receive(request, limit)
    except TimeoutError:
        return Problem(408, f"the body did not arrive within {patience:g} s", headers={"Connection": "close"})
    return raw if isinstance(raw, Problem) else _parse(raw)


def _judge_headers(request: Request, limit: int) -> Problem | None:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
        return _too_large(limit)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Problem(415, "send the body as JSON, with the header Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        return Problem(415, "send the body as it is, without Content-Encoding")
    return None


async def _receive(request: Request, limit: int) -> bytearray | Problem:
    """Reading stops at the limit, whatever Content-Length says or leaves out; the server throws the rest away."""
    raw = bytearray()
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            return Problem(400, "the connection was closed before the body was complete")
        raw += message.get("body", b"")
        if len(raw) > limit:
            return _too_large(limit)
        more = message.get("more_body", False)
    return raw


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit // 1024} KiB, the most that this call takes")


def _parse(raw: bytearray) -> Body:
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        return Problem(400, "the body is not UTF-8")
    except json.JSONDecodeError as error:
        return Problem(400, f"the body is not JSON: {error.msg} in line {error.lineno}, column {error.colno}")
    except (ValueError, RecursionError) as error:
        return Problem(400, f"the body is not JSON that can be read: {_reason(error)}")
    if not isinstance(value, dict):
        return invalid([Complaint("the body must be a JSON object", pointer())])
    return Parsed(value)


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # Python's own message about endless digits speaks of Python.
    return str(error) if "JSON" in str(error) else "a number in it has too many digits"
