"""What can go wrong with a request, as data."""

import asyncio
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import aiohttp
import httpx

from notifier.adapters.http.guard import RefusedError
from notifier.adapters.http.wire import SurplusError

FaultKind: TypeAlias = Literal["timeout", "refused", "dns", "connect", "tls", "protocol", "surplus"]


@dataclass(frozen=True, slots=True)
class Fault:
    """No answer that can be used. `message` names the host at most: never a path, a query string or a header.

    `timeout`: the deadline ran out. `refused`: the address guard said no. `dns`, `connect`, `tls`: there was no
    connection, or it broke. `protocol`: what came is not HTTP, or what should be sent cannot be. `surplus`: of a
    download, more came than was announced.
    """

    kind: FaultKind
    message: str


def explain(error: Exception, where: str) -> Fault:
    """Translate what the libraries raised while talking to `where` (a host, perhaps with a port).

    Their own texts are not passed on where they may quote the URL or a header.
    """
    for cause in _causes(error):
        fault = _unconnected(cause, where) or _unreadable(cause, where)
        if fault is not None:
            return fault
    if isinstance(error, ValueError):
        return Fault("protocol", f"{where}: nothing was sent, as the URL or a header is not valid")
    return Fault("protocol", f"{where}: the request failed ({type(error).__name__})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the first cause first: it says most exactly what happened."""
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
    yield error


def _unconnected(error: BaseException, where: str) -> Fault | None:
    match error:
        case RefusedError():
            return Fault("refused", error.refusal.message)
        case ssl.SSLCertVerificationError():
            return Fault("tls", f"{where}: the certificate is not trusted: {error.verify_message}")
        case ssl.SSLError():
            return Fault("tls", f"{where}: no TLS connection ({error.reason or 'the handshake failed'})")
        case aiohttp.ClientConnectorDNSError():
            return Fault("dns", f"{where}: the name cannot be looked up: {_text(error.os_error)}")
        case asyncio.TimeoutError():
            return Fault("timeout", f"{where}: timed out")
        case aiohttp.ServerDisconnectedError():
            return Fault("connect", f"{where}: the connection was closed before an answer came")
        case aiohttp.ClientOSError():
            return Fault("connect", f"{where}: no connection, or it broke: {_text(error)}")
        case _:
            return None


def _unreadable(error: BaseException, where: str) -> Fault | None:
    match error:
        case SurplusError():
            return Fault("surplus", f"{where}: the body is longer than its Content-Length says")
        case aiohttp.ClientPayloadError():
            return Fault("protocol", f"{where}: the body of the answer broke off or is malformed")
        case aiohttp.ClientResponseError():
            return Fault("protocol", f"{where}: the answer is not valid HTTP, or its headers are too large")
        case httpx.InvalidURL() | aiohttp.InvalidURL():
            return Fault("protocol", f"{where}: the URL is not valid")
        case _:
            return None


def _text(error: OSError) -> str:
    """The system's words for an error; what libraries add may hold more than should be shown."""
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or "no reason given"
