"""Where the intake listens: an address, a unix socket or a socket passed by systemd."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeAlias

from notifier.config.problem import shown


@dataclass(frozen=True, slots=True)
class TcpListen:
    """`host` is a name or an address without brackets; port 0 lets the system choose."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixListen:
    path: str


@dataclass(frozen=True, slots=True)
class SystemdListen:
    """The socket that the service manager opened and passed."""


Listen: TypeAlias = TcpListen | UnixListen | SystemdListen

LONGEST_UNIX_PATH = 107
"""Bytes: `sun_path` in unix(7), without the NUL at its end."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_FORMS = 'write 127.0.0.1:8470, [::1]:8470, unix:/run/notifier.sock, "systemd:" or null'


def parse_listen(value: Any) -> Listen | None:
    """Read `intake.listen`; null means no intake."""
    match value:
        case None:
            return None
        case "systemd:" | "systemd":  # YAML takes the colon at the end only in quotes
            return SystemdListen()
        case str() if value.startswith("unix:"):
            return UnixListen(_unix_path(value.removeprefix("unix:")))
        case str() if ":" in value:
            host, _, port = value.rpartition(":")
            return TcpListen(_host(host, value), _port(port, value))
        case _:
            raise ValueError(f"{shown(value)} is no place to listen ({_FORMS})")


def is_private(listen: Listen | None) -> bool:
    """Whether only this machine can reach it, as far as the text says; a passed socket is its unit's business."""
    if not isinstance(listen, TcpListen):
        return True
    try:
        return ip_address(listen.host).is_loopback
    except ValueError:
        return listen.host.lower() == "localhost"


def _unix_path(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError("unix: is not followed by a path (write unix:/run/notifier.sock)")
    if len(path.encode()) > LONGEST_UNIX_PATH:
        raise ValueError(f"the path is too long for a unix socket (at most {LONGEST_UNIX_PATH} bytes)")
    return path


def _host(host: str, value: str) -> str:
    if not host or host == "*":
        raise ValueError(f"{shown(value)} has no host (write 0.0.0.0 or [::] for all addresses of the machine)")
    if bracketed := _BRACKETS.fullmatch(host):
        return _address(IPv6Address, bracketed[1], value)
    if ":" in host:
        raise ValueError(f"{shown(value)} is no host:port (an IPv6 address goes into brackets, as in [::1]:8470)")
    if host.rpartition(".")[2].isdigit():
        return _address(IPv4Address, host, value)
    if not _HOST.fullmatch(host):
        raise ValueError(f"the host of {shown(value)} is neither a name nor an address ({_FORMS})")
    return host


def _address(kind: type[IPv4Address | IPv6Address], text: str, value: str) -> str:
    try:
        return str(kind(text))
    except ValueError:
        raise ValueError(f"the host of {shown(value)} is not an address ({_FORMS})") from None


def _port(port: str, value: str) -> int:
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"the port of {shown(value)} is not a number from 0 to 65535 (as in 127.0.0.1:8470)")
    return int(port)
