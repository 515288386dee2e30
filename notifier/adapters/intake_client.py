"""Calls a running daemon's intake over TCP, TLS or a unix socket: the other end of `notifier watch` and its like."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never
from urllib.parse import urlencode, urlsplit

USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """`prefix` is a path in front of every call, for an intake behind a reverse proxy."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address: TypeAlias = HttpAddress | UnixAddress


def parse_address(url: str) -> Address:
    """Read `http://host:port`, `https://host/prefix` or `unix:/path`; `ValueError` says what would be right."""
    if url.startswith("unix:"):
        path = url.removeprefix("unix:").removeprefix("//")
        if not path:
            raise ValueError("unix: is not followed by a path; write unix:/run/notifier.sock")
        return UnixAddress(path)
    parts = urlsplit(url)  # ValueError for broken brackets
    if parts.scheme not in USUAL_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no address of an intake; write http://host:port, https://host or unix:/path")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the address takes no user, query or fragment; give the token with --token")
    return HttpAddress(
        parts.scheme, parts.hostname, parts.port or USUAL_PORTS[parts.scheme], parts.path.rstrip("/")
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side answered; `body` is as it came."""

    status: int
    body: bytes

    def json(self) -> Any | None:
        """The body read as JSON; None when it is none, and so not from an intake."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody answered, for this reason."""

    reason: str


class Opened:
    """An answer whose body is still to be read."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer
        self.status = answer.status

    def header(self, name: str) -> str | None:
        return self._answer.getheader(name)

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end, and where the connection broke: only their number tells which it was."""
        try:
            return self._answer.read(most)
        except _UNREACHABLE:
            return b""


_UNREACHABLE = (http.client.HTTPException, UnicodeError, OSError)


def _unreachable(error: Exception, timeout: float) -> Unreachable:
    match error:
        case TimeoutError():
            return Unreachable(f"no answer within {timeout:g} s")
        case http.client.HTTPException():
            return Unreachable(f"what answers there does not speak HTTP ({type(error).__name__})")
        case OSError():
            return Unreachable((error.strerror or str(error)).rstrip("."))
        case _:
            return Unreachable("its host is not a valid name")


class IntakeClient:
    """One connection for each call: commands make one or two. `token` None sends none."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._address = address
        self._token = token

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout: float = 30.0,
    ) -> Reply | Unreachable:
        """Call once, with at most `timeout` seconds of silence. A query value of None is left out; `path` is
        percent-encoded already."""
        wanted = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._prefix() + path + (f"?{urlencode(wanted)}" if wanted else "")
        connection = self._connection(timeout)
        try:
            connection.request(method, target, *self._content(body))
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        except _UNREACHABLE as error:
            return _unreachable(error, timeout)
        finally:
            connection.close()

    @contextmanager
    def opened(
        self, path: str, headers: Mapping[str, str], *, timeout: float = 30.0
    ) -> Iterator[Opened | Unreachable]:
        """A GET whose answer is read in the block, piece by piece, with at most `timeout` seconds of silence."""
        connection = self._connection(timeout)
        try:
            found: Opened | Unreachable
            try:
                connection.request("GET", self._prefix() + path, None, {**self._content(None)[1], **headers})
                found = Opened(connection.getresponse())
            except _UNREACHABLE as error:
                found = _unreachable(error, timeout)
            yield found
        finally:
            connection.close()

    def _prefix(self) -> str:
        return self._address.prefix if isinstance(self._address, HttpAddress) else ""

    def _content(self, body: Any) -> tuple[bytes | None, dict[str, str]]:
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is None:
            return None, headers
        return json.dumps(body).encode(), headers | {"Content-Type": "application/json"}

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        match self._address:
            case UnixAddress(path=path):
                return _UnixConnection(path, timeout)
            case HttpAddress(scheme="https", host=host, port=port):
                return http.client.HTTPSConnection(host, port, timeout=timeout)
            case HttpAddress(host=host, port=port):
                return http.client.HTTPConnection(host, port, timeout=timeout)
            case _:
                assert_never(self._address)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(self.timeout)
        try:
            connected.connect(self._path)
        except OSError:
            connected.close()
            raise
        self.sock = connected
