"""The intake as one ASGI application: which call goes where, and what is judged before.

From outside to inside: faults, the framing, the host, the origin, signed links, tokens, the gate (path, method, stop),
then the route, which reads the body.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from fastapi import Depends, FastAPI, params
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from notifier.adapters.api import endpoint_models, models, shapes, status_shapes
from notifier.adapters.api.auth import Auth, FailedAttempts
from notifier.adapters.api.deliveries import Deliveries
from notifier.adapters.api.endpoints import Endpoints
from notifier.adapters.api.faults import Faults
from notifier.adapters.api.files import Files
from notifier.adapters.api.framing import Framing
from notifier.adapters.api.gate import Gate
from notifier.adapters.api.hosts import Hosts
from notifier.adapters.api.openapi import FILE_REQUEST, Answers, describe, documented
from notifier.adapters.api.operations import Operations
from notifier.adapters.api.origins import SAFE_METHODS, Origins
from notifier.adapters.api.parts import ApiParts
from notifier.adapters.api.problems import invalid
from notifier.adapters.api.signed import SignedLinks
from notifier.adapters.api.watches import Watches

Handler: TypeAlias = Callable[..., Awaitable[Response]]


async def _each_once(request: Request) -> None:
    """A parameter given twice would be half ignored."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        error = ValueError("is given more than once")
        raise RequestValidationError([_error(("query", name), error) for name in twice])


_LIST = [Depends(_each_once)]


def build_api(parts: ApiParts) -> ASGIApp:
    """The intake over these parts. It keeps nothing itself but the count of failed authentications."""
    app = FastAPI(
        version=parts.version,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={RequestValidationError: _refuse_query},
    )
    _route_watches(app, Watches(parts))
    _route_files(app, Files(parts))
    _route_deliveries(app, Deliveries(parts))
    _route_endpoints(app, Endpoints(parts))
    _route_operations(app, Operations(parts, cache(lambda secured: describe(app, secured=secured))))
    # The last one added is the outermost.
    app.add_middleware(Gate, routes=app.routes, stopping=parts.stopping)
    failures = FailedAttempts(parts.clock.monotonic)
    app.add_middleware(Auth, tokens=parts.tokens, failures=failures)
    app.add_middleware(SignedLinks, links=parts.links, clock=parts.clock, failures=failures)
    app.add_middleware(Origins, tokens=parts.tokens)
    app.add_middleware(Hosts, names=parts.hosts)
    app.add_middleware(Framing)
    app.add_middleware(Faults)
    return app


def _route_watches(app: FastAPI, calls: Watches) -> None:
    many, one = "/v1/watches", "/v1/watches/{watch_id}"
    watch, found, results = shapes.Watch, shapes.WatchList, shapes.BatchResults
    _route(app, f"POST {many}", calls.add, "Watch a task", {201: watch, 200: watch}, takes=models.NewWatch)
    _route(app, f"POST {many}/batch", calls.add_batch, "Watch many tasks", {200: results}, takes=models.Batch)
    _route(app, f"GET {many}", calls.list, "List watches", {200: found}, refuses=[422], dependencies=_LIST)
    _route(app, f"GET {one}", calls.show, "Show a watch", {200: shapes.WatchAndResults}, refuses=[404])
    _route(app, f"DELETE {one}", calls.cancel, "Cancel a watch", {204: None}, refuses=[404])


def _route_files(app: FastAPI, calls: Files) -> None:
    path, answers = "/v1/watches/{watch_id}/files/{n}", {200: "*/*", 206: "*/*"}
    refused = [403, 404, 410, 416]
    _route(app, f"GET {path}", calls.serve, "Fetch a saved file", answers, refuses=refused, extra=FILE_REQUEST)


def _route_deliveries(app: FastAPI, calls: Deliveries) -> None:
    many, one = "/v1/deliveries", "/v1/deliveries/{delivery_id}"
    item, found = shapes.DeliveryItem, shapes.DeliveryList
    _route(app, f"GET {many}", calls.list, "List deliveries", {200: found}, refuses=[422], dependencies=_LIST)
    _route(app, f"GET {one}", calls.show, "Show a delivery", {200: shapes.Delivery}, refuses=[404])
    _route(app, f"POST {one}/redeliver", calls.redeliver, "Send an event again", {202: item}, refuses=[404, 409])


def _route_endpoints(app: FastAPI, calls: Endpoints) -> None:
    many, one = "/v1/endpoints", "/v1/endpoints/{endpoint_id}"
    item, told, found = shapes.Endpoint, shapes.EndpointAndSecret, shapes.EndpointList
    new, change = endpoint_models.NewEndpoint, endpoint_models.EndpointChange
    _route(app, f"POST {many}", calls.add, "Register an endpoint", {201: told}, refuses=[409], takes=new)
    _route(app, f"GET {many}", calls.list, "List endpoints", {200: found}, refuses=[422], dependencies=_LIST)
    _route(app, f"GET {one}", calls.show, "Show an endpoint", {200: item}, refuses=[404])
    _route(app, f"PATCH {one}", calls.change, "Change an endpoint", {200: told}, refuses=[404, 409], takes=change)
    _route(app, f"DELETE {one}", calls.delete, "Delete an endpoint", {204: None}, refuses=[404, 409])
    _route(app, f"POST {many}/test", calls.test, "Send a test event", {200: shapes.Trial}, takes=models.EndpointTest)


def _route_operations(app: FastAPI, calls: Operations) -> None:
    ready, keys = {200: status_shapes.Readiness, 503: status_shapes.Readiness}, {200: shapes.PublicKeys}
    _route(app, "POST /v1/reload", calls.reload, "Reload the configuration", {200: shapes.Reloaded}, refuses=[403, 422])
    _route(app, "GET /v1/status", calls.status, "How the daemon is doing", {200: status_shapes.Status}, refuses=[403])
    _route(app, "GET /healthz", calls.health, "Is the process alive", {200: status_shapes.Health}, protected=False)
    _route(app, "GET /readyz", calls.ready, "Does everything work", ready, protected=False)
    _route(app, "GET /.well-known/webhook-keys", calls.keys, "Keys that verify webhooks", keys, protected=False)
    _route(app, "GET /metrics", calls.metrics, "Metrics for Prometheus", {200: "text/plain"}, refuses=[403])
    _route(app, "GET /openapi.json", calls.description, "This document", {200: "application/json"})


def _route(
    app: FastAPI,
    call: str,
    handler: Handler,
    summary: str,
    answers: Answers,
    *,
    refuses: Sequence[int] = (),
    takes: type[BaseModel] | None = None,
    protected: bool = True,
    dependencies: Sequence[params.Depends] = (),
    extra: Mapping[str, Any] | None = None,
) -> None:
    method, _, path = call.partition(" ")
    refuses = refuses if method in SAFE_METHODS else [*refuses, 403]  # another site's page
    app.add_api_route(
        path,
        handler,
        methods=[method],
        summary=summary,
        operation_id=handler.__qualname__.replace(".", "_").lower(),
        dependencies=dependencies,
        **documented(answers, refuses, takes=takes, protected=protected, extra=extra or {}),
    )


def _error(location: tuple[str, str], error: ValueError) -> dict[str, Any]:
    return {"type": "value_error", "loc": location, "msg": str(error), "ctx": {"error": error}}


async def _refuse_query(request: Request, error: Exception) -> Response:
    """The framework validates query strings only; its errors become ours, without the leading "query"."""
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    stripped = [{**one, "loc": one["loc"][1:]} for one in found]
    names = list(models.QUERIES[request.scope["path"]].model_fields)
    return invalid(models.complaints(stripped, names)).response()
