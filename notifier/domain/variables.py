"""The values that a watch gives beside its task id, because its provider cannot be asked without them."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_VARIABLES = 16
MAX_VALUE_CHARACTERS = 512
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def variable_text(value: Any) -> str:
    """A value as the text that is filled in: a number as JSON writes it. ValueError for what is neither."""
    match value:
        case str():
            return value
        case bool():
            pass
        case int() | float() if math.isfinite(value):
            return json.dumps(value)
    raise ValueError("must be a string or a number")


def judge_value(value: str) -> str | None:
    """What is wrong with the value of any variable, or None; what its place in a request takes is another question."""
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"must have at most {MAX_VALUE_CHARACTERS} characters"
    if _CONTROL.search(value):
        return "must not hold control characters or lone surrogates"
    return None


def takes_none(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with the variables of a watch whose provider has none: names, and what to say of each."""
    return ((name, "is no variable of this provider, which has none") for name in given)


def takes_any(_: str) -> None:
    """Nothing is wrong with any task id for a provider into whose requests each of them fits."""


def variables_text(given: Mapping[str, str]) -> str:
    """Canonical JSON text: equal variables are equal text, so that they can be a part of a task's identity."""
    return json.dumps(dict(given), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
