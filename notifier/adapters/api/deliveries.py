"""The calls about deliveries: list, show, send again."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from notifier.adapters.api.caller import Caller, caller_of
from notifier.adapters.api.models import DeliveryQuery
from notifier.adapters.api.paging import next_cursor, page
from notifier.adapters.api.parts import ApiParts
from notifier.adapters.api.problems import Problem, not_found
from notifier.adapters.api.views import delivery_item_json, delivery_json, list_json
from notifier.adapters.api.watches import ID
from notifier.domain.delivery import DeliveryView


@dataclass(frozen=True, slots=True)
class Deliveries:
    parts: ApiParts

    async def list(self, request: Request, query: Annotated[DeliveryQuery, Query()]) -> Response:
        wanted = page("d", query.limit, query.cursor, caller_of(request.scope).prefixes)
        if isinstance(wanted, Problem):
            return wanted.response()
        found = await self.parts.catalog.deliveries(wanted, state=query.state, watch_id=query.watch_id)
        shown = [delivery_item_json(view) for view in found.deliveries]
        return Response(
            list_json("deliveries", shown, next_cursor("d", found.next_before)), media_type="application/json"
        )

    async def show(self, request: Request, delivery_id: str) -> Response:
        view = await self._find(delivery_id, caller_of(request.scope))
        if view is None:
            return _no_delivery().response()
        waits = view.delivery.state == "pending"
        circuit = self.parts.dispatcher.circuit(view.delivery.callback_url) if waits else None
        return Response(delivery_json(view, circuit), media_type="application/json")

    async def redeliver(self, request: Request, delivery_id: str) -> Response:
        caller = caller_of(request.scope)
        if caller.limited and await self._find(delivery_id, caller) is None:
            return _no_delivery().response()
        again = bool(ID.fullmatch(delivery_id)) and await self.parts.dispatcher.redeliver(delivery_id, by=caller.name)
        view = await self._find(delivery_id, caller)
        if view is None:
            return _no_delivery().response()
        if not again:
            return Problem(409, "this delivery is pending: its next attempt comes by itself").response()
        return Response(delivery_item_json(view), 202, media_type="application/json")

    async def _find(self, delivery_id: str, caller: Caller) -> DeliveryView | None:
        """What a caller may not see is not there for it."""
        view = await self.parts.catalog.delivery_view(delivery_id) if ID.fullmatch(delivery_id) else None
        return view if view is not None and caller.allows(view.delivery.callback_url) else None


def _no_delivery() -> Problem:
    return not_found("there is no delivery with this id; GET /v1/deliveries lists them")
