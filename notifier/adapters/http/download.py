"""GETs whose bodies may have any length: read as they come, redirects followed, credentials kept at home."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

import aiohttp
import httpx

from notifier import __version__
from notifier.adapters.http.fault import Fault, explain
from notifier.adapters.http.lookup import Lookup, Resolve, system_addresses
from notifier.adapters.http.pool import Pool, Pools
from notifier.adapters.http.query import with_query
from notifier.adapters.http.tls import trust as system_trust
from notifier.domain.address import Network, Refusal, Target, examine

MOST_REDIRECTS = 5
LONGEST_FILE_URL = 64 * 1024
"""Signed URLs are long: the token of a temporary role alone may have 2 KiB."""
STALL_SECONDS = 30.0
"""Without a byte, or without a connection."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(frozen=True, slots=True)
class Home:
    """A provider's own origins, as `origin` writes them: chosen by the operator, so they are called wherever they are,
    with `headers` and parameters of the `query`, which hold credentials and go nowhere else."""

    origins: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def signed(self, url: str) -> str:
        """A URL of these origins as it is asked for."""
        return with_query(url, self.query)


NOWHERE = Home()


def origin(url: str) -> str:
    """Scheme, host and port of a URL in one spelling; ValueError when it is none that could be called."""
    match examine(url, _EVERYWHERE, longest=LONGEST_FILE_URL):
        case Refusal(message=message):
            raise ValueError(message)
        case Target(scheme=scheme, host=host, port=port, literal=literal):
            return f"{scheme}://{literal or host}:{port}"


class FlowError(Exception):
    """A body broke off, or does not come."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Flow:
    """An answer whose headers are in. `where` is its host, for messages."""

    def __init__(self, response: aiohttp.ClientResponse, where: str, stall: float) -> None:
        self._response = response
        self._stall = stall
        self.where = where

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""
        return self._response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it came, nothing inflated; FlowError when it does not come whole. What is not taken is not read
        from the network either."""
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # A read of aiohttp raises what happened before it gives what had come until then.
            if rest := content._read_nowait(-1):  # noqa: SLF001 -- there is no public way to it; a test holds it
                yield rest
            raise FlowError(_fault(error, self.where, self._stall)) from None


class Downloads:
    """A client for few, long GETs, each over a connection of its own: a kept one may be closing on the other side, and
    nothing here is worth that risk. `guard` is the sender's: the networks that may be called beside the public ones."""

    def __init__(
        self,
        *,
        guard: Callable[[], Sequence[Network]],
        stall: float = STALL_SECONDS,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = system_addresses,
    ) -> None:
        self._guard = guard
        self._stall = stall
        lookup, tls = Lookup(resolve), tls or system_trust()
        self._guarded = Pools(guard, lookup=lookup, tls=tls, keepalive=None, bulk=True)
        self._chosen = Pools(None, lookup=lookup, tls=tls, keepalive=None, bulk=True)

    @contextlib.asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str], home: Home) -> AsyncIterator[Flow | Fault]:
        """The answer at the end of at most MOST_REDIRECTS redirects. Each hop is judged like a first one. Whoever
        leaves the provider's origins is a stranger from then on, also on the way back."""
        at_home, host = True, ""
        for _ in range(1 + MOST_REDIRECTS):
            target = examine(url, _EVERYWHERE, longest=LONGEST_FILE_URL)
            if isinstance(target, Refusal):
                yield Fault("refused", target.message)
                return
            host = target.host
            at_home = at_home and origin(url) in home.origins
            asked, sent = (home.signed(url), {**home.headers, **headers}) if at_home else (url, headers)
            async with self._open(asked, sent, at_home=at_home) as flow:
                further = None if isinstance(flow, Fault) else _further(url, flow)
                if further is None:
                    yield flow
                    return
                url = further
        yield Fault("protocol", f"{host}: more than {MOST_REDIRECTS} redirects")

    async def aclose(self) -> None:
        """Break off what is in flight and close every connection."""
        await self._guarded.close()
        await self._chosen.close()

    @contextlib.asynccontextmanager
    async def _open(self, url: str, headers: Mapping[str, str], *, at_home: bool) -> AsyncIterator[Flow | Fault]:
        if not at_home and isinstance(refusal := self._examine(url), Refusal):
            yield Fault("refused", refusal.message)
            return
        target = _encoded(url)
        if target is None:
            yield Fault("refused", "this URL cannot be sent: it is too long, or its host is no name")
            return
        where = target.netloc.decode("ascii")
        async with (self._chosen if at_home else self._guarded).lease() as pool:
            answer = await self._ask(pool, str(target), headers, where)
            if isinstance(answer, Fault):
                yield answer
                return
            try:
                yield Flow(answer, where, self._stall)
            finally:
                answer.close()

    async def _ask(
        self, pool: Pool, url: str, headers: Mapping[str, str], where: str
    ) -> aiohttp.ClientResponse | Fault:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._stall, sock_read=self._stall)
        try:
            response: aiohttp.ClientResponse = await pool.request("GET", url, headers=_fields(headers), timeout=timeout)
        except Exception as error:  # noqa: BLE001  # whatever the library makes of a hostile answer is data here
            return _fault(error, where, self._stall)
        return response

    def _examine(self, url: str) -> Target | Refusal:
        return examine(url, tuple(self._guard()), longest=LONGEST_FILE_URL)


def _encoded(url: str) -> httpx.URL | None:
    """As it is sent; None when it cannot be. Percent-encoding makes some URLs longer than the library takes, and a
    host can be one of those that only look internationalised (`xn--` and nonsense)."""
    try:
        return httpx.URL(url).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError):
        return None


def _further(url: str, flow: Flow) -> str | None:
    """Where the answer redirects to; None if it does not."""
    location = flow.headers.get("location")
    if flow.status not in _REDIRECTS or location is None:
        return None
    try:
        return str(httpx.URL(url).join(location))
    except (httpx.InvalidURL, ValueError):
        return location  # refused as it stands, with the reason


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    """Nothing compressed is asked for: a range of it, its length and its hash would be of something else."""
    return {"user-agent": f"notifier/{__version__}", "accept": "*/*", **headers, "accept-encoding": "identity"}


def _fault(error: Exception, where: str, stall: float) -> Fault:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return Fault("timeout", f"{where}: no connection within {stall:g} s")
        case aiohttp.SocketTimeoutError():
            return Fault("timeout", f"{where}: nothing came for {stall:g} s")
        case _:
            return explain(error, where)
