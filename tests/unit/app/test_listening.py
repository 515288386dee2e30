"""Whom a listening socket lets in, judged by the socket itself."""

import socket

import pytest

from notifier.app.listening import Listener


class Bound:
    """A socket that says it is bound there."""

    def __init__(self, family: int, name: object) -> None:
        self.family = family
        self._name = name

    def getsockname(self) -> object:
        return self._name


@pytest.mark.parametrize(
    ("family", "name", "reach", "shown"),
    [
        (socket.AF_UNIX, "/run/notifier.sock", "unix", "unix:/run/notifier.sock"),
        (socket.AF_INET, ("127.0.0.1", 8470), "loopback", "127.0.0.1:8470"),
        (socket.AF_INET, ("127.1.2.3", 8470), "loopback", "127.1.2.3:8470"),
        (socket.AF_INET6, ("::1", 8470, 0, 0), "loopback", "[::1]:8470"),
        (socket.AF_INET6, ("::ffff:127.0.0.1", 8470, 0, 0), "loopback", "[::ffff:127.0.0.1]:8470"),
        (socket.AF_INET, ("0.0.0.0", 8470), "network", "0.0.0.0:8470"),
        (socket.AF_INET, ("10.0.0.1", 8470), "network", "10.0.0.1:8470"),
        (socket.AF_INET6, ("::", 8470, 0, 0), "network", "[::]:8470"),
        (socket.AF_INET6, ("fe80::1%eth0", 8470, 0, 2), "network", "[fe80::1%eth0]:8470"),
        (socket.AF_VSOCK, (1, 8470), "network", "(1, 8470)"),
    ],
)
def test_who_can_connect(family: int, name: object, reach: str, shown: str) -> None:
    """Whoever may open the file, this machine, or others; what is not known is taken for others."""
    listener = Listener(Bound(family, name), passed=False)  # type: ignore[arg-type] # it says what is asked of it here
    assert (listener.reach, listener.where) == (reach, shown)
