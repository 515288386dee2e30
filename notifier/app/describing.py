"""A provider's settings → its description, and the credentials that it is asked with."""

import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import SecretStr

from notifier.adapters.providers import Command, Credentials, Fixed, Sent, SignedToken, basic, bearer
from notifier.config import ProviderSettings
from notifier.config.provider_agreement import API_KEY, REQUIRED
from notifier.config.providers import (
    AuthSettings,
    ErrorSettings,
    ExpirySettings,
    HintSettings,
    ResultSettings,
    RuleSettings,
)
from notifier.domain.description import (
    Description,
    ErrorPaths,
    ExpiresAfter,
    ExpiresAt,
    HintHeader,
    HintSeconds,
    Question,
    Rule,
    SecondLook,
)
from notifier.domain.template import Template
from notifier.ports import Clock

_OF_CREDENTIALS = re.compile("auth|key|token|secret|password|cookie|credential", re.IGNORECASE)
_SCHEMES = ("basic", "bearer", "digest", "key", "token")


def describe(settings: ProviderSettings) -> Description:
    poll = settings.poll
    return Description(
        base_url=settings.base_url,
        poll=Question(
            path=poll.path,
            method=poll.method,
            query=_pairs(poll.query),
            headers=_pairs(poll.headers),
            body=poll.body,
        ),
        status=settings.status or (),
        completed=frozenset(settings.completed),
        failed=frozenset(settings.failed),
        running=frozenset(settings.running),
        variables={name: None if usual == REQUIRED else usual for name, usual in settings.vars.items()},
        hosts=settings.hosts,
        rules=_rules(settings.rules),
        id=settings.id or (),
        urls=settings.urls,
        error=_error(settings.error) or ErrorPaths(),
        progress=settings.progress or (),
        model=settings.model or (),
        expires=_expiry(settings.expires),
        result=_result(settings.result),
        download=None if settings.download is None else settings.download.path,
        hint=_hint(settings.hint),
    )


def _pairs(templates: Mapping[str, Template]) -> tuple[tuple[str, Template], ...]:
    return tuple(templates.items())


def _rules(rules: tuple[RuleSettings, ...]) -> tuple[Rule, ...]:
    return tuple(Rule(rule.outcome, rule.http, rule.when) for rule in rules)


def _error(error: ErrorSettings | None) -> ErrorPaths | None:
    return None if error is None else ErrorPaths(error.code or (), error.message or ())


def _expiry(expires: ExpirySettings | None) -> ExpiresAfter | ExpiresAt | None:
    if expires is None:
        return None
    return ExpiresAt(expires.at or ()) if expires.after is None else ExpiresAfter(expires.after)


def _hint(hint: HintSettings | None) -> HintHeader | HintSeconds | None:
    if hint is None:
        return None
    return HintSeconds(hint.seconds or ()) if hint.header is None else HintHeader(hint.header)


def _result(result: ResultSettings | None) -> SecondLook | None:
    if result is None:
        return None
    return SecondLook(
        path=result.path,
        url=result.url or (),
        query=_pairs(result.query),
        headers=_pairs(result.headers),
        urls=result.urls,
        error=_error(result.error),
        rules=_rules(result.rules),
    )


def credentials(settings: ProviderSettings, clock: Clock, learned: Callable[[str], None]) -> Credentials:
    """`learned` is told every token that a command prints or that is signed here."""
    auth, key = settings.auth, settings.api_key.get_secret_value()
    if auth is None:
        return Fixed()
    if auth.command:
        return Command(auth.command, ttl=auth.ttl, clock=clock, learned=learned)
    if (signed := auth.jwt_hs256) is not None:
        access_key, secret_key = (_with_key(one, key) for one in (signed.access_key, signed.secret_key))
        return SignedToken(access_key, secret_key, ttl=signed.ttl, clock=clock, learned=learned)
    return Fixed(_fixed(auth, key))


def _fixed(auth: AuthSettings, key: str) -> Sent:
    if auth.header is not None:
        return Sent(headers={auth.header.name.lower(): _with_key(auth.header.value, key)})
    if auth.query is not None:
        return Sent(query=((auth.query.name, _with_key(auth.query.value, key)),))
    if auth.body is not None:
        return Sent(body={auth.body.name: _with_key(auth.body.value, key)})
    if auth.basic is not None:
        return basic(_with_key(auth.basic.username, key), _with_key(auth.basic.password, key))
    return bearer("" if auth.bearer is None else _with_key(auth.bearer, key))


def _with_key(secret: SecretStr, key: str) -> str:
    return secret.get_secret_value().replace(API_KEY, key)


def provider_secrets(settings: ProviderSettings) -> Iterator[str]:
    """Every text that a provider is sent and that no log line may hold: the key, what `auth` says with the key in it
    or without, and what was written as a header instead."""
    auth, key = settings.auth, settings.api_key.get_secret_value()
    yield key
    yield from _header_secrets(settings.poll.headers)
    if settings.result is not None:
        yield from _header_secrets(settings.result.headers)
    if auth is None:
        return
    found = [auth.bearer]
    found += [part.value for part in (auth.header, auth.query, auth.body) if part is not None]
    if auth.basic is not None:
        found += [auth.basic.username, auth.basic.password]
        yield ":".join(_with_key(part, key) for part in (auth.basic.username, auth.basic.password))
    if auth.jwt_hs256 is not None:
        found += [auth.jwt_hs256.access_key, auth.jwt_hs256.secret_key]
    for secret in found:
        if secret is not None and secret.get_secret_value() != API_KEY:
            yield _with_key(secret, key)


def _header_secrets(headers: Mapping[str, Template]) -> Iterator[str]:
    """What literally stands in headers that carry credentials, without the scheme."""
    for name, template in headers.items():
        if _OF_CREDENTIALS.search(name):
            words = (word for part in template.parts if isinstance(part, str) for word in part.split())
            yield from (word for word in words if word.lower() not in _SCHEMES)
