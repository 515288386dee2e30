"""The intake's socket: TCP, a unix socket, or one that systemd passed."""

import os
import socket
import stat
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Literal, TypeAlias, assert_never

from notifier.app.errors import StartError, WrongSettingsError
from notifier.config import Listen, SystemdListen, TcpListen, UnixListen

BACKLOG = 2048
FIRST_PASSED_FD = 3
"""sd_listen_fds(3): passed sockets begin here."""


Reach: TypeAlias = Literal["unix", "loopback", "network"]
"""Who can connect: programs with access to a file, everything on this machine (web pages too), or other machines."""


def open_listener(listen: Listen, *, guarded: bool) -> socket.socket:
    """A bound, listening socket; StartError when the address cannot be had, or when other machines can reach it and it
    is not `guarded` by tokens. That is judged by the socket: a passed one is not known before."""
    listener = _open(listen)
    if reach_of(listener) == "network" and not guarded:
        where = describe(listener)
        listener.close()
        advice = "add a token, or listen on 127.0.0.1 or a unix socket"
        raise WrongSettingsError(f"intake.tokens: are needed, for other machines can reach {where}; {advice}")
    return listener


def _open(listen: Listen) -> socket.socket:
    match listen:
        case TcpListen(host=host, port=port):
            return _tcp(host, port)
        case UnixListen(path=path):
            return _unix(Path(path))
        case SystemdListen():
            return _passed()
        case _:
            assert_never(listen)


def reach_of(listener: socket.socket) -> Reach:
    if listener.family == socket.AF_UNIX:
        return "unix"
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return "network"  # such as vsock(7): not ours to know who is at the other end
    address = ip_address(listener.getsockname()[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return "loopback" if (mapped or address).is_loopback else "network"


def describe(listener: socket.socket) -> str:
    """Where it listens, as people write it; the real port also when 0 was asked for."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return str(name)
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        reason = error.strerror or error
        message = f"cannot listen on {host}:{port}: {reason}; stop what holds it or name another"
        raise StartError(f"intake.listen: {message}") from error
    return listener


def _unix(path: Path) -> socket.socket:
    """A socket file that a killed daemon left behind is replaced; anything else in its place is not."""
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(0o660)  # the group decides who may talk to the daemon
        listener.listen(BACKLOG)
    except OSError as error:
        reason = error.strerror or error
        message = f"cannot listen on unix:{path}: {reason}; is its folder there and writable?"
        raise StartError(f"intake.listen: {message}") from error
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _passed() -> socket.socket:
    """sd_listen_fds(3): $LISTEN_PID says whom the sockets are for, $LISTEN_FDS how many there are."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise StartError("intake.listen: systemd: needs exactly one socket from a .socket unit, and none was passed")
    listener = socket.socket(fileno=FIRST_PASSED_FD)
    listener.setblocking(False)
    return listener
