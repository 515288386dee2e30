"""Where a request ends, and how much of all requests together is kept while they come in."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notifier.adapters.api.problems import Problem

MOST_BYTES = 32 * 1024 * 1024
"""Of bodies that are being read or worked on, over all requests: eight of the largest batches."""


class OverloadedError(Exception):
    """So much is being read that this request has no room; nothing of it was done."""


class Framing:
    """Refuses what two servers could take for requests of different lengths, and counts bodies while they come in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _is_ambiguous(scope):
            await _ambiguous().response()(scope, receive, send)
            return
        mine = 0

        async def counted() -> Message:
            nonlocal mine
            message = await receive()
            size = len(message.get("body", b""))
            if self._held + size > MOST_BYTES:
                raise OverloadedError
            mine, self._held = mine + size, self._held + size
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= mine


def _is_ambiguous(scope: Scope) -> bool:
    """Both ways to say a length: a sign of request smuggling (RFC 9112, section 6.3)."""
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names and b"transfer-encoding" in names


def _ambiguous() -> Problem:
    detail = "the request has a Content-Length and a Transfer-Encoding; send one of them"
    return Problem(400, detail, headers={"Connection": "close"})
