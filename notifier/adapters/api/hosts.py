"""A Host check against DNS rebinding: a web page can point a name of its own at 127.0.0.1, and then its visitors'
browsers take the intake for a part of that page. The Host header still says that name."""

import re
from collections.abc import Callable, Collection
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from notifier.adapters.api.problems import Problem

_HOST = re.compile(r"(\[(?P<literal>[^\]]*)\]|(?P<name>[^:\[\]]*))(:[0-9]*)?")

PROBES = frozenset({"/healthz", "/readyz"})
"""They tell a page nothing that is worth a name of its own, and whatever watches the process may ask by any name."""


class Hosts:
    """Refuses (421) what asks for another host; `names` are those allowed beside this machine's own, None all."""

    def __init__(self, app: ASGIApp, names: Callable[[], Collection[str] | None]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES and (names := self._names()) is not None:
            asked = [value for name, value in scope["headers"] if name == b"host"]
            if not all(_is_known(value.decode("latin-1"), names) for value in asked):
                await _misdirected().response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_known(host: str, names: Collection[str]) -> bool:
    """An address cannot be rebound, and no page owns localhost (RFC 6761, section 6.3). Without a name, as HTTP/1.0
    may ask, no browser is at work."""
    found = _HOST.fullmatch(host.strip().lower())
    if found is None:
        return False
    if found["literal"] is not None:
        return _is_address(found["literal"])
    name = found["name"].removesuffix(".")
    local = name in ("", "localhost") or name.endswith(".localhost")
    return local or name in names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _misdirected() -> Problem:
    advice = "use its address or localhost, or list the name under intake.hosts"
    return Problem(421, f"this intake does not answer for the host in the Host header; {advice}")
