"""A listening socket that outlives a process's lack of file descriptors."""

import errno
import os
import socket
from typing import Any

import structlog

log = structlog.get_logger()

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class PatientListener(socket.socket):
    """Tells the log once when no connection can be accepted for want of resources, and once when that is over.

    asyncio meets such an error with a pause of a second, but goes on asking in the same round, as often as the backlog
    is long, with a line for each. So every second error of a row is told as "nobody is waiting", which ends the round.
    """

    _exhausted = False
    _paused = False

    def accept(self) -> tuple[socket.socket, Any]:
        try:
            accepted = super().accept()
        except BlockingIOError:  # all who waited are in
            self._recover()
            raise
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._tell(error)
            self._paused = not self._paused
            if self._paused:
                raise
            raise BlockingIOError from None
        self._paused = False
        return accepted

    def _tell(self, error: OSError) -> None:
        if not self._exhausted:
            self._exhausted = True
            hint = "callers wait; raise the limit on open files (LimitNOFILE= in the unit), or lower `concurrency`"
            log.error("intake.exhausted", error=error.strerror, hint=hint)

    def _recover(self) -> None:
        if self._exhausted:
            self._exhausted = self._paused = False
            log.warning("intake.recovered")


def patient(listener: socket.socket) -> PatientListener:
    """The same socket by a descriptor of its own, to be closed by itself."""
    return PatientListener(fileno=os.dup(listener.fileno()))
