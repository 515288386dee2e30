"""Register, change and forget endpoints; know at every moment whose secrets sign for which URL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, dropwhile
from typing import TypeAlias

import structlog

from notifier.domain.endpoint import Change, Endpoint, Overfull, Terms, changed, receiver
from notifier.domain.receiver import Receiver, Receivers, public_keys, without_query
from notifier.domain.signature import NEW_SECRET_BYTES, Ed25519Key, new_secret
from notifier.ports import Chance, Clock, EndpointStore, Guard, Page

log = structlog.get_logger()

FIRST = 2**62
"""In lists the configuration's endpoints stand before all others: their numbers count down from here."""

MOST_ENDPOINTS = 10_000
"""Registered ones: all are kept in memory, and each change goes through all of them."""
MOST_JUDGED = 1000
"""How many endpoints one page of the list looks at: judging a URL takes some time."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An endpoint that was registered or changed. `secret` is the one that was made for it, to be shown this once."""

    endpoint: Endpoint
    secret: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """The URL is registered already, under this id."""

    endpoint_id: str


@dataclass(frozen=True, slots=True)
class Full:
    """As many are registered as there may be."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why it cannot be; `field` is the part of the request that is wrong."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such endpoint."""


@dataclass(frozen=True, slots=True)
class Declared:
    """It is the configuration's, and changes there."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """It is gone; what is pending for its URL goes on under the global secrets."""


@dataclass(frozen=True, slots=True)
class EndpointPage:
    """A part of the list; `next_before` is where the next page goes on, None at the end."""

    endpoints: tuple[Endpoint, ...]
    next_before: int | None


Tell: TypeAlias = Callable[[Receivers], None]
"""Who addresses deliveries hears of every change here, before the caller does."""


class Endpoints:
    """Registered endpoints are kept in memory as well as in the store: every attempt asks for them. What the
    configuration says of a URL comes before what was registered for it."""

    def __init__(
        self, *, usual: Receiver, store: EndpointStore, guard: Guard, clock: Clock, chance: Chance, tell: Tell
    ) -> None:
        self._usual = usual
        self._store = store
        self._guard = guard
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self.receivers = Receivers(usual)
        self._declared: dict[str, Endpoint] = {}
        self._declared_at: dict[str, str] = {}
        self._registered: dict[str, Endpoint] = {}
        self._addressed: dict[str, Receiver] = {}
        self._overlaid: Mapping[str, Receiver] = {}
        self._holders: dict[str, str] = {}
        self._adding = 0
        self._changes = 0
        self._public: tuple[Ed25519Key, ...] | None = None

    async def load(self) -> None:
        """Take up what the store has; before this, nothing registered is known."""
        for endpoint in await self._store.endpoints():
            self._keep(endpoint)
        self._announce()

    async def reread(self) -> None:
        """Take over what other nodes changed. What changed here while the store was read is known better already."""
        changes, stored = self._changes, await self._store.endpoints()
        while changes != self._changes:
            changes, stored = self._changes, await self._store.endpoints()
        if list(self._registered.values()) == stored:
            return
        self._registered.clear()
        self._holders.clear()
        self._addressed.clear()
        for endpoint in stored:
            self._keep(endpoint)
        self._announce()

    def configure(self, declared: Sequence[Endpoint], usual: Receiver, guard: Guard) -> None:
        """These are the configuration's endpoints from now on, what holds for every other URL, and the guard."""
        self._usual, self._guard = usual, guard
        self._declared = {endpoint.id: endpoint for endpoint in declared}
        self._declared_at = {endpoint.url: endpoint.id for endpoint in declared}
        self._overlaid = {endpoint.url: receiver(endpoint.terms) for endpoint in declared}
        for endpoint in self._registered.values():
            if endpoint.url in self._overlaid:
                hint = "the configuration's endpoint with this URL is used; delete the one here, or the one in the file"
                log.warning("endpoint.shadowed", endpoint_id=endpoint.id, url=without_query(endpoint.url), hint=hint)
        self._announce()

    def secrets(self) -> frozenset[str]:
        """Every secret of a registered endpoint, as written: what no log line may hold."""
        return frozenset(secret for endpoint in self._registered.values() for secret in endpoint.terms.secrets)

    def public_keys(self) -> tuple[Ed25519Key, ...]:
        """The same tuple until receivers change: strangers may ask for it as often as they like."""
        if self._public is None:
            self._public = public_keys(self.receivers)
        return self._public

    # Looking

    def show(self, endpoint_id: str) -> Endpoint | None:
        return self._declared.get(endpoint_id) or self._registered.get(endpoint_id)

    def page(self, page: Page) -> EndpointPage:
        """The configuration's in the order of the file, then the others, newest first; of those that may be seen. A
        page may be short: how many endpoints one request looks at is bounded."""
        shown: list[Endpoint] = []
        last = None
        for judged, (number, endpoint) in enumerate(self._below(page.before)):
            if judged == MOST_JUDGED:
                return EndpointPage(tuple(shown), last)
            if not page.under or any(under.covers(endpoint.url) for under in page.under):
                if len(shown) == page.limit:
                    return EndpointPage(tuple(shown), last)
                shown.append(endpoint)
            last = number
        return EndpointPage(tuple(shown), None)

    def _below(self, before: int | None) -> Iterator[tuple[int, Endpoint]]:
        """By falling numbers, from below `before` on."""
        declared = ((FIRST - place, endpoint) for place, endpoint in enumerate(self._declared.values()))
        registered = ((endpoint.number, endpoint) for endpoint in reversed(self._registered.values()))
        every = chain(declared, registered)
        return every if before is None else dropwhile(lambda one: one[0] >= before, every)

    # Changing

    async def create(self, url: str, terms: Terms, *, by: str | None = None) -> Accepted | Taken | Wrong | Full:
        """Register a URL, with a new secret if the terms have none. `by` is who asks, for the log."""
        holder = self._declared_at.get(url) or self._holders.get(url)
        if holder is not None:
            return Taken(holder)
        refusal = await self._guard.check(url)
        if refusal is not None:
            return Wrong("url", refusal.message)
        made = None if terms.secrets else new_secret(self._chance.random_bytes(NEW_SECRET_BYTES))
        now = self._clock.now()
        whole = terms if made is None else replace(terms, secrets=(made,))
        asked = Endpoint(self._chance.new_id("ep_"), url, whole, created_at=now, updated_at=now)
        kept = await self._add(asked)
        if kept is None:
            return Full()
        if kept.id != asked.id:  # somebody else was faster
            return Taken(kept.id)
        self._keep(kept)
        self._announce()
        log.info("endpoint.registered", endpoint_id=kept.id, url=without_query(url), by=by)
        return Accepted(kept, made)

    async def _add(self, asked: Endpoint) -> Endpoint | None:
        """Those on their way into the store count, too."""
        if len(self._registered) + self._adding >= MOST_ENDPOINTS:
            return None
        self._adding += 1
        try:
            return await self._store.add_endpoint(asked)
        finally:
            self._adding -= 1

    async def change(
        self, endpoint_id: str, change: Change, *, by: str | None = None
    ) -> Accepted | Unknown | Declared | Wrong:
        """Change what is named; it holds from the next attempt on."""
        known = self._changeable(endpoint_id)
        if not isinstance(known, Endpoint):
            return known
        random_bytes, now = self._chance.random_bytes(NEW_SECRET_BYTES), self._clock.now()
        kept = await self._store.change_endpoint(
            endpoint_id, lambda stored: changed(stored, change, random_bytes=random_bytes, now=now)
        )
        if kept is None:
            return Unknown()
        if isinstance(kept, Overfull):
            return Wrong("headers", kept.message)
        self._keep(kept)
        self._announce()
        url, rotated = without_query(kept.url), change.rotate or None
        log.info("endpoint.changed", endpoint_id=kept.id, url=url, rotated=rotated, by=by)
        return Accepted(kept, kept.terms.secrets[0] if change.rotate else None)

    async def delete(self, endpoint_id: str, *, by: str | None = None) -> Deleted | Unknown | Declared:
        known = self._changeable(endpoint_id)
        if not isinstance(known, Endpoint):
            return known
        if not await self._store.remove_endpoint(endpoint_id):
            return Unknown()
        self._changes += 1
        self._registered.pop(endpoint_id, None)
        self._addressed.pop(known.url, None)
        self._holders.pop(known.url, None)
        self._announce()
        log.info("endpoint.deleted", endpoint_id=endpoint_id, url=without_query(known.url), by=by)
        return Deleted()

    def _changeable(self, endpoint_id: str) -> Endpoint | Unknown | Declared:
        if endpoint_id in self._declared:
            return Declared()
        return self._registered.get(endpoint_id) or Unknown()

    def _keep(self, endpoint: Endpoint) -> None:
        self._changes += 1
        self._registered[endpoint.id] = endpoint
        self._holders[endpoint.url] = endpoint.id
        self._addressed[endpoint.url] = receiver(endpoint.terms)

    def _announce(self) -> None:
        self.receivers = Receivers(self._usual, {**self._addressed, **self._overlaid})
        self._public = None
        self._tell(self.receivers)
