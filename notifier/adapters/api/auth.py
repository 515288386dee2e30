"""Bearer tokens: who may call, and how often somebody may be wrong about it."""

import hashlib
import hmac
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from notifier.adapters.api.caller import Caller
from notifier.adapters.api.problems import Problem

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/.well-known/webhook-keys"})
"""What needs no token: probes have none, and public keys are public."""

FAILURES_AT_ONCE = 50.0
SECONDS_PER_FAILURE = 1.0
MOST_CLIENTS = 10_000


class FailedAttempts:
    """How many failed authentications each client still has: `FAILURES_AT_ONCE`, and one more each
    `SECONDS_PER_FAILURE`. The clients seen longest ago are forgotten when there are too many."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def count(self, client: str) -> float | None:
        """Count one failure. None: it was within bounds; else the seconds until the next one is."""
        now = self._monotonic()
        left, at = self._clients.pop(client, (FAILURES_AT_ONCE, now))
        left = min(left + max(now - at, 0.0) / SECONDS_PER_FAILURE, FAILURES_AT_ONCE)
        self._clients[client] = (max(left - 1.0, 0.0) if left >= 1.0 else left, now)
        if len(self._clients) > MOST_CLIENTS:
            self._clients.popitem(last=False)
        return None if left >= 1.0 else (1.0 - left) * SECONDS_PER_FAILURE


class Auth:
    """Lets a request through when its path is open, when no tokens are configured, or when its token is one of them.

    A right token always passes; only failures are counted. `scope["notifier.caller"]` is the `Caller` then; who has one
    already came with a signed link.
    """

    def __init__(self, app: ASGIApp, tokens: Callable[[], Mapping[Caller, str]], failures: FailedAttempts) -> None:
        self._app = app
        self._tokens = tokens
        self._failures = failures
        self._known: Mapping[Caller, str] = {}
        self._digests: Sequence[tuple[Caller, bytes]] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        known = "notifier.caller" in scope
        if scope["type"] != "http" or known or scope["path"] in OPEN_PATHS or not (tokens := self._tokens()):
            await self._app(scope, receive, send)
            return
        given = _bearer(scope)
        caller = None if given is None else self._owner(given, tokens)
        if caller is None:
            await self._refuse(scope, given is None).response()(scope, receive, send)
            return
        scope["notifier.caller"] = caller
        await self._app(scope, receive, send)

    def _owner(self, given: bytes, tokens: Mapping[Caller, str]) -> Caller | None:
        """Whose token this is. Every token is compared, as digests, so that the time tells neither which nor how
        long. The first one counts."""
        if tokens is not self._known:
            self._known = tokens
            self._digests = [(caller, _digest(token.encode())) for caller, token in tokens.items()]
        digest, found = _digest(given), None
        for caller, known in self._digests:
            same = hmac.compare_digest(digest, known)
            found = caller if same and found is None else found
        return found

    def _refuse(self, scope: Scope, missing: bool) -> Problem:
        if (problem := too_often(self._failures, scope)) is not None:
            return problem
        what = "this call needs a token" if missing else "this token is not known here"
        return Problem(
            401,
            f"{what}; send the header Authorization: Bearer TOKEN with one of the tokens under intake.tokens",
            headers={"WWW-Authenticate": "Bearer"},
        )


def too_often(failures: FailedAttempts, scope: Scope) -> Problem | None:
    """Count a failed authentication; a refusal (429) when there were too many."""
    wait = failures.count(client_of(scope))
    if wait is None:
        return None
    seconds = str(math.ceil(wait))
    return Problem(429, f"too many failed authentications; try again in {seconds} s", headers={"Retry-After": seconds})


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _bearer(scope: Scope) -> bytes | None:
    """The credentials of RFC 6750, section 2.1, as bytes, for a header need not be text."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            return token.strip() if scheme.lower() == b"bearer" and token.strip() else None
    return None


def client_of(scope: Scope) -> str:
    """Whom failures are counted against: an IPv4 address, an IPv6 /64 (one customer has at least that many
    addresses), or everybody on a unix socket together."""
    client = scope.get("client")
    if not client:
        return "unix"
    try:
        address = ip_address(client[0])
    except ValueError:
        return "unix"
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
