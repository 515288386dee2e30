"""What requests about endpoints look like; whether an endpoint can be had is its service's to judge."""

from collections.abc import Mapping
from typing import Annotated, Any, Never

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.config import JsonDict

from notifier.adapters.api.models import LONGEST_URL, Shape
from notifier.domain.endpoint import KEEP, MOST_CONCURRENCY, MOST_SECRETS, Change, Terms
from notifier.domain.event import EVENT_TYPES, TaskEvent
from notifier.domain.headers import (
    LONGEST_NAME,
    LONGEST_VALUE,
    MOST_HEADERS,
    NAME_PATTERN,
    VALUE_PATTERN,
    distinct,
    header_name,
    header_value,
)
from notifier.domain.quantity import MOST_PER_SECOND, RATE_PATTERN, parse_rate
from notifier.domain.signature import parse_secret


def _rate(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 < value <= MOST_PER_SECOND:
            raise ValueError(f"must be more than 0 and at most {MOST_PER_SECOND:.0f} a second")
        return float(value)
    return None if value is None else parse_rate(value)


def _secret(value: str) -> str:
    parse_secret(value)
    return value


def _value_or_none(value: Any) -> str | None:
    return None if value is None else header_value(value)


def _refuse_url(_: Any) -> Never:
    raise ValueError("cannot change: register the new URL as an endpoint of its own, and delete this one")


def _each_once(items: list[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


_URL_SHAPE: JsonDict = {"format": "uri", "maxLength": LONGEST_URL, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+"}
_VALUE_SHAPE = {"type": "string", "maxLength": LONGEST_VALUE, "pattern": f"^({VALUE_PATTERN})$"}
_NAMES: JsonDict = {
    "propertyNames": {"maxLength": LONGEST_NAME, "pattern": f"^({NAME_PATTERN})$"},
    "maxProperties": MOST_HEADERS,
}

Secret = Annotated[str, AfterValidator(_secret), Field(json_schema_extra={"pattern": "^(whsec_|whsk_)"})]
Secrets = Annotated[list[Secret], Field(min_length=1, max_length=MOST_SECRETS), AfterValidator(_each_once)]
Events = Annotated[list[TaskEvent], Field(min_length=1), AfterValidator(_each_once)]
HeaderName = Annotated[str, PlainValidator(header_name), WithJsonSchema({"type": "string"})]
Headers = Annotated[
    dict[HeaderName, Annotated[str, PlainValidator(header_value), WithJsonSchema(_VALUE_SHAPE)]],
    Field(json_schema_extra=_NAMES),
    AfterValidator(distinct),
]
HeaderChanges = Annotated[
    dict[
        HeaderName,
        Annotated[
            str | None, PlainValidator(_value_or_none), WithJsonSchema({"anyOf": [_VALUE_SHAPE, {"type": "null"}]})
        ],
    ],
    Field(json_schema_extra=_NAMES),
    AfterValidator(distinct),
]
Rate = Annotated[
    float | None,
    BeforeValidator(_rate),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^({RATE_PATTERN})$"},
                {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_PER_SECOND},
                {"type": "null"},
            ]
        }
    ),
]
Concurrency = Annotated[int, Field(ge=1, le=MOST_CONCURRENCY)] | None


class _Members(Shape):
    """What can be said of an endpoint when it is registered, and later."""

    secret: Secret | None = Field(default=None, description="The only signing secret; instead of secrets.", repr=False)
    secrets: Secrets | None = Field(default=None, description="Signing secrets, newest first; all sign.", repr=False)
    events: Events | None = Field(default=None, description="Which events are sent; by default all.")
    rate: Rate = Field(default=None, description="Attempts: text such as 10/s or 600/m, or a number a second.")
    concurrency: Concurrency = Field(default=None, description="Attempts in flight.")

    @field_validator("secrets")
    @classmethod
    def _one_way(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("secret") is not None:
            raise ValueError("cannot stand beside secret; give one of them")
        return value

    def all_secrets(self) -> tuple[str, ...]:
        return tuple(self.secrets or ()) if self.secret is None else (self.secret,)


def _all_events(events: list[TaskEvent] | None) -> tuple[TaskEvent, ...]:
    return tuple(event for event in EVENT_TYPES if events is None or event in events)


class NewEndpoint(_Members):
    """A callback URL to register. An optional member that is null counts as absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://app.example.com/hooks/video",
                    "events": ["task.completed", "task.failed"],
                    "headers": {"X-Env": "production"},
                    "rate": "10/s",
                    "concurrency": 4,
                }
            ]
        }
    )

    url: str = Field(
        description="A watch whose callback_url is exactly this is told under these terms.",
        json_schema_extra=_URL_SHAPE,
    )
    headers: Headers | None = Field(default=None, description="Sent with every attempt.", repr=False)

    def terms(self) -> Terms:
        headers: Mapping[str, str] = self.headers or {}
        return Terms(self.all_secrets(), headers, _all_events(self.events), self.rate, self.concurrency)


class EndpointChange(_Members):
    """What is to be different: members that are not there stay, null goes back to the default, and
    secrets stay for null as well."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rotate": True}, {"rate": None, "headers": {"X-Old": None}}]}
    )

    headers: HeaderChanges | None = Field(
        default=None, description="Set by name, or removed where the value is null; null removes all.", repr=False
    )
    rotate: bool | None = Field(
        default=None, description="Make a new secret; the newest one until now goes on signing, older ones do not."
    )
    url: Annotated[Any, PlainValidator(_refuse_url), WithJsonSchema({"not": {}})] = Field(
        default_factory=lambda: None,  # a default that the schema showed would not fit it
        description="Cannot change.",
    )

    @field_validator("rotate")
    @classmethod
    def _one_way_to_rotate(cls, value: Any, info: ValidationInfo) -> Any:
        if value and any(info.data.get(name) is not None for name in ("secret", "secrets")):
            raise ValueError("makes a secret of its own; to set yours, send secrets: [new, old] without it")
        return value

    def change(self) -> Change:
        given = self.model_fields_set
        return Change(
            secrets=self.all_secrets() or KEEP,
            rotate=bool(self.rotate),
            headers=self.headers if "headers" in given else {},
            events=_all_events(self.events) if "events" in given else KEEP,
            rate=self.rate if "rate" in given else KEEP,
            concurrency=self.concurrency if "concurrency" in given else KEEP,
        )
