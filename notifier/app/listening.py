"""The intake's socket: TCP, a unix socket, or one that systemd passed."""

import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Literal, TypeAlias, assert_never

from notifier.adapters.systemd import PassedSocket
from notifier.app.errors import StartError, WrongSettingsError
from notifier.config import IntakeSettings, SystemdListen, TcpListen, UnixListen

BACKLOG = 2048
PASSED_NAME = "intake"
"""`FileDescriptorName=` of the socket to take when several were passed."""


Reach: TypeAlias = Literal["unix", "loopback", "network"]
"""Who can connect: programs with access to a file, everything on this machine (web pages too), or other machines."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`passed`: it was opened for us and outlives us."""

    socket: socket.socket
    passed: bool

    @property
    def where(self) -> str:
        """As people write it; the real port also when 0 was asked for."""
        name = self.socket.getsockname()
        if self.socket.family == socket.AF_UNIX:
            return f"unix:{name}"
        if not self._is_ip:
            return str(name)
        host = f"[{name[0]}]" if ":" in name[0] else name[0]
        return f"{host}:{name[1]}"

    @property
    def reach(self) -> Reach:
        if self.socket.family == socket.AF_UNIX:
            return "unix"
        if not self._is_ip:
            return "network"  # such as vsock(7): not ours to know who is at the other end
        address = ip_address(self.socket.getsockname()[0])
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return "loopback" if (mapped or address).is_loopback else "network"

    @property
    def _is_ip(self) -> bool:
        return self.socket.family in (socket.AF_INET, socket.AF_INET6)


def open_listener(intake: IntakeSettings, passed: Sequence[PassedSocket]) -> Listener | None:
    """A bound, listening socket, `passed` ones being the service manager's; None when no intake is wanted. StartError
    when the address cannot be had, or would let in everybody."""
    match intake.listen:
        case None:
            return None
        case TcpListen(host=host, port=port):
            return Listener(_tcp(host, port), passed=False)
        case UnixListen(path=path):
            return Listener(_unix(Path(path)), passed=False)
        case SystemdListen():
            return _guarded(Listener(_passed(passed), passed=True), intake)
        case _:
            assert_never(intake.listen)


def _guarded(listener: Listener, intake: IntakeSettings) -> Listener:
    """Only here it shows where a passed socket listens; of other ones the configuration said it."""
    if listener.reach == "network" and not intake.tokens:
        where = listener.where
        listener.socket.close()
        raise WrongSettingsError(
            f"intake.tokens: is needed, for the passed socket {where} can be reached from beyond this machine "
            "(give at least one, or let the .socket unit listen on 127.0.0.1 or on a path)"
        )
    return listener


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


def _passed(passed: Sequence[PassedSocket]) -> socket.socket:
    named = [one for one in passed if one.name == PASSED_NAME]
    if len(named or passed) != 1:
        found = ", ".join(one.name or "nameless" for one in passed) or "none"
        raise StartError(
            f"intake.listen: systemd: takes one socket and was passed: {found} (enable and start notifier.socket; of "
            f"several sockets, give one FileDescriptorName={PASSED_NAME})"
        )
    try:
        listener = socket.socket(fileno=(named or passed)[0].descriptor)
    except OSError as error:
        raise StartError(f"intake.listen: systemd: what was passed is no socket: {error.strerror}") from error
    accepts = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not (accepts and listener.family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)):
        listener.close()
        raise StartError("intake.listen: systemd: the .socket unit must have ListenStream= and Accept=no")
    listener.setblocking(False)
    return listener
