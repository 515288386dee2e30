"""journald's native protocol, from the sender's side: one datagram is one entry, with fields to search by.

See https://systemd.io/JOURNAL_NATIVE_PROTOCOL. Nothing here waits: what journald does not take at once goes to stderr,
which it reads, too; what that does not take either is counted, and told as soon as it can be.
"""

import errno
import fcntl
import os
import select
import socket
from pathlib import Path
from typing import TextIO

from notifier.logs.entry import Entry, render_entry
from notifier.logs.lines import Lines

SOCKET = Path("/run/systemd/journal/socket")
_TOO_LARGE = (errno.EMSGSIZE, errno.ENOBUFS)
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Journal:
    """Takes entries; `out` is the stream for those that journald does not take."""

    def __init__(self, path: Path, out: TextIO) -> None:
        self._path = path
        self._out = out
        self._lines = Lines(out)
        self._lost = 0

    def msg(self, line: str) -> None:
        if self._lost and self._deliver(_lost(self._lost)):
            self._lost = 0
        if not self._deliver(line):
            self._lost += 1

    log = debug = info = warning = error = critical = exception = fatal = msg

    def _deliver(self, line: str) -> bool:
        if isinstance(line, Entry) and send(line.datagram, self._path):
            return True
        if not _has_room(self._out):
            return False
        self._lines.msg(line)
        return True


def _lost(entries: int) -> Entry:
    hint = "journald took nothing for a while"
    return render_entry(None, "warning", {"event": "log.lost", "entries": entries, "hint": hint})


def send(datagram: bytes, path: Path) -> bool:
    """Whether journald took the entry. A socket of its own for each costs microseconds, and nothing has to be kept."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect(str(path))
            _send(sender, datagram)
    except OSError:
        return False
    return True


def _send(sender: socket.socket, datagram: bytes) -> None:
    try:
        sender.send(datagram)
    except OSError as error:
        if error.errno not in _TOO_LARGE:
            raise
        _send_file(sender, datagram)


def _send_file(sender: socket.socket, datagram: bytes) -> None:
    """What no datagram holds is passed as a sealed file in memory, which journald can trust not to change."""
    file = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(file, "wb", closefd=False) as writer:
            writer.write(datagram)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
        socket.send_fds(sender, [b""], [file])
    finally:
        os.close(file)


def _has_room(out: TextIO) -> bool:
    """Whether writing a line would not wait; a stream without a descriptor never does."""
    try:
        poller = select.poll()
        poller.register(out.fileno(), select.POLLOUT)
        return bool(poller.poll(0))
    except (OSError, ValueError):
        return True
