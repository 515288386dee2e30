"""A receiver of webhooks, as its owner would write it: verify, then believe. It can be down on order."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from notifier.domain.signature import TOLERANCE, Valid, Verdict, VerifyingKey, verify


@dataclass(frozen=True, slots=True)
class Conduct:
    """How one path answers: 503 to its first `down_for` requests, then `status` to every message that verifies."""

    down_for: int = 0
    status: int = 204


@dataclass(frozen=True, slots=True)
class Received:
    """One request and what became of it. `at` is Unix seconds; header names are in lower case."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes
    verdict: Verdict
    status: int

    @property
    def event_id(self) -> str:
        return self.headers.get("webhook-id", "")

    @property
    def accepted(self) -> bool:
        """True for a 2xx, which only a message that verified ever gets."""
        return 200 <= self.status < 300

    @property
    def event(self) -> dict[str, Any] | None:
        """The body as the JSON object that it should be; None when it is none."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return None
        return told if isinstance(told, dict) else None


class Receiver:
    """The ASGI application. Every path takes webhooks by POST; one that does not verify gets a 401.

    `conduct` holds the paths that shall not simply accept; `clock` gives Unix seconds; `on_event` hears of each
    request before it is answered.
    """

    def __init__(
        self,
        keys: Sequence[VerifyingKey],
        clock: Callable[[], float],
        *,
        conduct: Mapping[str, Conduct] | None = None,
        on_event: Callable[[Received], None] | None = None,
        tolerance: int = TOLERANCE,
    ) -> None:
        self.received: list[Received] = []
        self._keys = keys
        self._clock = clock
        self._conduct = dict(conduct or {})
        self._on_event = on_event
        self._tolerance = tolerance
        self._seen: dict[str, int] = {}
        self._app = Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def behave(self, path: str, conduct: Conduct) -> None:
        """Let a path behave differently from now on; its count of requests starts afresh."""
        self._conduct[path] = conduct
        self._seen[path] = 0

    async def _take(self, request: Request) -> Response:
        body, headers, now = await request.body(), dict(request.headers), self._clock()
        verdict = self._verdict(headers, body, now)
        status = self._status(request.url.path, verdict)
        self._note(Received(now, request.url.path, headers, body, verdict, status))
        return Response(status_code=status)

    def _verdict(self, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        event_id, timestamp, signature = (headers.get(name, "") for name in names)
        return verify(
            self._keys, event_id, timestamp, signature, body, now=int(now), tolerance=self._tolerance
        )

    def _status(self, path: str, verdict: Verdict) -> int:
        conduct, seen = self._conduct.get(path, Conduct()), self._seen.get(path, 0)
        self._seen[path] = seen + 1
        if seen < conduct.down_for:
            return 503
        return conduct.status if isinstance(verdict, Valid) else 401

    def _note(self, received: Received) -> None:
        self.received.append(received)
        if self._on_event is not None:
            self._on_event(received)
