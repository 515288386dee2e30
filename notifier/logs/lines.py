"""Where finished lines go."""

from typing import Protocol, TextIO


class Sink(Protocol):
    """Takes what the last processor made; never raises, for no log line is worth the daemon's work."""

    def msg(self, line: str) -> None: ...


class Lines:
    """Writes whole lines; a stream that takes nothing (a full disk, a closed pipe) must not stop the daemon's work."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def msg(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):
            pass  # nobody can be told, and the work goes on

    log = debug = info = warning = error = critical = exception = fatal = msg
