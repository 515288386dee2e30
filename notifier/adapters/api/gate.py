"""What is judged between the token and the route: does the path exist, does it take this method, are we stopping.

The framework's router would answer a wrong method with the methods of one route only, take `/v1/watches/batch` for a
watch named "batch", and know no HEAD.
"""

from collections.abc import Callable, Iterable

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier.adapters.api.problems import Problem, not_found, unavailable


class Gate:
    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], stopping: Callable[[], bool]) -> None:
        self._app = app
        self._stopping = stopping
        self._fixed: dict[str, set[str]] = {}
        self._patterned: list[APIRoute] = []
        for route in routes:
            if isinstance(route, APIRoute):
                self._add(route)

    def _add(self, route: APIRoute) -> None:
        if "{" in route.path:
            self._patterned.append(route)
        else:
            self._fixed.setdefault(route.path, set()).update(_methods(route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._judge(scope["path"], scope["method"])
        if problem is not None:
            await problem.response()(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET", "notifier.head": True}, receive, _without_body(send))
        else:
            await self._app(scope, receive, send)

    def _judge(self, path: str, method: str) -> Problem | None:
        allowed = self._allowed(path)
        if not allowed:
            return not_found("there is nothing at this path; GET /openapi.json lists what there is")
        if method not in allowed:
            names = ", ".join(sorted(allowed))
            return Problem(405, f"this path takes {names}", headers={"Allow": names})
        if path.startswith("/v1/") and self._stopping():
            return unavailable("the daemon is stopping; try again when it is back")
        return None

    def _allowed(self, path: str) -> set[str]:
        """A path that is spelled out comes before one with an id in it."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed
        return {name for route in self._patterned if route.path_regex.match(path) for name in _methods(route)}


def _methods(route: APIRoute) -> set[str]:
    names = set(route.methods or ())
    return names | {"HEAD"} if "GET" in names else names


def _without_body(send: Send) -> Send:
    async def send_headers(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_headers
