"""What requests look like: their members, their types, and the sentences that say what is wrong with them.

Nothing is coerced: `"5"` is no number, but durations are written either way. Whether a watch can be had is the
registrar's to judge; here it is only read.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from notifier.adapters.api.problems import Complaint, pointer
from notifier.domain.delivery import DeliveryState
from notifier.domain.quantity import DURATION_PATTERN, LEAST_SECONDS, MOST_SECONDS, parse_duration
from notifier.domain.template import VARIABLE_NAME
from notifier.domain.variables import MAX_VALUE_CHARACTERS, MAX_VARIABLES, judge_value, variable_text
from notifier.domain.watch import MAX_TASK_ID_CHARACTERS, WatchState, judge_task_id
from notifier.services.registrar import WatchRequest

MOST_IN_BATCH = 1000
MOST_IN_LIST = 1000
USUAL_IN_LIST = 50
LONGEST_URL = 2048
LONGEST_NAME = 64

NO_CONTROLS = r"^[^\u0000-\u001f\u007f]+$"

ModelT = TypeVar("ModelT", bound=BaseModel)


def _duration(value: Any) -> float | None:
    return None if value is None else parse_duration(value)


def _limit(value: Any) -> Any:
    """A query string holds text only; Python reads more as a number ("+5", "1_0", "５") than people mean."""
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"must be a whole number from 1 to {MOST_IN_LIST}")
        # Python refuses to read thousands of digits.
        if len(value) > 9 or not 1 <= int(value) <= MOST_IN_LIST:
            raise ValueError(f"must be from 1 to {MOST_IN_LIST}")
    return int(value)


def _variable(value: Any) -> str:
    text = variable_text(value)
    wrong = judge_value(text)
    if wrong is not None:
        raise ValueError(wrong)
    return text


def _task_id(value: str) -> str:
    wrong = judge_task_id(value)
    if wrong is not None:
        raise ValueError(wrong)
    return value


Duration = Annotated[
    float | None,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^({DURATION_PATTERN})$"},
                {"type": "number", "minimum": LEAST_SECONDS, "maximum": MOST_SECONDS},
                {"type": "null"},
            ]
        }
    ),
]
Variable = Annotated[
    str,
    BeforeValidator(_variable),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": MAX_VALUE_CHARACTERS, "pattern": r"^[^\u0000-\u001f\u007f]*$"},
                {"type": "number"},
            ]
        }
    ),
]
Limit = Annotated[
    int,
    Field(ge=1, le=MOST_IN_LIST, description=f"How many at most, 1 to {MOST_IN_LIST}."),
    BeforeValidator(_limit),
]
Cursor = Annotated[
    str | None, Field(min_length=1, max_length=64, description="The `next_cursor` of the page before.")
]


class Shape(BaseModel):
    """A request's body: no member beyond those named, nothing coerced, no value in an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class NewWatch(Shape):
    """A watch to register. An optional member that is null counts as absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "task_id": "vid_8f2c",
                    "callback_url": "https://app.example.com/hooks/video",
                    "provider": "videos",
                    "interval": "45s",
                    "deadline": "12h",
                    "metadata": {"order": 1042},
                }
            ]
        }
    )

    task_id: str = Field(
        description="The provider's id of the task.",
        json_schema_extra={"minLength": 1, "maxLength": MAX_TASK_ID_CHARACTERS, "pattern": NO_CONTROLS},
    )
    callback_url: str = Field(
        description="Who is told how the task ended; https, and public unless webhooks.allow_networks lists it.",
        json_schema_extra={"format": "uri", "maxLength": LONGEST_URL, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+"},
    )
    provider: str | None = Field(default=None, description="A configured provider; by default the only one.")
    interval: Duration = Field(
        default=None, description="How often to poll, text such as 45s or seconds; by default the provider's interval."
    )
    deadline: Duration = Field(default=None, description="When to give up, from now; by default the provider's.")
    metadata: dict[str, Any] | None = Field(
        default=None, description="Returned untouched in the event; at most 4 KiB as JSON."
    )
    vars: Annotated[dict[str, Variable], Field(max_length=MAX_VARIABLES)] | None = Field(
        default=None,
        description="Values that the provider needs beside the task id, or that differ from its defaults; a number is "
        "taken as the text that it is.",
        json_schema_extra={"propertyNames": {"pattern": f"^{VARIABLE_NAME}$"}},
    )

    def request(self) -> WatchRequest:
        return WatchRequest(
            self.task_id, self.callback_url, self.provider, self.interval, self.deadline, self.metadata, self.vars
        )


class Batch(Shape):
    """Watches to register together. Each is judged by itself, and one that is wrong stops no other."""

    watches: Annotated[
        list[Any],
        Field(max_length=MOST_IN_BATCH),
        WithJsonSchema(
            {
                "type": "array",
                "maxItems": MOST_IN_BATCH,
                "items": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/NewWatch"},
                        {"description": "Anything else is answered in its place, with status 422."},
                    ]
                },
                "examples": [[{"task_id": "vid_1", "callback_url": "https://app.example.com/hooks/video"}]],
            }
        ),
    ]


class EndpointTest(Shape):
    """Where to send a test event."""

    callback_url: str = Field(
        description="A URL as a watch may have it.",
        json_schema_extra={"format": "uri", "maxLength": LONGEST_URL, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+"},
        examples=["https://app.example.com/hooks/video"],
    )


class _Query(BaseModel):
    """What stands behind the `?`. A parameter without a value counts as absent, as forms and templates send it."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, values: Any) -> Any:
        return {name: value for name, value in values.items() if value != ""}


class WatchQuery(_Query):
    """Which watches to list."""

    state: WatchState | None = None
    provider: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=NO_CONTROLS)] | None = None
    task_id: (
        Annotated[
            str,
            BeforeValidator(_task_id),
            Field(json_schema_extra={"minLength": 1, "maxLength": MAX_TASK_ID_CHARACTERS, "pattern": NO_CONTROLS}),
        ]
        | None
    ) = None
    limit: Limit = USUAL_IN_LIST
    cursor: Cursor = None


class DeliveryQuery(_Query):
    """Which deliveries to list."""

    state: DeliveryState | None = None
    watch_id: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=NO_CONTROLS)] | None = None
    limit: Limit = USUAL_IN_LIST
    cursor: Cursor = None


class EndpointQuery(_Query):
    """Which part of the endpoints to list."""

    limit: Limit = USUAL_IN_LIST
    cursor: Cursor = None


QUERIES: Mapping[str, type[BaseModel]] = {
    "/v1/watches": WatchQuery,
    "/v1/deliveries": DeliveryQuery,
    "/v1/endpoints": EndpointQuery,
}
"""What each list takes, by its path."""


def read(model: type[ModelT], value: Any, *at: str | int) -> ModelT | tuple[Complaint, ...]:
    """Read one of the shapes, or say all that is wrong with it; `at` is where in the body it stands."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        return complaints(error.errors(include_url=False, include_input=False), list(model.model_fields), at)


def complaints(
    errors: Iterable[Any], names: Sequence[str], at: Sequence[str | int] = ()
) -> tuple[Complaint, ...]:
    """Pydantic's errors as sentences for people; `names` are the members that exist."""
    return tuple(Complaint(_sentence(error, names), pointer(*at, *_location(error["loc"]))) for error in errors)


def _location(steps: Sequence[str | int]) -> Sequence[str | int]:
    """A wrong key is told where its member is."""
    return steps[:-1] if len(steps) > 1 and steps[-1] == "[key]" else steps


def _sentence(error: Any, names: Sequence[str]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown(str(error["loc"][-1]), names)
        case "string_type":
            return "must be a string"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be a JSON object"
        case "list_type":
            return "must be an array"
        case "too_long":
            held = context["actual_length"] or "more"  # nobody counts a mapping to the end
            return f"holds {held}; at most {context['max_length']} are taken at once"
        case "too_short":
            return f"holds {context['actual_length']}; give at least {context['min_length']}"
        case "literal_error":
            return f"must be {context['expected']}"
        case "value_error":
            return str(context["error"])
        case _:
            return _lower(error["msg"])


def _unknown(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"is not known; did you mean {near[0]!r}?" if near else f"is not known; there are {', '.join(names)}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


