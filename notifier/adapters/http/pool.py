"""Connections, kept alive between requests, and the way a request reaches one of them."""

import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from httpx_aiohttp import AiohttpTransport
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
BULK_READ_AHEAD_BYTES = 64 * 1024
"""The same of a download. More is not faster, and takes more memory."""


class Pool(AiohttpTransport):
    """Connections that were all dialled under the same rule (`allow`; None guards nothing).

    There is a session for each scheme, because the rule depends on the scheme and a socket factory sees only the
    address. How many connections there are is left to the callers, who limit what is in flight. `bulk` is for bodies
    of any length.
    """

    def __init__(
        self,
        *,
        allow: Sequence[Network] | None,
        lookup: Lookup,
        tls: ssl.SSLContext,
        keepalive: float,
        bulk: bool = False,
    ) -> None:
        super().__init__(verify=tls)
        self.allow = allow
        self.users = 0
        self._sessions = {
            scheme: aiohttp.ClientSession(
                connector=_Connector(scheme, allow, lookup, tls, keepalive, bulk=bulk),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
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

    def get_client(self) -> aiohttp.ClientSession:
        """The transport asks here at each request, and needs no more of a session than `request`. The inherited
        answer would be a session of its own making, without the guard."""
        return cast("aiohttp.ClientSession", self)

    def request(self, method: str, url: str, **options: Any) -> Any:
        """What the transport calls. It hands over text, which yarl would normalise: `%2E%2E` to `..` and away."""
        target = URL(url, encoded=True)
        return self._sessions[target.scheme].request(method, target, **options)

    async def aclose(self) -> None:
        for session in self._sessions.values():
            await session.close()


class _Connector(aiohttp.TCPConnector):
    """Connections for URLs of one scheme, spoken as `HeadFirst` does."""

    def __init__(
        self,
        scheme: str,
        allow: Sequence[Network] | None,
        lookup: Lookup,
        tls: ssl.SSLContext,
        keepalive: float,
        *,
        bulk: bool,
    ) -> None:
        super().__init__(
            resolver=Resolver(lookup, scheme, allow),
            use_dns_cache=False,
            socket_factory=None if allow is None else dialler(scheme, allow),
            ssl=tls,
            limit=0,
            keepalive_timeout=keepalive,
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
        keepalive: float,
        bulk: bool = False,
    ) -> None:
        self._guard = guard
        self._lookup = lookup
        self._tls = tls
        self._keepalive = keepalive
        self._bulk = bulk
        self._pools: list[Pool] = []
        self._closed = False

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[Pool]:
        """The pool for a request that starts now, to be used within the block."""
        pool = self._current()
        pool.users += 1
        try:
            await self._sweep()
            yield pool
        finally:
            pool.users -= 1
            await self._sweep()

    async def close(self) -> None:
        """Break off what is in flight and close every connection."""
        self._closed = True
        for pool in self._pools:
            await pool.aclose()

    def _current(self) -> Pool:
        allow = None if self._guard is None else tuple(self._guard())
        if self._closed:
            raise RuntimeError("the HTTP client is closed")
        if not self._pools or self._pools[-1].allow != allow:
            pool = Pool(
                allow=allow, lookup=self._lookup, tls=self._tls, keepalive=self._keepalive, bulk=self._bulk
            )
            self._pools.append(pool)
        return self._pools[-1]

    async def _sweep(self) -> None:
        """Close the retired pools that nobody uses any more."""
        for pool in [pool for pool in self._pools[:-1] if not pool.users]:
            self._pools.remove(pool)
            await pool.aclose()
