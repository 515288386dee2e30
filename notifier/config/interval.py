"""A provider's polling interval: a duration, or `auto`, by what is learned of how long its tasks take."""

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from notifier.config import fields
from notifier.config.problem import shown
from notifier.config.substitute import VARIABLE_PATTERN
from notifier.domain.quantity import DURATION_PATTERN, LEAST_SECONDS

REFERENCE = "30s"
"""Whose number of polls is not exceeded, when it is not said."""
AUTO = "auto"
_WRITTEN = f"{AUTO}(?: (?:{DURATION_PATTERN}))?|{DURATION_PATTERN}"


class PollInterval(float):
    """Seconds. With `adaptive`, of the fixed interval that allows as many polls."""

    adaptive = False


class AdaptiveInterval(PollInterval):
    adaptive = True


def parse_interval(value: Any) -> PollInterval:
    """`30s`, `auto` or `auto 45s`."""
    if not isinstance(value, str) or value[:1] not in "aA":
        return PollInterval(fields.duration(value))
    word, _, reference = value.partition(" ")
    if word != AUTO:
        raise ValueError(f"{shown(value)} is not an interval (write 30s, auto, or auto 45s)")
    return AdaptiveInterval(fields.duration(reference or REFERENCE))


Interval = Annotated[
    PollInterval,
    PlainValidator(parse_interval),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^(?:{_WRITTEN})$"},
                {"type": "number", "minimum": LEAST_SECONDS},
                {"type": "string", "pattern": VARIABLE_PATTERN},
            ]
        }
    ),
]
