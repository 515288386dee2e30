"""`notifier run`: the daemon in the foreground."""

import faulthandler
import signal
import sys
import threading

import typer

from notifier.cli.options import DEFAULT_CONFIG, ConfigOption, load_or_exit


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the daemon in the foreground; logs go to stderr.

    SIGTERM and SIGINT stop it in order, SIGHUP reloads the configuration.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # nothing has begun yet that would have to be ended in order
    faulthandler.enable()  # what systemd's watchdog aborts prints where each thread stands
    early = threading.Event()  # a SIGHUP that comes before there is a daemon to reload
    signal.signal(signal.SIGHUP, lambda *_: early.set())
    settings = load_or_exit(config, secrets="required")
    # Here, because the daemon's libraries take a second to load, which whoever has to mend the file need not wait for.
    from notifier.cli.foreground import serve  # noqa: PLC0415

    raise typer.Exit(serve(config, settings, early))
