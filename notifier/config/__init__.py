"""The configuration: YAML → frozen `Settings`, or every problem in the file with its line and column.

    text ──nodes──▶ nodes ──tree──▶ data + places ──substitute──▶ ${NAME} filled in ──secret──▶ secrets read
         ──presets──▶ providers laid over presets.yaml ──model, providers──▶ Settings
    and beside it: agreement (what settings must agree on), verdict (pydantic's findings in the reader's words), problem
    (where, and how it is told)
"""

from notifier.config.archive import ArchiveSettings
from notifier.config.fields import store_url
from notifier.config.listen import Listen, SystemdListen, TcpListen, UnixListen
from notifier.config.load import Loaded, Rejected, Secrets, as_reloaded, load, needs_restart, parse
from notifier.config.model import (
    EndpointSettings,
    IntakeSettings,
    LogSettings,
    NodeSettings,
    Settings,
    StoreSettings,
    TokenSettings,
    WatchSettings,
    WebhookSettings,
)
from notifier.config.presets import PRESETS
from notifier.config.problem import Problem
from notifier.config.providers import ProviderSettings
from notifier.config.schema import json_schema

__all__ = [
    "PRESETS",
    "ArchiveSettings",
    "EndpointSettings",
    "IntakeSettings",
    "Listen",
    "Loaded",
    "LogSettings",
    "NodeSettings",
    "Problem",
    "ProviderSettings",
    "Rejected",
    "Secrets",
    "Settings",
    "StoreSettings",
    "SystemdListen",
    "TcpListen",
    "TokenSettings",
    "UnixListen",
    "WatchSettings",
    "WebhookSettings",
    "as_reloaded",
    "json_schema",
    "load",
    "needs_restart",
    "parse",
    "store_url",
]
