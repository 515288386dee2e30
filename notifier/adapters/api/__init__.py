"""The intake: Notifier's HTTP side, an ASGI application made of routes, problems and tokens."""

from notifier.adapters.api.app import build_api
from notifier.adapters.api.caller import Caller
from notifier.adapters.api.parts import ApiParts, PausedProvider, Readiness, Reloaded, ReloadRefused, ReloadResult

__all__ = [
    "ApiParts",
    "Caller",
    "PausedProvider",
    "Readiness",
    "ReloadRefused",
    "ReloadResult",
    "Reloaded",
    "build_api",
]
