"""Composition root: settings → running parts → orderly stop, reload."""

from notifier.app.daemon import Daemon, configure_logs, running
from notifier.app.errors import StartError, WrongSettingsError

__all__ = ["Daemon", "StartError", "WrongSettingsError", "configure_logs", "running"]
