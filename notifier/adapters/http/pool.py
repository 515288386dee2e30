"""Connections, kept alive between requests, and the way a request reaches one of them."""

import functools
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from notifier.adapters.http.guard import Resolver, dialler
from notifier.adapters.http.lookup import Lookup
from notifier.adapters.http.wire import MOST_BODY_BYTES, MOST_STRANGERS_BODY_BYTES, Bulk, HeadFirst
from notifier.domain.address import Network

MOST_FIELD_BYTES = 32 * 1024
"""Of one header. Receivers behind many proxies answer with long ones, and a 2xx counts all the same."""
MOST_HEADERS = 1000
READ_AHEAD_BYTES = 16 * 1024
"""Of a body, before its reader is asked to take them: bounds the memory, and how long parsing holds up the others."""
BULK_READ_AHEAD_BYTES = 256 * 1024
"""The same of a download: what one read of the socket brings at most. Less would stop the reading after each."""
_UNLIMITED = aiohttp.ClientTimeout()
"""The deadlines are the callers'."""


class Pool(httpx.AsyncBaseTransport):
    """An httpx transport over aiohttp's connections, for httpx's own pool looks at every connection for every request.
    All of them were dialled under the same rule (`allow`; None guards nothing).

    There is a session for each scheme, because the rule depends on the scheme and a socket factory sees only the
    address. How many connections there are is left to the callers, who limit what is in flight. `keepalive` None uses
    each once; `bulk` is for bodies of any length.
    """

    def __init__(
        self,
        *,
        allow: Sequence[Network] | None,
        lookup: Lookup,
        tls: ssl.SSLContext,
        keepalive: float | None,
        bulk: bool = False,
    ) -> None:
        self.allow = allow
        self.users = 0
        self._sessions = {
            scheme: aiohttp.ClientSession(
                connector=_Connector(scheme, allow, lookup, tls, keepalive, bulk=bulk),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=_UNLIMITED,
                auto_decompress=False,
                max_line_size=MOST_FIELD_BYTES,
                max_field_size=MOST_FIELD_BYTES,
                max_headers=MOST_HEADERS,
                read_bufsize=BULK_READ_AHEAD_BYTES if bulk else READ_AHEAD_BYTES,
            )
            for scheme in ("https", "http")
        }
        for session in self._sessions.values():
            # aiohttp would send a GET twice when a kept connection breaks: one poll more than was counted and paced.
            session._retry_connection = False  # noqa: SLF001 -- there is no public switch; a test holds it

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx asks of a transport, its extension `target` included: the path and query to ask for, as they are to
        be sent. What goes wrong is raised as aiohttp has it; `fault` explains it."""
        target: bytes = request.extensions.get("target", b"")
        fields = {name.decode("ascii"): value.decode("utf-8") for name, value in request.headers.raw}
        answer = await self.request(
            request.method, f"{request.url}{target.decode('ascii')}", headers=fields, data=request.read() or None
        )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request)

    def request(self, method: str, url: str, **options: Any) -> Any:
        """By aiohttp, once: no redirect is followed. yarl would normalise a text: `%2E%2E` to `..` and away."""
        target = URL(url, encoded=True)
        return self._sessions[target.scheme].request(method, target, allow_redirects=False, **options)

    async def aclose(self) -> None:
        for session in self._sessions.values():
            await session.close()


class _Body(httpx.AsyncByteStream):
    """An answer's body as it comes, in pieces of what has been read ahead at most."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._answer.content
        while piece := await content.readany():
            yield piece
            if content.at_eof():
                return

    async def aclose(self) -> None:
        self._answer.release()
        await self._answer.wait_for_close()


class _Connector(aiohttp.TCPConnector):
    """Connections for URLs of one scheme, spoken as `HeadFirst` does."""

    def __init__(
        self,
        scheme: str,
        allow: Sequence[Network] | None,
        lookup: Lookup,
        tls: ssl.SSLContext,
        keepalive: float | None,
        *,
        bulk: bool,
    ) -> None:
        super().__init__(
            resolver=Resolver(lookup, scheme, allow),
            use_dns_cache=False,
            socket_factory=None if allow is None else dialler(scheme, allow),
            ssl=tls,
            limit=0,
            **({"force_close": True} if keepalive is None else {"keepalive_timeout": keepalive}),
        )
        most = MOST_BODY_BYTES if allow is None else MOST_STRANGERS_BODY_BYTES
        protocol: Callable[..., ResponseHandler] = Bulk if bulk else functools.partial(HeadFirst, most_body_bytes=most)
        self._factory = functools.partial(protocol, loop=self._loop)


class Pools:
    """The current pool, and those that a change of the rule has retired but that are still in use.

    A kept connection was judged when it was dialled. After a change of the rule it must not be used again, so the
    pool is replaced, and closed when its last request is done.
    """

    def __init__(
        self,
        guard: Callable[[], Sequence[Network]] | None,
        *,
        lookup: Lookup,
        tls: ssl.SSLContext,
        keepalive: float | None,
        bulk: bool = False,
    ) -> None:
        self._guard = guard
        self._lookup = lookup
        self._tls = tls
        self._keepalive = keepalive
        self._bulk = bulk
        self._pools: list[Pool] = []
        self._closed = False

    def lease(self) -> "Lease":
        """The pool for a request that starts now: `async with pools.lease() as pool`."""
        return Lease(self)

    async def close(self) -> None:
        """Break off what is in flight and close every connection."""
        self._closed = True
        for pool in self._pools:
            await pool.aclose()

    def current(self) -> Pool:
        allow = None if self._guard is None else tuple(self._guard())
        if self._closed:
            raise RuntimeError("the HTTP client is closed")
        if not self._pools or self._pools[-1].allow != allow:
            pool = Pool(
                allow=allow, lookup=self._lookup, tls=self._tls, keepalive=self._keepalive, bulk=self._bulk
            )
            self._pools.append(pool)
        return self._pools[-1]

    async def sweep(self) -> None:
        """Close the retired pools that nobody uses any more."""
        if len(self._pools) > 1:
            for pool in [pool for pool in self._pools[:-1] if not pool.users]:
                self._pools.remove(pool)
                await pool.aclose()


class Lease:
    """Keeps a pool from being closed while a request uses it."""

    __slots__ = ("_pool", "_pools")

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._pool = pools.current()

    async def __aenter__(self) -> Pool:
        self._pool.users += 1
        await self._pools.sweep()
        return self._pool

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.users -= 1
        await self._pools.sweep()
