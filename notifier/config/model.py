"""The settings: every one with its default, its parser and the sentence that editors show.

Durations are float seconds, rates floats per second. Each field is judged by itself; what several settings
must agree on is in `agreement`. Defaults stand as one would write them.
"""

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from notifier.config import fields
from notifier.config.archive import ArchiveSettings
from notifier.config.kinds import (
    Age,
    BearerSecret,
    CallbackPrefix,
    Concurrency,
    Duration,
    HeaderName,
    HeaderValue,
    HostName,
    MaybeConcurrency,
    MaybeDuration,
    MaybeName,
    MaybeRate,
    Name,
    Network,
    ProviderName,
    Section,
    SigningSecret,
    optional,
    setting,
    shape,
    text_shape,
    words_shape,
)
from notifier.config.listen import Listen, parse_listen
from notifier.config.providers import ProviderSettings, VariableName
from notifier.domain.event import EVENT_TYPES, EventType
from notifier.domain.headers import distinct
from notifier.domain.variables import MAX_VALUE_CHARACTERS
from notifier.domain.watch import MAX_TASK_ID_CHARACTERS

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["auto", "console", "journald", "json"]

MOST_WAITS = 1000

Event = Annotated[EventType, PlainValidator(fields.one_of(EVENT_TYPES)), words_shape(*EVENT_TYPES)]
Level = Annotated[LogLevel, PlainValidator(fields.one_of(get_args(LogLevel))), words_shape(*get_args(LogLevel))]
Format = Annotated[LogFormat, PlainValidator(fields.one_of(get_args(LogFormat))), words_shape(*get_args(LogFormat))]


Variable = Annotated[
    str,
    PlainValidator(fields.variable),
    shape({"type": "string", "maxLength": MAX_VALUE_CHARACTERS}, {"type": "integer"}),
]


class StoreSettings(Section):
    """Where watches and deliveries are kept."""

    url: Annotated[
        str, PlainValidator(fields.store_url), text_shape(pattern="^(sqlite:///|postgres(ql)?://).")
    ] = setting(
        "The database: sqlite:///PATH (four slashes make it absolute), or postgresql://user:password@host/database.",
        "sqlite:///notifier.db",
    )
    retention: Duration = setting("Ended watches and their deliveries are deleted after this.", "30d")


class TokenSettings(Section):
    """A bearer token of the intake."""

    name: Name = setting("Whose token it is; appears in log lines.")
    token: BearerSecret = setting("The token that the caller sends: visible ASCII without spaces.")
    callback_prefixes: tuple[CallbackPrefix, ...] = setting(
        "The caller registers, sees and touches only what goes to URLs under these; [] is no limit.", ()
    )


class IntakeSettings(Section):
    """The HTTP side: registering watches, looking at deliveries, health and metrics."""

    listen: Annotated[
        Listen | None, PlainValidator(parse_listen), WithJsonSchema({"type": ["string", "null"]})
    ] = setting(
        'HOST:PORT, unix:/path, "systemd:" (a passed socket; in quotes), or null for no intake.', "127.0.0.1:8470"
    )
    tokens: tuple[TokenSettings, ...] = setting(
        "Who may call; required when listening beyond loopback or a unix socket.", ()
    )
    hosts: tuple[HostName, ...] = setting(
        "Names by which clients reach an intake that listens on loopback, such as a reverse proxy's.", ()
    )
    public_url: Annotated[str | None, *optional(fields.base_url, text_shape(pattern="^https?://"))] = setting(
        "Where receivers reach the intake, such as https://notifier.example.com; events then link to saved files.", None
    )


class WebhookSettings(Section):
    """How events are sent."""

    secrets: tuple[SigningSecret, ...] = setting("Signing secrets, newest first: all of them sign.")
    timeout: Duration = setting("One attempt, from DNS to the last byte.", "15s")
    retry: Annotated[tuple[Duration, ...], Field(max_length=MOST_WAITS)] = setting(
        f"The waits between attempts, ±20 %; at most {MOST_WAITS}, and [] for a single attempt.",
        ("5s", "30s", "2m", "10m", "30m", "1h", "2h", "4h", "8h", "12h", "24h", "24h"),
    )
    refresh_after: Age = setting(
        "Result URLs that were learned so long ago are asked for again before they are sent; 0 is never.", "1h"
    )
    concurrency: Concurrency = setting("Attempts in flight, all endpoints together.", 256)
    per_host: Concurrency = setting("Attempts in flight to one receiving host.", 8)
    allow_networks: tuple[Network, ...] = setting(
        "CIDRs that may be called although they are not public, and over http://.", ()
    )


class EndpointSettings(Section):
    """A registered callback URL."""

    url: Annotated[str, PlainValidator(fields.text), text_shape(pattern="^https?://")] = setting(
        "A watch whose callback_url is exactly this uses these settings."
    )
    secrets: tuple[SigningSecret, ...] = setting(
        "Signing secrets, newest first, in the place of the global ones; by default those.", ()
    )
    headers: Annotated[dict[HeaderName, HeaderValue], AfterValidator(distinct)] = setting(
        "Sent with every attempt; never webhook-*, host, content-* or hop-by-hop ones.", {}, repr=False
    )
    events: Annotated[tuple[Event, ...], Field(min_length=1)] = setting(
        "Which events are sent; by default all.", EVENT_TYPES
    )
    rate: MaybeRate = setting(
        "Attempts at this URL: 10/s, 600/m or 36000/h; by default as they come.", None, validate_default=False
    )
    concurrency: MaybeConcurrency = setting(
        "Attempts in flight to this URL; by default as many as per_host.", None, validate_default=False
    )


class WatchSettings(Section):
    """A watch that is declared in the file."""

    task_id: Annotated[
        str, PlainValidator(fields.task_id), text_shape(minLength=1, maxLength=MAX_TASK_ID_CHARACTERS)
    ] = setting("The provider's id of the task; a number goes in quotes.")
    callback_url: Annotated[str, PlainValidator(fields.text), text_shape(pattern="^https?://")] = setting(
        "Who is told how the task ended."
    )
    provider: Annotated[str, PlainValidator(fields.text), text_shape()] = setting(
        "The name of a provider; by default the only one."
    )
    interval: MaybeDuration = setting(
        "Polled this often; by default the provider's interval.", None, validate_default=False
    )
    deadline: MaybeDuration = setting("Given up after this; by default the provider's.", None, validate_default=False)
    metadata: Annotated[
        dict[str, Any], PlainValidator(fields.metadata), shape({"type": "object"})
    ] = setting("Returned untouched in the event; at most 4 KiB as JSON.", {})
    vars: dict[VariableName, Variable] = setting(
        "Values that its provider needs beside the task id, or that differ from its defaults.", {}
    )


class NodeSettings(Section):
    """This daemon among those that share a store."""

    name: MaybeName = setting("By default host name and process id.", None, validate_default=False)


class LogSettings(Section):
    """Log lines, on stderr."""

    level: Level = setting("The least level that is logged.", "info")
    format: Format = setting("auto: console on a terminal, journald's when under it, else JSON lines.", "auto")


class Settings(Section):
    """The whole file. With `secrets="optional"` a secret that is not known is empty, or missing from its list."""

    store: StoreSettings = setting("Where watches and deliveries are kept.", {})
    intake: IntakeSettings = setting("The HTTP side.", {})
    providers: Annotated[dict[ProviderName, ProviderSettings], Field(min_length=1)] = setting(
        "The APIs that run tasks, by the names that watches use."
    )
    webhooks: WebhookSettings = setting("How events are sent.")
    archive: ArchiveSettings | None = setting("Where results are saved; null: they are not.", None)
    endpoints: tuple[EndpointSettings, ...] = setting("Registered callback URLs with their own secrets.", ())
    watches: tuple[WatchSettings, ...] = setting("Watches that are declared here.", ())
    node: NodeSettings = setting("This daemon among those that share a store.", {})
    log: LogSettings = setting("Log lines, on stderr.", {})

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """Defaults that depend on other settings: an endpoint's secrets, a watch's provider."""
        if not isinstance(data, dict):
            return data
        providers, webhooks = data.get("providers"), data.get("webhooks")
        names = list(providers) if isinstance(providers, dict) else []
        secrets = webhooks.get("secrets", []) if isinstance(webhooks, dict) else []
        filled = _with_defaults(data, "endpoints", {"secrets": secrets})
        if len(names) < 2:
            # Without any provider that is what is wrong, and no watch is to blame.
            filled = _with_defaults(filled, "watches", {"provider": "".join(names)})
        return filled


def _with_defaults(data: dict[str, Any], section: str, defaults: dict[str, Any]) -> dict[str, Any]:
    """A copy with defaults for every mapping in a list; other shapes are left for the fields to refuse."""
    found = data.get(section)
    if not isinstance(found, list):
        return dict(data)
    return {**data, section: [_under(entry, defaults) for entry in found]}


def _under(body: Any, defaults: dict[str, Any]) -> Any:
    return defaults | body if isinstance(body, dict) else body
