"""What a service and systemd say to each other: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

It is a variable or two and a datagram, so no library is needed. The variables are taken out of the environment: a
program that we start must not answer in our place.
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Self

import structlog

log = structlog.get_logger()

FIRST_PASSED = 3
"""sd_listen_fds(3): the descriptors of passed sockets count from here."""
PATIENCE_SECONDS = 1.0
"""With a systemd that does not read, for what is said only once. What will be said again anyway does not wait."""


@dataclass(frozen=True, slots=True)
class PassedSocket:
    """`name` is the unit's `FileDescriptorName=`, by default the name of the .socket unit."""

    name: str
    descriptor: int


class ServiceManager:
    """Without systemd, as here by default, every message goes nowhere."""

    def __init__(
        self, address: str | None = None, *, watchdog: float | None = None, sockets: Sequence[PassedSocket] = ()
    ) -> None:
        self.watchdog = watchdog
        """Seconds without `feed()` after which systemd aborts and restarts us; None: it does not look."""
        self.sockets = tuple(sockets)
        # Opened once and for all: it must work when the process is out of file descriptors.
        self._socket = None if address is None else socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = (address or "").replace("@", "\0", 1) if (address or "").startswith("@") else address
        self._lost = False
        self._ready_due = False
        self._status = ""

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Self:
        """Who started this process, as its environment says, which says it no longer afterwards."""
        address = environ.pop("NOTIFY_SOCKET", None)
        watchdog = _watchdog(environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", None))
        sockets = _sockets(
            environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_FDNAMES", "")
        )
        return cls(address if address and address[0] in "/@" else None, watchdog=watchdog, sockets=sockets)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    @property
    def listens(self) -> bool:
        """Whether anybody hears what we say."""
        return self._socket is not None

    def ready(self, status: str) -> None:
        """If it is lost it is said again with the next status: systemd would wait for it, and then kill us."""
        self._ready_due = not self._say("READY=1", self._show(status), patience=PATIENCE_SECONDS)

    def status(self, status: str) -> None:
        """One line for people: `systemctl status` shows it."""
        due = ("READY=1",) if self._ready_due else ()
        if self._say(*due, self._show(status)):
            self._ready_due = False

    def feed(self) -> None:
        """All is well for another `watchdog` seconds."""
        if self.watchdog is not None:
            self._say("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        self._ready_due = False
        self._say("STOPPING=1", self._show(status), patience=PATIENCE_SECONDS)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Whatever comes of the reload, systemd must hear of its end, or it waits and lets no other one begin."""
        before = self._status
        now = time.monotonic_ns() // 1000
        self._say("RELOADING=1", f"MONOTONIC_USEC={now}", self._show("reloading"), patience=PATIENCE_SECONDS)
        try:
            yield
        finally:
            self.ready(before)

    def _show(self, status: str) -> str:
        self._status = " ".join(status.split())  # a line feed would begin another message
        return f"STATUS={self._status}"

    def _say(self, *lines: str, patience: float = 0.0) -> bool:
        """Whether systemd, if there is one, has got it."""
        if self._socket is None or self._address is None:
            return True
        try:
            self._socket.settimeout(patience)
            self._socket.sendto("\n".join(lines).encode(), self._address)
            self._lost = False
        except OSError as error:
            if not self._lost:  # once, for it is said again and again
                log.warning("systemd.unreachable", error=str(error), hint="it may take us for hung, and restart us")
            self._lost = True
        return not self._lost


ALONE = ServiceManager()
"""Nobody started us who would like to hear of it."""


def _watchdog(microseconds: str, pid: str | None) -> float | None:
    meant = pid is None or pid == str(os.getpid())
    return int(microseconds) / 1e6 if meant and microseconds.isdecimal() and int(microseconds) > 0 else None


def _sockets(pid: str, count: str, names: str) -> Sequence[PassedSocket]:
    """$LISTEN_PID says whom they are for: a parent's are none of our business."""
    if pid != str(os.getpid()) or not count.isdecimal():
        return ()
    descriptors = range(FIRST_PASSED, FIRST_PASSED + int(count))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    named = [*names.split(":"), *[""] * int(count)]
    return tuple(PassedSocket(name, descriptor) for name, descriptor in zip(named, descriptors, strict=False))
