"""Where the guard's rules meet the network: every name that is looked up, and every address that is dialled.

Two hooks of the connection pool, because each sees what the other does not: the resolver sees all addresses of a
name and refuses the host when one of them is bad; the socket factory sees literal addresses too, and is the last to
know where a connection really goes.
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from notifier.adapters.http.lookup import Lookup
from notifier.domain.address import Network, Refusal, judge

MOST_ADDRESSES = 64
"""Of one name. Each is judged while nothing else runs, and an answer of the DNS has room for thousands."""
MOST_DIALLED = 4
"""For one connection: they are dialled side by side, each with a file descriptor of its own, when none answers."""


class RefusedError(OSError):
    """Carries a refusal through the connection pool, which lets only an OSError pass unchanged."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def judge_host(host: str, addresses: Sequence[str], *, scheme: str, allow: Sequence[Network]) -> Refusal | None:
    """Refuse a name as a whole when any of its addresses is refused: which one would be dialled is chance."""
    if len(addresses) > MOST_ADDRESSES:
        count = f"the name has {len(addresses)} addresses; at most {MOST_ADDRESSES} are taken"
        return Refusal("addresses", f"{host}: {count}")
    for address in addresses:
        refusal = judge(ip_address(address), scheme=scheme, allow=allow)
        if refusal is not None:
            return Refusal(refusal.rule, f"{host}: {refusal.message}")
    return None


class Resolver(AbstractResolver):
    """The pool's resolver for URLs of one scheme; `allow` None guards nothing."""

    def __init__(self, lookup: Lookup, scheme: str, allow: Sequence[Network] | None) -> None:
        self._lookup = lookup
        self._scheme = scheme
        self._allow = allow

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._lookup.addresses(host)
        if self._allow is not None:
            refusal = judge_host(host, addresses, scheme=self._scheme, allow=self._allow)
            if refusal is not None:
                raise RefusedError(refusal)
        return [_result(host, address, port) for address in _few(addresses)]

    async def close(self) -> None:
        """Nothing to close: look-ups end by themselves and are shared."""


def _few(addresses: Sequence[str]) -> list[str]:
    """At most MOST_DIALLED, the first ones, of both families where there are both: one of them may lead nowhere."""
    families = [[a for a in addresses if (":" in a) == v6] for v6 in (True, False)]
    room = MOST_DIALLED // 2 if all(families) else MOST_DIALLED
    chosen = {address for family in families for address in family[:room]}
    return [address for address in addresses if address in chosen]


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)


def dialler(scheme: str, allow: Sequence[Network]) -> Callable[[AddrInfoType], socket.socket]:
    """A socket factory that makes sockets only for addresses that may be called."""

    def dial(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        refusal = judge(ip_address(address[0]), scheme=scheme, allow=allow)
        if refusal is not None:
            raise RefusedError(refusal)
        return socket.socket(family, kind, protocol)

    return dial
