"""Receivers: whose secrets sign for which callback URL, and which events it wants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from notifier.domain.event import EVENT_TYPES
from notifier.domain.signature import Ed25519Key, SigningKey


@dataclass(frozen=True, slots=True)
class Receiver:
    """How one callback URL is addressed: `keys` sign newest first, `headers` are added to every request. `rate`
    (attempts a second) and `concurrency` (attempts in flight) are its own limits; None leaves it to its host's."""

    keys: tuple[SigningKey, ...]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    events: frozenset[str] = frozenset(EVENT_TYPES)
    rate: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Receivers:
    """Registered endpoints by their exact URL, and what holds for every other URL."""

    usual: Receiver
    endpoints: Mapping[str, Receiver] = field(default_factory=dict)

    def at(self, callback_url: str) -> Receiver:
        return self.endpoints.get(callback_url, self.usual)


def public_keys(receivers: Receivers) -> tuple[Ed25519Key, ...]:
    """The keys whose public halves the intake shows, each once: the global ones first, then those of endpoints."""
    signing = [key for receiver in (receivers.usual, *receivers.endpoints.values()) for key in receiver.keys]
    return tuple(dict.fromkeys(key for key in signing if isinstance(key, Ed25519Key)))


@lru_cache(maxsize=4096)
def host_of(callback_url: str) -> str:
    """Host and port: what is slow is a server, not a path."""
    parts = urlsplit(callback_url)
    port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
    return f"[{parts.hostname}]:{port}" if ":" in (parts.hostname or "") else f"{parts.hostname}:{port}"


def without_query(url: str) -> str:
    """The URL as logs may show it: query strings often carry secrets."""
    return url.partition("#")[0].partition("?")[0]
