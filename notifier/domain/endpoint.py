"""An endpoint: a registered callback URL with its own secrets, headers, events and limits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Final, Literal, TypeAlias

from notifier.domain.event import EVENT_TYPES, TaskEvent
from notifier.domain.headers import distinct, merged
from notifier.domain.receiver import Receiver
from notifier.domain.signature import new_private_key, new_secret, parse_secret
from notifier.domain.watch import Source

MOST_SECRETS = 10
"""All of them sign every attempt, so each makes every request longer."""
MOST_CONCURRENCY = 1000


class _Keep(Enum):
    KEEP = "keep"


KEEP: Final = _Keep.KEEP
"""In a change: this stays as it is, which None would not say."""
Kept: TypeAlias = Literal[_Keep.KEEP]


@dataclass(frozen=True, slots=True)
class Terms:
    """What can be said of an endpoint, and changed. `secrets` are as written (`whsec_…`, `whsk_…`), newest first; none
    asks for one to be made. `rate` is attempts a second, `concurrency` attempts in flight; None is no limit of its own.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    events: tuple[TaskEvent, ...] = EVENT_TYPES
    rate: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`number` counts registrations and is the store's to give; it is 0, and there are no times, for an endpoint of the
    configuration."""

    id: str
    url: str
    terms: Terms
    source: Source = "intake"
    number: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different. `headers` are set by name, or removed where the value is None; all of them when it is
    None itself. `rotate` puts a new secret before the newest one, and drops the others."""

    secrets: tuple[str, ...] | Kept = field(default=KEEP, repr=False)
    rotate: bool = False
    headers: Mapping[str, str | None] | None = field(default_factory=dict, repr=False)
    events: tuple[TaskEvent, ...] | Kept = KEEP
    rate: float | Kept | None = KEEP
    concurrency: int | Kept | None = KEEP


@dataclass(frozen=True, slots=True)
class Overfull:
    """A change that would give an endpoint more headers than it may have. `message` continues their name."""

    message: str


def declared(url: str, terms: Terms) -> Endpoint:
    """An endpoint of the configuration. Its id follows from the URL, so that it is the same after every start."""
    return Endpoint("ep_" + hashlib.sha256(url.encode()).hexdigest()[:24], url, terms, "config")


def receiver(terms: Terms) -> Receiver:
    """How the dispatcher addresses it; ValueError for a secret that is none."""
    return Receiver(
        keys=tuple(parse_secret(secret) for secret in terms.secrets),
        headers=dict(terms.headers),
        events=frozenset(terms.events),
        rate=terms.rate,
        concurrency=terms.concurrency,
    )


def changed(endpoint: Endpoint, change: Change, *, random_bytes: bytes, now: datetime) -> Endpoint | Overfull:
    """The endpoint as it is to be; `updated_at` tells whether anything is different. `random_bytes` are 32 fresh ones,
    for a new secret."""
    old = endpoint.terms
    headers = {} if change.headers is None else merged(old.headers, change.headers)
    try:
        distinct(headers)
    except ValueError as error:
        return Overfull(str(error))
    secrets = old.secrets if change.secrets is KEEP else change.secrets
    terms = Terms(
        secrets=rotated(secrets, random_bytes) if change.rotate else secrets,
        headers=headers,
        events=old.events if change.events is KEEP else change.events,
        rate=old.rate if change.rate is KEEP else change.rate,
        concurrency=old.concurrency if change.concurrency is KEEP else change.concurrency,
    )
    return endpoint if terms == old else replace(endpoint, terms=terms, updated_at=now)


def rotated(secrets: Sequence[str], random_bytes: bytes) -> tuple[str, str]:
    """A new secret, and the newest of the old ones, which goes on signing until it is dropped. The new one is of the
    same kind: who verifies with a public key could do nothing with a shared secret."""
    newest = secrets[0]
    make = new_private_key if newest.startswith("whsk_") else new_secret
    return make(random_bytes), newest
