"""One poll by hand: with the configuration's provider, and with everything kept that its author wants to see."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from notifier.adapters.clock import SystemClock
from notifier.adapters.http import Http
from notifier.adapters.providers import Credentials, DescribedApi, Poll, Sent, Unready
from notifier.app.describing import credentials, describe, provider_secrets
from notifier.app.wiring import USER_AGENT, secret_values
from notifier.config import ProviderSettings, Settings
from notifier.config.provider_agreement import API_KEY
from notifier.config.providers import AuthSettings
from notifier.domain.masking import MASK, masker

SHORTEST_SECRET = 3
"""Characters: what is shorter keeps nobody out, and masked would leave no text readable."""
_SCHEMES = ("Bearer", "Basic")
KEEPALIVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Tried:
    """What went along with each request, as it may be shown: `headers`, and the names of parameters of the query string
    and of members of the body. `mask` takes every secret out of any text."""

    poll: Poll
    headers: Mapping[str, str]
    query: tuple[str, ...]
    body: tuple[str, ...]
    mask: Callable[[str], str]


@dataclass(slots=True)
class _Witness:
    """Credentials that remember what was sent."""

    inner: Credentials
    sent: list[Sent] = field(default_factory=list)

    async def now(self) -> Sent | Unready:
        sent = await self.inner.now()
        if isinstance(sent, Sent):
            self.sent.append(sent)
        return sent

    def refused(self) -> None:
        self.inner.refused()


def unset_secret(provider: ProviderSettings) -> str | None:
    """The setting of a secret that `auth` needs, and whose variable or file is not there."""
    auth = provider.auth
    if auth is None:
        return None
    found = dict(_secrets_of(auth))
    texts = {name: secret.get_secret_value() for name, secret in found.items() if secret is not None}
    if any(API_KEY in text for text in texts.values()) and not provider.api_key.get_secret_value():
        return "api_key"
    return next((name for name, text in texts.items() if not text), None)


def _secrets_of(auth: AuthSettings) -> Iterator[tuple[str, SecretStr | None]]:
    """Without the password of HTTP Basic, which may be empty."""
    yield "auth.bearer", auth.bearer
    if auth.header is not None:
        yield "auth.header.value", auth.header.value
    if auth.query is not None:
        yield "auth.query.value", auth.query.value
    if auth.body is not None:
        yield "auth.body.value", auth.body.value
    if auth.basic is not None:
        yield "auth.basic.username", auth.basic.username
    if auth.jwt_hs256 is not None:
        yield "auth.jwt_hs256.access_key", auth.jwt_hs256.access_key
        yield "auth.jwt_hs256.secret_key", auth.jwt_hs256.secret_key


async def try_out(settings: Settings, name: str, task_id: str, variables: Mapping[str, str]) -> Tried:
    """Poll a task of the provider `name` once, as the daemon would; nothing is stored."""
    provider, clock, learned = settings.providers[name], SystemClock(), set[str]()
    witness = _Witness(credentials(provider, clock, learned.add))
    http = Http(guard=None, keepalive=KEEPALIVE_SECONDS)
    api = DescribedApi(
        describe(provider), witness, timeout=provider.timeout, http=http, clock=clock, user_agent=USER_AGENT
    )
    try:
        poll = await api.trace(task_id, variables)
    finally:
        await http.aclose()
    sent = [text for one in witness.sent for text in one.texts()]
    shown = witness.sent[0] if witness.sent else Sent()
    return Tried(
        poll,
        headers={name: _header_shown(value) for name, value in shown.headers.items()},
        query=tuple(name for name, _ in shown.query),
        body=tuple(shown.body),
        mask=masker([*secret_values(settings), *provider_secrets(provider), *learned, *sent], shortest=SHORTEST_SECRET),
    )


def _header_shown(value: str) -> str:
    """Only a scheme of HTTP's own is no part of the secret for sure."""
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and scheme in _SCHEMES else MASK
