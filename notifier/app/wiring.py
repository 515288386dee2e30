"""Settings → the plain values that services work with. No setting reaches further than this file."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from notifier import __version__
from notifier.adapters.api import Caller
from notifier.adapters.http import NOWHERE, Home, Http
from notifier.adapters.providers import DescribedApi
from notifier.adapters.stores.address import file_of, is_server, passwords
from notifier.app.describing import credentials, describe, provider_secrets
from notifier.config import EndpointSettings, ProviderSettings, Settings
from notifier.domain.delivery import RetrySchedule
from notifier.domain.endpoint import Endpoint, Terms, declared
from notifier.domain.event import EVENT_TYPES
from notifier.domain.freshness import Freshness
from notifier.domain.link import Links, link_key
from notifier.domain.masking import written_forms
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.signature import parse_secret
from notifier.ports import Clock, Provider
from notifier.services.channel import PollLimits
from notifier.services.dispatcher import DispatchPolicy
from notifier.services.registrar import WatchRequest, WatchRules

USER_AGENT = f"notifier/{__version__}"
USUAL_LINK_SECONDS = 7 * 86_400.0
"""While archiving is off: links of before are then told that, instead of that they are wrong."""


def store_folder(settings: Settings) -> Path:
    """Where the store is; the working directory, if it is a server's."""
    return Path() if is_server(settings.store.url) else file_of(settings.store.url).parent


def dispatch_policy(settings: Settings, receivers: Receivers) -> DispatchPolicy:
    webhooks = settings.webhooks
    return DispatchPolicy(
        receivers=receivers,
        schedule=RetrySchedule(tuple(webhooks.retry)),
        concurrency=webhooks.concurrency,
        per_host=webhooks.per_host,
        links=links(settings),
        freshness=Freshness(webhooks.refresh_after, webhooks.timeout),
    )


def links(settings: Settings) -> Links | None:
    """Links to saved files; None where nobody can be told where the intake is."""
    if settings.intake.public_url is None:
        return None
    lifetime = USUAL_LINK_SECONDS if settings.archive is None else settings.archive.link_ttl
    keys = tuple(link_key(key) for key in usual_receiver(settings).keys)
    return Links(settings.intake.public_url.rstrip("/"), lifetime, keys)


def host_names(settings: Settings) -> Collection[str]:
    """By which names clients may ask for an intake on loopback."""
    public = urlsplit(settings.intake.public_url or "").hostname
    return settings.intake.hosts if public is None else (*settings.intake.hosts, public)


def usual_receiver(settings: Settings) -> Receiver:
    """Every URL that is no endpoint's: the global secrets sign for it."""
    return Receiver(tuple(parse_secret(secret.get_secret_value()) for secret in settings.webhooks.secrets))


def declared_endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """An endpoint's own secrets replace the global ones for its URL."""
    return tuple(declared(endpoint.url, _terms(endpoint)) for endpoint in settings.endpoints)


def _terms(endpoint: EndpointSettings) -> Terms:
    return Terms(
        secrets=tuple(secret.get_secret_value() for secret in endpoint.secrets),
        headers=dict(endpoint.headers),
        events=tuple(event for event in EVENT_TYPES if event in endpoint.events),
        rate=endpoint.rate,
        concurrency=endpoint.concurrency,
    )


def tokens(settings: Settings) -> Mapping[Caller, str]:
    return {
        Caller(token.name, token.callback_prefixes): token.token.get_secret_value() for token in settings.intake.tokens
    }


def watch_rules(settings: Settings) -> Mapping[str, WatchRules]:
    return {name: _rules_of(provider) for name, provider in settings.providers.items()}


def _rules_of(provider: ProviderSettings) -> WatchRules:
    description = describe(provider)
    return WatchRules(
        provider.interval,
        provider.min_interval,
        provider.deadline,
        judge_variables=description.judge_variables,
        judge_task_id=description.judge_task_id,
    )


def declared_watches(settings: Settings) -> tuple[WatchRequest, ...]:
    return tuple(
        WatchRequest(
            task_id=watch.task_id,
            callback_url=watch.callback_url,
            provider=watch.provider,
            interval=watch.interval,
            deadline=watch.deadline,
            metadata=watch.metadata,
            variables=watch.vars,
        )
        for watch in settings.watches
    )


def poll_limits(provider: ProviderSettings) -> PollLimits:
    return PollLimits(
        interval=provider.interval,
        rate=provider.rate,
        concurrency=provider.concurrency,
        not_found_grace=provider.not_found_grace,
        min_interval=provider.min_interval,
        adaptive=provider.interval.adaptive,
    )


LIMITS = ("preset", "docs", "interval", "min_interval", "deadline", "rate", "concurrency", "not_found_grace")
"""What of a provider's settings does not change how it is asked."""


class ProviderBook:
    """The providers that are in use: one that is asked and read as before stays the same object, so that a reload about
    something else does not end its pause. `learned` is told every token that a provider's command prints or
    that is signed for it."""

    def __init__(self, http: Http, clock: Clock, learned: Callable[[str], None]) -> None:
        self._http = http
        self._clock = clock
        self._learned = learned
        self._built: dict[str, tuple[ProviderSettings, DescribedApi]] = {}

    async def home(self, name: str) -> Home:
        """Where the credentials of this provider may go; nowhere, if there is none."""
        known = self._built.get(name)
        return NOWHERE if known is None else await known[1].home()

    def providers(self, settings: Settings) -> Mapping[str, tuple[Provider, PollLimits]]:
        return {
            name: (self._provider(name, provider), poll_limits(provider))
            for name, provider in settings.providers.items()
        }

    def _provider(self, name: str, settings: ProviderSettings) -> DescribedApi:
        marks = settings.model_copy(update=dict.fromkeys(LIMITS))
        known = self._built.get(name)
        if known is None or known[0] != marks:
            known = self._built[name] = (marks, self._build(settings))
        return known[1]

    def _build(self, settings: ProviderSettings) -> DescribedApi:
        return DescribedApi(
            describe(settings),
            credentials(settings, self._clock, self._learned),
            timeout=settings.timeout,
            http=self._http,
            clock=self._clock,
            user_agent=USER_AGENT,
            secrets=frozenset(provider_secrets(settings)),
        )


def secret_values(settings: Settings) -> frozenset[str]:
    """Every secret of the configuration, those of providers in every form that these may send back: what no log line
    may hold."""
    secrets = [token.token for token in settings.intake.tokens]
    secrets += settings.webhooks.secrets
    secrets += [secret for endpoint in settings.endpoints for secret in endpoint.secrets]
    sent = (text for provider in settings.providers.values() for text in provider_secrets(provider))
    known = passwords(settings.store.url).union(secret.get_secret_value() for secret in secrets)
    return known.union(*map(written_forms, sent))
