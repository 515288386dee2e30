"""How a provider is told who asks. What is sent is kept apart from the request, so that it goes nowhere else."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from notifier.ports import Clock

COMMAND_SECONDS = 10.0
"""A command that prints a token gets this long."""
MOST_OUTPUT_BYTES = 64 * 1024
FAILED_SECONDS = 10.0
"""After a failure, the command is not run again for so long: many tasks ask for the same token."""
NOT_BEFORE_SECONDS = 5
"""A token counts from a little before it was made, as clocks differ."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes along with a request: header fields, parameters of the query string, and members of a POST's JSON
    object."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: Mapping[str, str] = field(default_factory=dict, repr=False)

    def texts(self) -> Iterator[str]:
        """Every text that must not be shown, with its scheme and without."""
        for value in (*self.headers.values(), *(value for _, value in self.query), *self.body.values()):
            yield value
            yield value.rpartition(" ")[2]


@dataclass(frozen=True, slots=True)
class Unready:
    """There are no credentials to send now; `message` says why and what to do."""

    message: str


class Credentials(Protocol):
    async def now(self) -> Sent | Unready:
        """What to send with a request that starts now; never raises for what a command does."""
        ...

    def refused(self) -> None:
        """The provider did not accept them (401)."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same for every request; nothing at all for an API without credentials."""

    sent: Sent = Sent()

    async def now(self) -> Sent:
        return self.sent

    def refused(self) -> None:
        """Nothing to do better the next time."""


def bearer(token: str) -> Sent:
    return Sent(headers={"authorization": f"Bearer {token}"})


def basic(username: str, password: str) -> Sent:
    """RFC 7617, section 2, in UTF-8."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return Sent(headers={"authorization": f"Basic {pair}"})


class SignedToken:
    """A JWT (RFC 7519), signed with HMAC-SHA256 (RFC 7518, section 3.2), that counts for `ttl` seconds and is used for
    half of that: the issuer is the access key, as Kling documents it. `learned` is told each one: no log line may hold
    it."""

    def __init__(
        self, access_key: str, secret_key: str, *, ttl: float, clock: Clock, learned: Callable[[str], None]
    ) -> None:
        self._access_key = access_key
        self._secret_key = secret_key
        self._ttl = ttl
        self._clock = clock
        self._learned = learned
        self._known = Sent()
        self._made: float | None = None

    async def now(self) -> Sent:
        now = self._clock.now().timestamp()  # by which the provider judges it: a clock that was set makes a new one
        if self._made is None or not self._made <= now < self._made + self._ttl / 2:
            claims = {"iss": self._access_key, "exp": int(now) + int(self._ttl), "nbf": int(now) - NOT_BEFORE_SECONDS}
            token = sign_jwt(claims, self._secret_key)
            self._learned(token)
            self._known, self._made = bearer(token), now
        return self._known

    def refused(self) -> None:
        self._made = None


def sign_jwt(claims: Mapping[str, object], secret: str) -> str:
    """The compact form (RFC 7515, section 7.1)."""
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    return f"{signed}.{_base64url(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def _segment(value: Mapping[str, object]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Command:
    """A program that prints a token, such as `gcloud auth print-access-token`. It is run without a shell, once for all
    who wait, and again after `ttl` seconds or a refusal. `learned` is told each token: no log line may hold one."""

    def __init__(self, arguments: tuple[str, ...], *, ttl: float, clock: Clock, learned: Callable[[str], None]) -> None:
        self._arguments = arguments
        self._ttl = ttl
        self._clock = clock
        self._learned = learned
        self._turn = asyncio.Lock()
        self._known: Sent | Unready | None = None
        self._until = 0.0

    async def now(self) -> Sent | Unready:
        async with self._turn:
            if self._known is None or self._clock.monotonic() >= self._until:
                self._known = await self._run()
                lasting = FAILED_SECONDS if isinstance(self._known, Unready) else self._ttl
                self._until = self._clock.monotonic() + lasting
            return self._known

    def refused(self) -> None:
        self._known = None

    async def _run(self) -> Sent | Unready:
        try:
            output = await _output_of(self._arguments)
        except TimeoutError:
            return self._unready(f"took more than {COMMAND_SECONDS:g} s")
        except OSError as error:
            return self._unready(f"cannot be run: {error.strerror or type(error).__name__}")
        if isinstance(output, int):
            return self._unready(f"failed with exit status {output}")
        token = output.decode("utf-8", "replace").strip()
        if not _TOKEN.fullmatch(token):
            return self._unready("printed no token: one line of visible ASCII is needed")
        self._learned(token)
        return bearer(token)

    def _unready(self, what: str) -> Unready:
        return Unready(f"the command that prints the token ({self._arguments[0]}) {what}; run it by hand as this user")


async def _output_of(arguments: tuple[str, ...]) -> bytes | int:
    """What a program prints, at most MOST_OUTPUT_BYTES of it, or its exit status if that is not 0. OSError when it
    cannot be run, TimeoutError when it takes too long; what has not ended by then is killed with its children."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            output = await _bounded(process.stdout)
            status = 0 if len(output) >= MOST_OUTPUT_BYTES else await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    return status or output


async def _bounded(stream: asyncio.StreamReader | None) -> bytes:
    output = b""
    while stream is not None and len(output) < MOST_OUTPUT_BYTES:
        more = await stream.read(MOST_OUTPUT_BYTES - len(output))
        if not more:
            break
        output += more
    return output
