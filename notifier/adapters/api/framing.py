"""Where a request ends, and how much of all requests together is kept while they come in."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier.adapters.api.body import USUAL_LIMIT
from notifier.adapters.api.problems import Problem

MOST_BYTES = 32 * 1024 * 1024
"""Of bodies that are being read or worked on, over all requests, beyond the beginning of each: eight of the largest
batches."""
BEGINNING = USUAL_LIMIT
"""All that a call other than a batch may send: it has room of its own, so that stalled batches refuse only batches."""
MOST_BEGINNINGS = 32 * 1024 * 1024
"""Bytes of beginnings, over all requests: 128 full ones."""


class OverloadedError(Exception):
    """So much is being read that this request has no room; nothing of it was done."""


@dataclass(slots=True)
class _Held:
    """Bytes of bodies that are held: of their beginnings, and of what comes after those."""

    beginnings: int = 0
    rests: int = 0

    def fits(self, beginning: int, rest: int) -> bool:
        return self.beginnings + beginning <= MOST_BEGINNINGS and (not rest or self.rests + rest <= MOST_BYTES)

    def add(self, beginning: int, rest: int) -> None:
        self.beginnings, self.rests = self.beginnings + beginning, self.rests + rest


class Framing:
    """Refuses what two servers could take for requests of different lengths, and counts bodies while they come in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._held = _Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _is_ambiguous(scope):
            await _ambiguous().response()(scope, receive, send)
            return
        mine = _Held()

        async def counted() -> Message:
            message = await receive()
            size = len(message.get("body", b""))
            beginning = min(size, BEGINNING - mine.beginnings)
            if not self._held.fits(beginning, size - beginning):
                raise OverloadedError
            for held in (mine, self._held):
                held.add(beginning, size - beginning)
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held.add(-mine.beginnings, -mine.rests)


def _is_ambiguous(scope: Scope) -> bool:
    """Both ways to say a length: a sign of request smuggling (RFC 9112, section 6.3)."""
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names and b"transfer-encoding" in names


def _ambiguous() -> Problem:
    detail = "the request has a Content-Length and a Transfer-Encoding; send one of them"
    return Problem(400, detail, headers={"Connection": "close"})
