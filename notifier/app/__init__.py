"""Composition root: settings → running parts → orderly stop, reload."""

from notifier.app.daemon import Daemon, configure_logs
from notifier.app.errors import StartError, WrongSettingsError
from notifier.app.running import running

__all__ = ["Daemon", "StartError", "WrongSettingsError", "configure_logs", "running"]
