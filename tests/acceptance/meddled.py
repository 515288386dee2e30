"""`notifier` in a machine that the test meddles with: run as `python -m tests.acceptance.meddled run …`.

A folder ($MEDDLE) says what is wrong at the moment: the file `clock` holds by how many seconds the wall clock is off,
and while there is a file `dns-gone` no name can be looked up.
"""

import os
import socket
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import apscheduler.schedulers.base

import notifier.adapters.clock
from notifier.__main__ import main

FOLDER = Path(os.environ["MEDDLE"])


def offset() -> timedelta:
    try:
        return timedelta(seconds=float((FOLDER / "clock").read_text()))
    except (OSError, ValueError):
        return timedelta()


class Wall(datetime):
    """The wall clock, as far as the clock's adapter and APScheduler ask for it."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + offset()


look_up = socket.getaddrinfo


def getaddrinfo(*arguments: Any, **more: Any) -> Any:
    if (FOLDER / "dns-gone").exists():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return look_up(*arguments, **more)


if __name__ == "__main__":
    notifier.adapters.clock.datetime = apscheduler.schedulers.base.datetime = Wall
    socket.getaddrinfo = getaddrinfo
    main()
