"""The calls about endpoints: register, list, show, change, delete, try one out."""

from dataclasses import dataclass
from typing import Annotated, Any, assert_never

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from notifier.adapters.api.body import read_request
from notifier.adapters.api.caller import Caller, caller_of
from notifier.adapters.api.endpoint_models import EndpointChange, NewEndpoint
from notifier.adapters.api.models import EndpointQuery, EndpointTest
from notifier.adapters.api.paging import next_cursor, page
from notifier.adapters.api.parts import ApiParts
from notifier.adapters.api.problems import Complaint, Problem, encode, invalid, not_found, pointer, unavailable
from notifier.adapters.api.views import attempt_members, endpoint_members, list_json
from notifier.domain.address import Refusal
from notifier.domain.endpoint import Endpoint
from notifier.services.endpoints import MOST_ENDPOINTS, Accepted, Declared, Deleted, Full, Taken, Unknown, Wrong
from notifier.services.trials import Crowded


@dataclass(frozen=True, slots=True)
class Endpoints:
    parts: ApiParts

    async def add(self, request: Request) -> Response:
        asked = await read_request(request, NewEndpoint)
        if isinstance(asked, Problem):
            return asked.response()
        caller = caller_of(request.scope)
        if not caller.allows(asked.url):
            return invalid([caller.complaint("url")]).response()
        result = await self.parts.endpoints.create(asked.url, asked.terms(), by=caller.name)
        if isinstance(result, Accepted):
            return self._accepted(result, 201, {"Location": f"/v1/endpoints/{result.endpoint.id}"})
        return _refusal(result).response()

    async def list(self, request: Request, query: Annotated[EndpointQuery, Query()]) -> Response:
        wanted = page("e", query.limit, query.cursor, caller_of(request.scope).prefixes)
        if isinstance(wanted, Problem):
            return wanted.response()
        found = self.parts.endpoints.page(wanted)
        shown = [encode(self._members(endpoint)) for endpoint in found.endpoints]
        return Response(
            list_json("endpoints", shown, next_cursor("e", found.next_before)), media_type="application/json"
        )

    async def show(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self._find(endpoint_id, caller_of(request.scope))
        if endpoint is None:
            return _refusal(Unknown()).response()
        return Response(encode(self._members(endpoint)), media_type="application/json")

    async def change(self, request: Request, endpoint_id: str) -> Response:
        asked = await read_request(request, EndpointChange)
        if isinstance(asked, Problem):
            return asked.response()
        caller = caller_of(request.scope)
        if self._find(endpoint_id, caller) is None:
            return _refusal(Unknown()).response()
        result = await self.parts.endpoints.change(endpoint_id, asked.change(), by=caller.name)
        return self._accepted(result, 200) if isinstance(result, Accepted) else _refusal(result).response()

    async def delete(self, request: Request, endpoint_id: str) -> Response:
        caller = caller_of(request.scope)
        if self._find(endpoint_id, caller) is None:
            return _refusal(Unknown()).response()
        result = await self.parts.endpoints.delete(endpoint_id, by=caller.name)
        return Response(status_code=204) if isinstance(result, Deleted) else _refusal(result).response()

    async def test(self, request: Request) -> Response:
        asked = await read_request(request, EndpointTest)
        if isinstance(asked, Problem):
            return asked.response()
        caller = caller_of(request.scope)
        if not caller.allows(asked.callback_url):
            return invalid([caller.complaint("callback_url")]).response()
        result = await self.parts.dispatcher.test(asked.callback_url)
        if isinstance(result, Refusal):
            return invalid([Complaint(result.message, pointer("callback_url"))]).response()
        if isinstance(result, Crowded):
            return unavailable("too many test events are on their way; try again in some seconds").response()
        return Response(encode(attempt_members(result)), media_type="application/json")

    def _find(self, endpoint_id: str, caller: Caller) -> Endpoint | None:
        """What a caller may not see is not there for it."""
        endpoint = self.parts.endpoints.show(endpoint_id)
        return endpoint if endpoint is not None and caller.allows(endpoint.url) else None

    def _accepted(self, result: Accepted, status: int, headers: dict[str, str] | None = None) -> Response:
        members = self._members(result.endpoint) | {"secret": result.secret}
        return Response(encode(members), status, headers, "application/json")

    def _members(self, endpoint: Endpoint) -> dict[str, Any]:
        return endpoint_members(endpoint, self.parts.dispatcher.circuit(endpoint.url))


def _refusal(result: Taken | Full | Wrong | Unknown | Declared) -> Problem:
    match result:
        case Taken(endpoint_id=endpoint_id):
            detail = f"this URL is registered already, as {endpoint_id}; change or delete that one"
            return Problem(409, detail, [Complaint(detail, pointer("url"))])
        case Full():
            return Problem(409, f"{MOST_ENDPOINTS} endpoints are registered, the most there may be; delete one first")
        case Wrong(field=field, message=message):
            return invalid([Complaint(message, pointer(field))])
        case Unknown():
            return not_found("there is no endpoint with this id; GET /v1/endpoints lists them")
        case Declared():
            return Problem(409, "this endpoint is the configuration's; change it in the file and reload")
        case _:
            assert_never(result)
