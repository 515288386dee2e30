"""The daemon as a foreground process: the signals that steer it, and its exit code."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from pathlib import Path

import structlog

from notifier.adapters.connections import raise_file_limit
from notifier.adapters.stores.address import is_server
from notifier.adapters.systemd import ServiceManager
from notifier.app.daemon import Daemon, configure_logs
from notifier.app.errors import StartError, WrongSettingsError
from notifier.app.running import running
from notifier.app.supervision import supervised
from notifier.cli.options import WRONG_CONFIGURATION
from notifier.config import Loaded, Rejected, Settings, load
from notifier.ports import StoreUnavailableError

log = structlog.get_logger()

DONE, FAILED = 0, 1
SWITCH_SECONDS = 0.001
"""How long a thread of the store may keep the interpreter from the event loop, each time that one comes back from a
system call. With Python's own 5 ms a busy store makes polls a second late while hundreds of clients register."""
COLLECT = (10_000, 20, 20)
"""Garbage is collected after so many new objects, and more thoroughly after so many times that. Polls leave no cycles
behind, and with Python's own 700 the search for some takes a fifth of all time."""


def serve(config: Path, settings: Settings, early: threading.Event) -> int:
    """Run until a signal says stop; the exit code. `early` is set by a SIGHUP that comes before the daemon runs."""
    configure_logs(settings)
    raise_file_limit()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECT)
    with contextlib.closing(ServiceManager.take(os.environ)) as manager:
        try:
            asyncio.run(_serve(config, settings, early, manager))
        except asyncio.CancelledError:
            log.info("daemon.stopped")
        except StartError as error:
            log.error("daemon.failed", error=str(error))
            manager.status(f"failed: {error}")
            return WRONG_CONFIGURATION if isinstance(error, WrongSettingsError) else FAILED
    return DONE


async def _serve(config: Path, settings: Settings, early: threading.Event, manager: ServiceManager) -> None:
    stop, begun = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_tell)
    starting = asyncio.current_task() if is_server(settings.store.url) else None

    def end() -> None:
        stop.set()
        if starting is not None and not begun.is_set():
            starting.cancel()  # it may wait for its server for longer than a stop may take

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, early.set)

    def read() -> Loaded | Rejected:
        return load(config, os.environ, secrets="required")

    async with supervised(manager) as supervision, running(settings, read, manager) as daemon:
        begun.set()
        gc.freeze()  # what is there now lasts: nobody need look through it for garbage
        supervision.begin(daemon.health, daemon.catalog)
        loop.add_signal_handler(signal.SIGHUP, lambda: daemon.crew.spawn(_reload(daemon)))
        if early.is_set():
            daemon.crew.spawn(_reload(daemon))
        await stop.wait()
        supervision.end()
        log.info("daemon.stopping")


async def _reload(daemon: Daemon) -> None:
    with contextlib.suppress(StoreUnavailableError):
        await daemon.reload()  # says in the log what came of it


def _tell(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What asyncio would print on several lines becomes one line of ours."""
    if context.get("message") == "socket.accept() out of system resource":
        return  # the listener says it, once
    log.error("daemon.fault", message=str(context.get("message")), exc_info=context.get("exception"))
