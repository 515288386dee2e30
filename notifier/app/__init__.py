"""Composition root: settings → running parts → orderly stop, reload."""

from notifier.app.daemon import Daemon, configure_logs, running
from notifier.app.errors import StartError

__all__ = ["Daemon", "StartError", "configure_logs", "running"]
