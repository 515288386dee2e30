"""GET and POST with one deadline, a cap and the address guard."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import httpx

from notifier import __version__
from notifier.adapters.http.fault import Fault, explain
from notifier.adapters.http.guard import judge_host
from notifier.adapters.http.lookup import CrowdedError, Lookup, Resolve, system_addresses
from notifier.adapters.http.pool import Pools
from notifier.adapters.http.reply import Incoming, Reply
from notifier.adapters.http.target import divided
from notifier.adapters.http.tls import trust
from notifier.domain.address import Network, Refusal, Target, examine
from notifier.ports import GuardBusyError

_USER_AGENT = f"notifier/{__version__}".encode("ascii")
CHECK_SECONDS = 5.0
"""How long a check may wait for a name's addresses: somebody at the intake waits for it."""


class Http:
    """A client for many requests at once.

    `guard` gives the networks that may be called beside the public ones; it is asked at each request, so that a change
    holds from the next one on, kept connections included. None guards nothing: for hosts that the operator chose.
    `keepalive` is for how many seconds an idle connection is kept. For POSTs it should be shorter than what receivers
    do (5 s is common): a POST on a connection that the other side is closing fails, and is not repeated here.
    """

    def __init__(
        self,
        *,
        guard: Callable[[], Sequence[Network]] | None,
        keepalive: float,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = system_addresses,
    ) -> None:
        self._guard = guard
        self._lookup = Lookup(resolve)
        # Of their own: names that hang, which anybody may register, take no slot from deliveries.
        self._checks = Lookup(resolve)
        self._pools = Pools(guard, lookup=self._lookup, tls=tls or trust(), keepalive=keepalive)

    async def get(self, url: str, *, headers: Mapping[str, str], timeout: float, cap: int) -> Reply | Fault:  # noqa: ASYNC109  # one deadline for all
        """GET within `timeout` seconds, body included; at most `cap` bytes of that are read."""
        return await self._ask("GET", url, headers, None, timeout=timeout, cap=cap, grace=None)

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109  # one deadline for all
        cap: int,
        grace: float | None,
    ) -> Reply | Fault:
        """POST within `timeout` seconds. With a `grace` the status alone counts: once the headers are in, the rest of
        the answer has so many seconds (within the deadline), and whatever becomes of it changes nothing."""
        return await self._ask("POST", url, headers, body, timeout=timeout, cap=cap, grace=grace)

    async def check(self, url: str, timeout: float = CHECK_SECONDS) -> Refusal | None:  # noqa: ASYNC109  # of the look-up
        """Whether `url` may be called as far as can be known without calling it. A name that does not resolve within
        `timeout` seconds is refused too: a callback URL that cannot be called now is most likely misspelt.
        GuardBusyError when look-ups of other names leave no room for this one."""
        if self._guard is None:
            return None
        allow = tuple(self._guard())
        target = _examined(url, allow)
        if isinstance(target, Refusal):
            return target
        return None if target.literal is not None else await self._check_name(target, allow, timeout)

    async def aclose(self) -> None:
        """Close every connection; requests in flight end with a Fault."""
        await self._pools.close()

    async def _check_name(self, target: Target, allow: Sequence[Network], seconds: float) -> Refusal | None:
        try:
            async with asyncio.timeout(seconds):
                addresses = await self._checks.addresses(target.host)
        except TimeoutError:
            return Refusal("unresolvable", f"{target.host}: the look-up of the name took more than {seconds:g} s")
        except CrowdedError as error:
            raise GuardBusyError(error.strerror) from None
        except OSError as error:
            reason = error.strerror or "no reason given"
            return Refusal("unresolvable", f"{target.host}: the name cannot be looked up: {reason}")
        return judge_host(target.host, addresses, scheme=target.scheme, allow=allow)

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout: float,  # noqa: ASYNC109  # one deadline for all
        cap: int,
        grace: float | None,
    ) -> Reply | Fault:
        """`grace` None: the answer counts only with its whole body."""
        clock = asyncio.get_running_loop().time
        start = clock()
        where, incoming = "the request", None
        try:
            async with asyncio.timeout(timeout) as deadline:
                if isinstance(refusal := self._examine(url), Refusal):
                    return Fault("refused", refusal.message)
                request = _request(method, url, headers, body)
                where = request.url.netloc.decode("ascii")
                async with self._pools.lease() as pool:
                    incoming = Incoming(await pool.handle_async_request(request))
                    if grace is not None:
                        deadline.reschedule(min(clock() + grace, start + timeout))
                    await incoming.read(cap)
        except Exception as error:  # noqa: BLE001  # whatever the libraries make of a hostile answer is data here
            if incoming is None or grace is None:
                return _fault(error, where, deadline, timeout)
        return incoming.reply(clock() - start)

    def _examine(self, url: str) -> Target | Refusal | None:
        return None if self._guard is None else _examined(url, tuple(self._guard()))


@lru_cache(maxsize=4096)
def _examined(url: str, allow: tuple[Network, ...]) -> Target | Refusal:
    """The same few URLs are called again and again. Where a name leads is judged anew whenever it is dialled."""
    return examine(url, allow)


def _fault(error: Exception, where: str, deadline: asyncio.Timeout, seconds: float) -> Fault:
    if deadline.expired():
        return Fault("timeout", f"{where}: no complete answer within {seconds:g} s")
    return explain(error, where)


@lru_cache(maxsize=256)
def _field_name(name: str) -> bytes:
    return name.lower().encode("ascii")


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> httpx.Request:
    """Headers as bytes, because httpx takes text for ASCII. The body as a stream, for httpx would make up headers for
    one: `host` among them, for which it decodes the name of the host, which some names that exist do not survive."""
    start, target = divided(url)
    fields = {_field_name(name): value.encode("utf-8") for name, value in headers.items()}
    fields.setdefault(b"user-agent", _USER_AGENT)
    fields[b"accept-encoding"] = b"identity"
    fields.pop(b"host", None)  # it is the URL's
    return httpx.Request(
        method, start, headers=list(fields.items()), stream=httpx.ByteStream(body or b""), extensions={"target": target}
    )
