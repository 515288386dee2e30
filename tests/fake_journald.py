"""A stand-in for journald: reads entries as they are written on the wire."""

import fcntl
import os
import socket
import struct
from pathlib import Path

ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def fields_of(datagram: bytes) -> dict[str, str]:
    """What journald reads, by the rules of its export format; a name that comes twice is a failure."""
    found: dict[str, str] = {}
    while datagram:
        head, _, rest = datagram.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        assert name.decode() not in found
        found[name.decode()] = value.decode()
        datagram = rest
    return found


class Journald:
    """Listens at `path`; what is not read fills its queue."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(10)

    def read(self) -> dict[str, str]:
        """The next entry, also one that was passed as a file, which must be sealed against any change."""
        datagram, files, _, _ = socket.recv_fds(self._socket, 1024 * 1024, 1)
        if not files:
            return fields_of(datagram)
        with os.fdopen(files[0], "rb") as file:
            assert datagram == b""
            assert fcntl.fcntl(file, fcntl.F_GET_SEALS) == ALL_SEALS
            file.seek(0)
            return fields_of(file.read())

    def read_all(self) -> list[dict[str, str]]:
        """Every entry that waits."""
        self._socket.setblocking(False)
        found = []
        while True:
            try:
                found.append(self.read())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()
