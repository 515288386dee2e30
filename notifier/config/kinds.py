"""What sections of the settings are made of: kinds of values, each with its parser and its JSON Schema.

Durations are float seconds, rates floats per second.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SecretStr, WithJsonSchema

from notifier.config import fields
from notifier.config.substitute import VARIABLE_PATTERN
from notifier.domain.headers import header_name, header_value
from notifier.domain.prefix import Prefix
from notifier.domain.quantity import DURATION_PATTERN, LEAST_SECONDS, RATE_PATTERN

MOST_CONCURRENCY = 1000
T = TypeVar("T")


def setting(description: str, default: Any = ..., **more: Any) -> Any:
    """A field; without a default it must be given."""
    return Field(default, description=description, **more)


def shape(*schemas: dict[str, Any]) -> WithJsonSchema:
    """What editors accept: one of these, or text with a variable in it."""
    return WithJsonSchema({"anyOf": [*schemas, {"type": "string", "pattern": VARIABLE_PATTERN}]})


def text(**limits: Any) -> WithJsonSchema:
    return shape({"type": "string", **limits})


def words(*words: str) -> WithJsonSchema:
    return shape({"enum": list(words)})


def optional(parse: Callable[[Any], T], accepted: WithJsonSchema) -> tuple[PlainValidator, WithJsonSchema]:
    """A value that may be null as well."""
    schema = {"anyOf": [*(accepted.json_schema or {}).get("anyOf", []), {"type": "null"}]}
    return PlainValidator(lambda value: None if value is None else parse(value)), WithJsonSchema(schema)


DURATION_SHAPE = shape(
    {"type": "string", "pattern": f"^(?:{DURATION_PATTERN})$"}, {"type": "number", "minimum": LEAST_SECONDS}
)

AGE_SHAPE = shape(
    *(DURATION_SHAPE.json_schema or {})["anyOf"],
    {"type": "string", "pattern": "^0s?$"},
    {"type": "integer", "minimum": 0, "maximum": 0},
    {"type": "null"},
)

Duration = Annotated[float, PlainValidator(fields.duration), DURATION_SHAPE]
MaybeDuration = Annotated[float | None, PlainValidator(fields.duration), DURATION_SHAPE]
Age = Annotated[float | None, PlainValidator(fields.age), AGE_SHAPE]
Rate = Annotated[float, PlainValidator(fields.rate), text(pattern=f"^(?:{RATE_PATTERN})$")]
MaybeRate = Annotated[float | None, PlainValidator(fields.rate), text(pattern=f"^(?:{RATE_PATTERN})$")]
CONCURRENCY_SHAPE = shape({"type": "integer", "minimum": 1, "maximum": MOST_CONCURRENCY})
Concurrency = Annotated[int, PlainValidator(fields.whole(1, MOST_CONCURRENCY)), CONCURRENCY_SHAPE]
MaybeConcurrency = Annotated[int | None, PlainValidator(fields.whole(1, MOST_CONCURRENCY)), CONCURRENCY_SHAPE]
Name = Annotated[str, PlainValidator(fields.name), text(minLength=1, maxLength=fields.LONGEST_NAME)]
MaybeName = Annotated[str | None, PlainValidator(fields.name), text(minLength=1, maxLength=fields.LONGEST_NAME)]
CallbackPrefix = Annotated[Prefix, PlainValidator(fields.callback_prefix), text(pattern="^[Hh][Tt][Tt][Pp][Ss]?://")]
HostName = Annotated[str, PlainValidator(fields.host_name), text(minLength=1, maxLength=253)]
Network = Annotated[fields.Network, PlainValidator(fields.network), text()]
BearerSecret = Annotated[SecretStr, text(minLength=1)]
SigningSecret = Annotated[SecretStr, text(pattern="^(?:whsec_|whsk_)")]
ProviderName = Annotated[
    str, PlainValidator(fields.provider_name), WithJsonSchema({"type": "string", "pattern": fields.PROVIDER_NAME})
]
HeaderValue = Annotated[str, PlainValidator(header_value), text()]
HeaderName = Annotated[str, PlainValidator(header_name), WithJsonSchema({"type": "string", "pattern": "^[^:\\s]+$"})]


class Section(BaseModel):
    """A mapping of the file. Its keys are its fields, and the `x_file` twins of its secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)
