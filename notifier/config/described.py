"""Parsers for the description of a provider: from what the file holds to what the domain reads answers with.

As in `fields`, a `ValueError` is a whole message for the reader.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import PlainValidator, TypeAdapter

from notifier.config import fields
from notifier.config.problem import Substituted, Unusable, did_you_mean, shown
from notifier.domain.description import Expressions
from notifier.domain.expression import Expression, ExpressionError, compile_expression
from notifier.domain.headers import NAME_PATTERN, header_name
from notifier.domain.template import (
    VARIABLE_NAME,
    JsonTemplate,
    Place,
    Template,
    parse_json_template,
    parse_template,
)

MOST_STATUS_CHARACTERS = 200
LEAST_TTL_SECONDS = 10.0
_CLASS = re.compile("[1-5]xx")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def expression(value: Any) -> Expression:
    """JMESPath."""
    found = fields.text(value)
    if isinstance(value, Unusable):
        raise ValueError("is reported already")  # noqa: TRY004 - of the file, not the call
    try:
        return compile_expression(found)
    except ExpressionError as error:
        raise ValueError(f"{error}") from None


_LIST = TypeAdapter(tuple[Annotated[Expression, PlainValidator(expression)], ...])


def expressions(value: Any) -> Expressions:
    """One, or a list of them; the faults in a list keep their indices."""
    if not isinstance(value, list):
        return (expression(value),)
    if not value:
        raise ValueError("is empty (write at least one expression, or remove the line)")
    return _LIST.validate_python(value)


def expressions_or_none(value: Any) -> Expressions | None:
    return None if value is None else expressions(value)


def word(value: Any) -> str:
    """A status word, in lower case; APIs with numbers for words have them written as numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    found = fields.text(value).strip().lower()
    if not found or len(found) > MOST_STATUS_CHARACTERS:
        raise ValueError(f"{shown(value)} is not a status word (write 1 to {MOST_STATUS_CHARACTERS} characters)")
    return found


def status_range(value: Any) -> tuple[int, int]:
    """An HTTP status, or a class of them such as 5xx."""
    if isinstance(value, str) and _CLASS.fullmatch(value.lower()):
        return int(value[0]) * 100, int(value[0]) * 100 + 99
    if isinstance(value, bool) or not isinstance(value, int) or not 100 <= value <= 599:
        raise ValueError(f"{shown(value)} is not an HTTP status (write 100 to 599, or 4xx)")
    return value, value


def _template(place: Place, *, answer: bool) -> Callable[[Any], Template]:
    def parse(value: Any) -> Template:
        found = fields.text(value)
        subject = "" if place == "header" else f"{shown(value)} "  # a header's value may be a secret
        if place == "path" and not found.startswith("/") and not isinstance(value, Unusable):
            raise ValueError(f"{shown(value)} does not begin with a slash (write the path below base_url)")
        if _CONTROL.search(found) or (place == "header" and not found.isascii()):
            raise ValueError("has a character in it that cannot be sent there (write visible ASCII)")
        try:
            return parse_template(found, place, answer=answer)
        except ValueError as error:
            raise ValueError(f"{subject}{error}") from None

    return parse


path = _template("path", answer=False)
later_path = _template("path", answer=True)
query_value = _template("query", answer=False)
later_query_value = _template("query", answer=True)
header_template = _template("header", answer=False)
later_header_template = _template("header", answer=True)


def body(value: Any) -> JsonTemplate | None:
    """Any JSON; null is no body."""
    try:
        return None if value is None else parse_json_template(value)
    except ValueError as error:
        raise ValueError(f"has a text that {error}") from None


def header_to_set(value: Any) -> str:
    """Of a request: none that belongs to the connection, nor one that is always ours."""
    return header_name(fields.text(value))


def header_to_read(value: Any) -> str | None:
    """Of an answer, in lower case."""
    if value is None:
        return None
    if not re.fullmatch(NAME_PATTERN, found := fields.text(value)):
        raise ValueError(f"{shown(value)} is not the name of a header (write one, as in retry-after)")
    return found.lower()


def query_name(value: Any) -> str:
    found = fields.text(value)
    if not found or _CONTROL.search(found):
        raise ValueError(f"{shown(value)} is not the name of a parameter")
    return found


def variable_name(value: Any) -> str:
    if not re.fullmatch(VARIABLE_NAME, found := fields.text(value)):
        raise ValueError("is not the name of a variable (write letters, digits and underscores, no digit first)")
    return found


def command(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """A program and its arguments, or nothing."""
    if arguments and not arguments[0].strip():
        raise ValueError("names no program (write [program, argument, …])")
    if any("\0" in argument for argument in arguments):
        raise ValueError("has a NUL character in it (remove it)")
    return arguments


def token_ttl(value: Any) -> float:
    """A token is used for half of this, and the clocks may differ by some seconds."""
    if (found := fields.duration(value)) < LEAST_TTL_SECONDS:
        raise ValueError(f"{shown(value)} is too short for a token to arrive in time (write at least 10s)")
    return found


def text_or_none(value: Any) -> str | None:
    return None if value is None else fields.text(value)


def preset(known: Iterable[str]) -> Callable[[Any], str | None]:
    """A preset's name; null for none, also where there is one with the provider's own name."""
    names = tuple(known)

    def parse(value: Any) -> str | None:
        if value is not None and value not in names:
            advice = did_you_mean("" if isinstance(value, Substituted) else str(value), names)
            raise ValueError(f"{shown(value)} is not a preset{advice}")
        return None if value is None else str(value)

    return parse
