"""The calls about watches: register one or many, list, show, cancel."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from notifier.adapters.api.body import BATCH_LIMIT, read_request
from notifier.adapters.api.caller import Caller, caller_of
from notifier.adapters.api.models import Batch, NewWatch, WatchQuery, read
from notifier.adapters.api.paging import next_cursor, page
from notifier.adapters.api.parts import ApiParts
from notifier.adapters.api.problems import Complaint, Problem, encode, invalid, not_found, pointer, unavailable
from notifier.adapters.api.views import list_json, watch_json, with_results
from notifier.domain.result_file import MakeLink
from notifier.domain.watch import WatchView
from notifier.ports import Catalog, Registered, Results
from notifier.services.registrar import Busy, Invalid

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Whatever else is in a path is no id of ours, and the store need not be asked."""
AT_ONE_GO = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watches:
    parts: ApiParts

    async def add(self, request: Request) -> Response:
        asked = await read_request(request, NewWatch)
        if isinstance(asked, Problem):
            return asked.response()
        caller = caller_of(request.scope)
        if not caller.allows(asked.callback_url):
            return invalid([caller.complaint("callback_url")]).response()
        results = await self.parts.registrar.register([asked.request()], by=caller.name)
        if isinstance(results, Busy):
            return _busy().response()
        (result,) = results
        if isinstance(result, Invalid):
            return invalid([_complaint(result)]).response()
        status = 201 if result.created else 200
        headers = {"Location": f"/v1/watches/{result.view.watch.id}"} if result.created else None
        return Response(self._json(result.view), status, headers, "application/json")

    async def add_batch(self, request: Request) -> Response:
        batch = await read_request(request, Batch, limit=BATCH_LIMIT)
        if isinstance(batch, Problem):
            return batch.response()
        caller = caller_of(request.scope)
        asked = [_read(item, index, caller) async for index, item in _unhurried(batch.watches)]
        registered = await self._register(asked, caller)
        if isinstance(registered, Busy):
            return _busy().response()
        results = [self._result(index, one) async for index, one in _unhurried(registered)]
        return Response(b'{"results":[%s]}' % b",".join(results), media_type="application/json")

    async def _register(
        self, asked: Sequence[NewWatch | tuple[Complaint, ...]], caller: Caller
    ) -> list[Registered | Invalid | tuple[Complaint, ...]] | Busy:
        """Register what could be read, together; what could not keeps its place."""
        requests = [one.request() for one in asked if isinstance(one, NewWatch)]
        registered = await self.parts.registrar.register(requests, by=caller.name) if requests else ()
        if isinstance(registered, Busy):
            return registered
        results = iter(registered)
        return [next(results) if isinstance(one, NewWatch) else one for one in asked]

    def _result(self, index: int, one: Registered | Invalid | tuple[Complaint, ...]) -> bytes:
        match one:
            case Registered(view=view, created=created):
                return b'{"status":%d,"watch":%s}' % (201 if created else 200, self._json(view))
            case Invalid():
                return _item_problem((_complaint(one, "watches", index),))
            case _:
                return _item_problem(one)

    async def list(self, request: Request, query: Annotated[WatchQuery, Query()]) -> Response:
        wanted = page("w", query.limit, query.cursor, caller_of(request.scope).prefixes)
        if isinstance(wanted, Problem):
            return wanted.response()
        found = await self.parts.catalog.watches(
            wanted, state=query.state, provider=query.provider, task_id=query.task_id
        )
        shown = [self._json(view) for view in found.watches]
        return Response(
            list_json("watches", shown, next_cursor("w", found.next_before)), media_type="application/json"
        )

    async def show(self, request: Request, watch_id: str) -> Response:
        view = await self._find(watch_id, caller_of(request.scope))
        if view is None:
            return no_watch().response()
        results = await results_of(self.parts.catalog, view)
        return Response(with_results(self._json(view), results, self._link(view)), media_type="application/json")

    async def cancel(self, request: Request, watch_id: str) -> Response:
        caller = caller_of(request.scope)
        if caller.limited and await self._find(watch_id, caller) is None:
            return no_watch().response()
        if not ID.fullmatch(watch_id) or not await self.parts.registrar.cancel(watch_id, by=caller.name):
            return no_watch().response()
        return Response(status_code=204)

    async def _find(self, watch_id: str, caller: Caller) -> WatchView | None:
        return await find_watch(self.parts.catalog, watch_id, caller)

    def _link(self, view: WatchView) -> MakeLink | None:
        links, now = self.parts.links(), self.parts.clock.now()
        return None if links is None else lambda n: links.to(view.watch.id, n, now)

    def _json(self, view: WatchView) -> bytes:
        """With what the poller knows by now, as a poll that changes nothing is not written to the store."""
        watch, parts = view.watch, self.parts
        interval = parts.usual_interval(watch.provider) if watch.interval is None else watch.interval
        task = parts.poller.task(view.task_key) if watch.state == "watching" else None
        polled = task is not None and task.end is None
        return watch_json(view, interval, task, parts.timetable.next_at(view.task_key) if polled else None)


async def find_watch(catalog: Catalog, watch_id: str, caller: Caller) -> WatchView | None:
    """What a caller may not see is not there for it."""
    view = await catalog.watch(watch_id) if ID.fullmatch(watch_id) else None
    return view if view is not None and caller.allows(view.watch.callback_url) else None


async def results_of(catalog: Catalog, view: WatchView) -> Results:
    """What a watch has to do with its task's results: nothing, unless it was told that the task completed."""
    return await catalog.results(view.task_key) if view.watch.state == "completed" else Results()


async def _unhurried(items: Sequence[T]) -> AsyncIterator[tuple[int, T]]:
    """Numbered, with a turn for others now and then: a thousand at one go would hold up polls."""
    for index, item in enumerate(items):
        if index % AT_ONE_GO == 0:
            await asyncio.sleep(0)
        yield index, item


def _read(item: Any, index: int, caller: Caller) -> NewWatch | tuple[Complaint, ...]:
    asked = read(NewWatch, item, "watches", index)
    if isinstance(asked, NewWatch) and not caller.allows(asked.callback_url):
        return (caller.complaint("watches", index, "callback_url"),)
    return asked


def _complaint(wrong: Invalid, *at: str | int) -> Complaint:
    inner = () if wrong.member is None else (wrong.member,)
    return Complaint(wrong.message, pointer(*at, wrong.field, *inner))


def _item_problem(wrong: Sequence[Complaint]) -> bytes:
    document: dict[str, Any] = {"status": 422, "error": invalid(wrong).document()}
    return encode(document)


def _busy() -> Problem:
    return unavailable("too many registrations wait for the store; nothing was registered, try again")


def no_watch() -> Problem:
    return not_found("there is no watch with this id; GET /v1/watches lists them")
