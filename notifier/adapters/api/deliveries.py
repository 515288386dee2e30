"""The calls about deliveries and endpoints: list, show, send again, try a receiver out."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from notifier.adapters.api.body import read_object
from notifier.adapters.api.models import DeliveryQuery, EndpointTest, read
from notifier.adapters.api.paging import next_cursor, page
from notifier.adapters.api.parts import ApiParts
from notifier.adapters.api.problems import Complaint, Problem, encode, invalid, not_found, pointer
from notifier.adapters.api.views import attempt_members, delivery_item_json, delivery_json, list_json
from notifier.adapters.api.watches import ID
from notifier.domain.address import Refusal


@dataclass(frozen=True, slots=True)
class Deliveries:
    parts: ApiParts

    async def list(self, query: Annotated[DeliveryQuery, Query()]) -> Response:
        wanted = page("d", query.limit, query.cursor)
        if isinstance(wanted, Problem):
            return wanted.response()
        found = await self.parts.catalog.deliveries(wanted, state=query.state, watch_id=query.watch_id)
        shown = [delivery_item_json(view) for view in found.deliveries]
        return Response(
            list_json("deliveries", shown, next_cursor("d", found.next_before)), media_type="application/json"
        )

    async def show(self, delivery_id: str) -> Response:
        view = await self.parts.catalog.delivery_view(delivery_id) if ID.fullmatch(delivery_id) else None
        if view is None:
            return _no_delivery().response()
        waits = view.delivery.state == "pending"
        circuit = self.parts.dispatcher.circuit(view.delivery.callback_url) if waits else None
        return Response(delivery_json(view, circuit), media_type="application/json")

    async def redeliver(self, delivery_id: str) -> Response:
        known = bool(ID.fullmatch(delivery_id))
        again = known and await self.parts.dispatcher.redeliver(delivery_id)
        view = await self.parts.catalog.delivery_view(delivery_id) if known else None
        if view is None:
            return _no_delivery().response()
        if not again:
            return Problem(409, "this delivery is pending: its next attempt comes by itself").response()
        return Response(delivery_item_json(view), 202, media_type="application/json")

    async def test_endpoint(self, request: Request) -> Response:
        body = await read_object(request)
        if isinstance(body, Problem):
            return body.response()
        asked = read(EndpointTest, body.value)
        if isinstance(asked, tuple):
            return invalid(asked).response()
        result = await self.parts.dispatcher.test(asked.callback_url)
        if isinstance(result, Refusal):
            return invalid([Complaint(result.message, pointer("callback_url"))]).response()
        return Response(encode(attempt_members(result)), media_type="application/json")


def _no_delivery() -> Problem:
    return not_found("there is no delivery with this id; GET /v1/deliveries lists them")
