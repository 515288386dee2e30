"""OpenAPI 3.1 of the intake: what the routes cannot say by themselves (bodies, problems, tokens) is added here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from notifier.adapters.api import endpoint_models, models, shapes, status_shapes
from notifier.adapters.api.problems import MEDIA_TYPE, TITLES

Content: TypeAlias = type[BaseModel] | str | None
"""What an answer holds: a shape, another media type, or nothing."""
Answers: TypeAlias = Mapping[int, Content]

REF = "#/components/schemas/{model}"
READS_A_BODY = (400, 408, 413, 415, 422)

_HEADERS: Mapping[int, tuple[str, str, str]] = {
    201: ("Location", "string", "Where it is."),
    401: ("WWW-Authenticate", "string", "Bearer"),
    206: ("Content-Range", "string", "Which bytes, and of how many."),
    416: ("Content-Range", "string", "How many bytes there are."),
    429: ("Retry-After", "integer", "Seconds."),
    503: ("Retry-After", "integer", "Seconds."),
}
FILE_REQUEST: Mapping[str, Any] = {
    "security": [{"bearer": []}, {"link": []}],
    "parameters": [
        {"name": name, "in": where, "required": False, "description": description, "schema": {"type": "string"}}
        for name, where, description in (
            ("expires", "query", "Of a signed link, which needs no token: Unix seconds."),
            ("Range", "header", "One range of bytes (RFC 9110, section 14.2)."),
            ("If-Range", "header", "The ETag: another file is sent whole."),
        )
    ],
}
"""What the route of a saved file cannot say by itself."""

_DESCRIPTION = """\
Register tasks of polling-only APIs; each is polled on its own interval, and a signed webhook tells your callback URL \
when it has ended. Errors are problem documents (RFC 9457)."""


def documented(
    answers: Answers,
    problems: Sequence[int] = (),
    *,
    takes: type[BaseModel] | None = None,
    protected: bool = True,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """Arguments for `add_api_route`: what a call answers when all is well, with which problems it refuses, what
    body it takes, and what `extra` says of it."""
    reading = READS_A_BODY if takes is not None else ()
    guarding = (401, 421, 429, 503) if protected else (421,)
    known = {status: _answer(status, content) for status, content in answers.items()}
    known |= {status: _problem(status) for status in sorted({*problems, *reading, *guarding})}
    said: dict[str, Any] = dict(extra) if protected else {"security": []}
    if takes is not None:
        content = {"application/json": {"schema": _ref(takes)}}
        said["requestBody"] = {"required": True, "content": content}
    return {
        "status_code": next(iter(answers)),
        "response_class": Response,
        "response_model": None,
        "responses": known,
        "openapi_extra": said,
    }


def describe(app: FastAPI, *, secured: bool) -> bytes:
    """The document as JSON; `secured` when tokens are configured, so that it says what is true here and now."""
    document = get_openapi(
        title="Notifier", version=app.version, openapi_version="3.1.0", description=_DESCRIPTION, routes=app.routes
    )
    for operation in (one for path in document["paths"].values() for one in path.values()):
        _correct(operation)
        if not secured:
            operation.pop("security", None)
    components = document.setdefault("components", {})
    components["schemas"] = {**_schemas(), **_used(components.get("schemas", {}))}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "One of the tokens under intake.tokens."},
        "link": {"type": "apiKey", "in": "query", "name": "signature", "description": "Of a link to a saved file."},
    }
    document["security"] = [{"bearer": []}] if secured else []
    return json.dumps(document, ensure_ascii=False).encode()


def _correct(operation: dict[str, Any]) -> None:
    """The framework documents an answer that is never sent, and a query parameter that may be left out as nullable,
    which text in a URL cannot be."""
    if "application/json" in operation["responses"].get("422", {}).get("content", {}):
        del operation["responses"]["422"]
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        choices = [one for one in schema.pop("anyOf", ()) if one != {"type": "null"}]
        for choice in choices:
            schema |= choice


def _answer(status: int, content: Content) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _summary(content)} | _headers(status)
    match content:
        case None:
            pass
        case "*/*":
            answer["content"] = {content: {"schema": {}}}
        case str():
            answer["content"] = {content: {"schema": {"type": "string" if content.startswith("text/") else "object"}}}
        case _:
            answer["content"] = {"application/json": {"schema": _ref(content)}}
    return answer


def _summary(content: Content) -> str:
    summary = content.__doc__ if isinstance(content, type) else None
    return " ".join((summary or "Done.").split())


def _problem(status: int) -> dict[str, Any]:
    return {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": _ref(shapes.Problem)}}} | _headers(status)


def _headers(status: int) -> dict[str, Any]:
    if status not in _HEADERS:
        return {}
    name, kind, description = _HEADERS[status]
    return {"headers": {name: {"description": description, "schema": {"type": kind}}}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    """Every shape that a reference can name."""
    asked: Sequence[type[BaseModel]] = (
        models.NewWatch,
        models.Batch,
        models.EndpointTest,
        endpoint_models.NewEndpoint,
        endpoint_models.EndpointChange,
    )
    told: Sequence[type[BaseModel]] = (
        shapes.Problem,
        shapes.Watch,
        shapes.WatchAndResults,
        shapes.WatchList,
        shapes.BatchResults,
        shapes.Delivery,
        shapes.DeliveryItem,
        shapes.DeliveryList,
        shapes.Trial,
        shapes.Endpoint,
        shapes.EndpointAndSecret,
        shapes.EndpointList,
        shapes.Reloaded,
        status_shapes.Health,
        status_shapes.Readiness,
        status_shapes.Status,
        shapes.PublicKeys,
    )
    _, schema = models_json_schema([(model, "validation") for model in (*asked, *told)], ref_template=REF)
    found: dict[str, Any] = schema["$defs"]
    return found


def _used(generated: Mapping[str, Any]) -> dict[str, Any]:
    """What the framework defines, without the shape of its own validation errors, which are never sent."""
    never_sent = ("HTTPValidationError", "ValidationError")
    return {name: schema for name, schema in generated.items() if name not in never_sent}
