"""The intake: Notifier's HTTP side, an ASGI application made of routes, problems and tokens."""

from notifier.adapters.api.app import build_api
from notifier.adapters.api.caller import Caller
from notifier.adapters.api.parts import (
    ApiParts,
    Cluster,
    LastReload,
    PausedProvider,
    Readiness,
    Reloaded,
    ReloadRefused,
    ReloadResult,
    Status,
)

__all__ = [
    "ApiParts",
    "Caller",
    "Cluster",
    "LastReload",
    "PausedProvider",
    "Readiness",
    "ReloadRefused",
    "ReloadResult",
    "Reloaded",
    "Status",
    "build_api",
]
