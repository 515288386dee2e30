"""Faults on demand inside the daemon: Python imports this at its start when PYTHONPATH leads here."""

import gc
import signal
import sys
import time
from typing import Any


def block(*_: object) -> None:
    """The event loop's thread does nothing any more."""
    time.sleep(3600)


def hog(*_: object) -> None:
    """Memory runs out."""
    hoard = []
    while True:
        hoard.append(bytearray(b"x") * (1 << 20))


def silence(*_: object) -> None:
    """The scheduler is dead: nothing is polled any more, and nobody is told."""
    _only("LoopScheduler").pause()


def hang(*_: object) -> None:
    """The store takes whatever it is given, and never answers."""
    _only("Writer")._outcomes = block


def _only(name: str) -> Any:
    gc.unfreeze()  # what the daemon froze once it was up is not listed
    (found,) = (each for each in gc.get_objects() if type(each).__name__ == name)
    return found


if sys.argv[1:2] == ["run"] or "run" in sys.orig_argv:
    for number, fault in enumerate((block, hog, silence, hang)):
        signal.signal(signal.SIGRTMIN + number, fault)
