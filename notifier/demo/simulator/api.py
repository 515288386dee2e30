"""The simulator over HTTP: the videos API as documented, and `/simulator` to write its stories and read its record.

The clock comes in as a function, so that a test can make hours pass without waiting.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from notifier.demo.simulator.film import CONTENT_TYPE, film, part_of
from notifier.demo.simulator.orders import read_rule, read_story, read_video
from notifier.demo.simulator.step import Answer
from notifier.demo.simulator.story import FILES
from notifier.demo.simulator.studio import Studio

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Polled:
    """One poll as it was answered, for a line on the terminal. `at` is Unix seconds."""

    at: float
    task_id: str
    answer: Answer


def create_app(
    studio: Studio, clock: Clock, *, api_key: str | None = None, on_poll: Callable[[Polled], None] | None = None
) -> Starlette:
    """The ASGI application. Any key is taken unless `api_key` is given; having none never is."""
    desk = _Desk(studio, clock, api_key, on_poll or _ignore)
    app = Starlette(
        routes=[
            Route("/v1/videos", desk.create, methods=["POST"]),
            # An id may hold an encoded slash, and servers decode the path before it is matched.
            Route("/v1/result/{task_id:path}", desk.poll, methods=["GET"]),
            Route(f"{FILES}{{task_id:path}}.mp4", desk.file, methods=["GET"]),
            Route("/simulator/tasks/{task_id:path}", desk.script, methods=["PUT"]),
            Route("/simulator/tasks/{task_id:path}", desk.task, methods=["GET"]),
            Route("/simulator/misbehave", desk.misbehave, methods=["PUT"]),
            Route("/simulator/stats", desk.stats, methods=["GET"]),
        ]
    )
    app.router.redirect_slashes = False  # the real API does not redirect, and a redirect would count as trouble
    return app


@dataclass(frozen=True, slots=True)
class _Desk:
    studio: Studio
    clock: Clock
    api_key: str | None
    on_poll: Callable[[Polled], None]

    async def poll(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            self.studio.refused()
            return refusal
        task_id, at = request.path_params["task_id"], self.clock()
        if not task_id:
            return _problem(404, "no task id in the path")
        answer = self.studio.poll(task_id, at, origin=_origin(request))
        self.on_poll(Polled(at, task_id, answer))
        if answer.delay and await _hung_up(request, answer.delay):
            return Response()
        if answer.ends:
            self.studio.end_told(task_id, at)
        return _response(answer)

    async def create(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        order = read_video(await request.body())
        if isinstance(order, str):
            return _problem(400, order)
        return JSONResponse(self.studio.create(order.model, self.clock(), origin=_origin(request)))

    async def script(self, request: Request) -> Response:
        task_id, order = request.path_params["task_id"], read_story(await request.body())
        if not task_id:
            return _problem(404, "no task id in the path")
        if isinstance(order, str):
            return _problem(422, order)
        return JSONResponse(
            self.studio.script(task_id, order.changes(), self.clock(), origin=_origin(request))
        )

    async def file(self, request: Request) -> Response:
        """Of every task, at once and without a key, as such URLs are served."""
        headers, content = request.headers, film(request.path_params["task_id"])
        part = part_of(content, headers.get("range"), headers.get("if-range"))
        return Response(part.body, part.status, part.headers, CONTENT_TYPE)

    async def task(self, request: Request) -> Response:
        known = self.studio.task(request.path_params["task_id"], self.clock())
        return _problem(404, "never asked for") if known is None else JSONResponse(known)

    async def misbehave(self, request: Request) -> Response:
        rule = read_rule(await request.body())
        if isinstance(rule, str):
            return _problem(422, rule)
        self.studio.misbehave(rule, self.clock())
        return Response(status_code=204)

    async def stats(self, _: Request) -> Response:
        return JSONResponse(self.studio.stats())

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        given = key.strip().encode()
        if scheme.lower() != "bearer" or not given:
            return _problem(401, "send the header Authorization: Bearer KEY")
        if self.api_key is not None and not hmac.compare_digest(given, self.api_key.encode()):
            return _problem(401, "this key is not the simulator's --api-key")
        return None


def _origin(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _response(answer: Answer) -> Response:
    if answer.drip:
        return StreamingResponse(_dripping(answer), answer.http_status, answer.headers)
    return Response(answer.body, answer.http_status, answer.headers)


async def _dripping(answer: Answer) -> AsyncIterator[bytes]:
    for index in range(len(answer.body)):
        yield answer.body[index : index + 1]
        await asyncio.sleep(answer.drip)


async def _hung_up(request: Request, seconds: float) -> bool:
    """Wait; true, and at once, when the client (or our own server, stopping) has closed the connection."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _problem(status: int, message: str) -> Response:
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": {"code": str(status), "message": message}}, status, headers)


def _ignore(_: Polled) -> None:
    pass
