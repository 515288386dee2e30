"""`notifier run`: the daemon in the foreground, and the signals that steer it."""

import asyncio
import os
import signal
from pathlib import Path

import structlog
import typer

from notifier.app import Daemon, StartError, configure_logs, running
from notifier.cli.options import DEFAULT_CONFIG, ConfigOption, load_or_exit
from notifier.config import Loaded, Rejected, Settings, load

log = structlog.get_logger()

FAILED = 1


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the daemon in the foreground; logs go to stderr.

    SIGTERM and SIGINT stop it in order, SIGHUP reloads the configuration.
    """
    settings = load_or_exit(config, secrets="required")
    configure_logs(settings)
    try:
        asyncio.run(_serve(config, settings))
    except StartError as error:
        log.error("daemon.failed", error=str(error))
        raise typer.Exit(FAILED) from None


async def _serve(config: Path, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # until there is something to reload, it must not kill

    def read() -> Loaded | Rejected:
        return load(config, os.environ, secrets="required")

    async with running(settings, read) as daemon:
        loop.add_signal_handler(signal.SIGHUP, lambda: daemon.crew.spawn(_reload(daemon)))
        await stop.wait()
        log.info("daemon.stopping")


async def _reload(daemon: Daemon) -> None:
    await daemon.reload()  # says in the log what came of it


def _tell(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """What asyncio would print on several lines becomes one line of ours."""
    log.error("daemon.fault", message=str(context.get("message")), exc_info=context.get("exception"))
