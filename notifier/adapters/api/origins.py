"""An Origin check against other pages' requests: a browser sends a POST without a body to loopback for any page that
asks it to, and asks nobody before. It does say where that page is from."""

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from notifier.adapters.api.caller import Caller
from notifier.adapters.api.problems import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""They change nothing (RFC 9110, section 9.2.1), and other pages cannot read what they answer."""


class Origins:
    """Refuses (403) what would change something on behalf of another site's page, while no tokens are configured: with
    them, such a page would have to know one."""

    def __init__(self, app: ASGIApp, tokens: Callable[[], Mapping[Caller, str]]) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if changes and not self._tokens() and _is_foreign(scope):
            await _foreign().response()(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    """Without either header no browser asks: they send Origin with every such request (Fetch Standard, "append a
    request Origin header"), and Sec-Fetch-Site to loopback (Fetch Metadata)."""
    hosts = _values(scope, b"host")
    origins = [origin.partition("://")[2] for origin in _values(scope, b"origin")]  # "null" names no host
    sites = _values(scope, b"sec-fetch-site")
    return any(origin not in hosts for origin in origins) or not {"cross-site", "same-site"}.isdisjoint(sites)


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1").strip().lower() for name, value in scope["headers"] if name == wanted]


def _foreign() -> Problem:
    advice = "ask without a browser, or configure intake.tokens and send one"
    return Problem(403, f"another site's page may change nothing here; {advice}")
