"""Serves the demo's own applications on a port that is picked when it does not matter."""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.types import ASGIApp

from notifier.adapters import serving

_GRACE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Server:
    """Where an application is being served; `port` is the real one also when 0 was asked for."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """`http://host:port`, with brackets round an IPv6 address."""
        return f"http://{_in_url(self.host)}:{self.port}"

    @property
    def callable_url(self) -> str:
        """The same with a loopback address in the place of a wildcard, which can be listened on but not called."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return Server(host, self.port).url


@contextlib.asynccontextmanager
async def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
    """Serve `app` for as long as the block runs; OSError when the address cannot be bound."""
    listener = socket.create_server((host, port), family=_family(host))
    async with serving.serve(app, listener, grace=_GRACE_SECONDS, abort=True):
        yield Server(host, listener.getsockname()[1])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
