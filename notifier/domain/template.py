"""Requests with places to fill in: `{task_id}`, `{vars.NAME}`, and `{answer.a.b}` for a request after an answer.

Where a value goes decides how it is written: percent-encoded into paths, into headers only when it is visible ASCII,
and as it is into JSON and into the values of a query string, which is percent-encoded as a whole. `{+name}` in a path
is reserved expansion (RFC 6570, section 3.2.3), which lets a value span several segments and do nothing else. A value
that does not fit is a ValueError, never a request to another place.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

Place: TypeAlias = Literal["path", "query", "header", "body"]

VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""Regular expression (Python and ECMA 262) of the name of a variable."""
_STEP = r"[A-Za-z0-9_-]+"
_NAME = re.compile(rf"task_id|vars\.{VARIABLE_NAME}|answer(\.{_STEP})+")
_PART = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<plus>\+?)(?P<name>[^{}]*)\}|(?P<stray>[{}])")
_RESERVED_PATH = "/:@!$&'()*+,;=~"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_ANYWHERE = re.compile("[A-Za-z0-9_-]+")
"""What stands in every place as it is: nearly all ids."""

Values: TypeAlias = Mapping[str, str]
"""By the names of placeholders, as in `task_id` and `vars.path`."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for the value of `name`; `reserved` lets slashes stay."""

    name: str
    reserved: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A text and the holes in it."""

    text: str
    place: Place
    parts: tuple[str | Hole, ...]

    @property
    def names(self) -> frozenset[str]:
        """Of the placeholders in it."""
        return frozenset(part.name for part in self.parts if isinstance(part, Hole))

    def fill(self, values: Values) -> str:
        """ValueError when a value is missing or cannot stand there."""
        return "".join(part if isinstance(part, str) else _written(part, self.place, values) for part in self.parts)


def parse_template(text: str, place: Place, *, answer: bool = False) -> Template:
    """ValueError for braces that hold no placeholder. `answer` says that there is an answer to take values from."""
    parts = tuple(_parts(text, place, answer=answer))
    if place == "path" and any(isinstance(part, str) and re.search(r"[?#\\\s]", part) for part in parts):
        raise ValueError("is not the path of a URL (write it without ?, # and spaces; parameters go into query)")
    return Template(text, place, parts)


def _parts(text: str, place: Place, *, answer: bool) -> Iterator[str | Hole]:
    end = 0
    for match in _PART.finditer(text):
        if match.start() > end:
            yield text[end : match.start()]
        end = match.end()
        if match["brace"]:
            yield match["brace"][0]
        elif match["stray"]:
            raise ValueError(f"has a {match['stray']!r} that belongs to no placeholder (write it twice to mean itself)")
        else:
            yield _hole(match["name"], place, plus=bool(match["plus"]), answer=answer)
    if end < len(text):
        yield text[end:]


def _hole(name: str, place: Place, *, plus: bool, answer: bool) -> Hole:
    known = "{task_id}, {vars.NAME} and {answer.a.b}" if answer else "{task_id} and {vars.NAME}"
    if not _NAME.fullmatch(name) or (name.startswith("answer.") and not answer):
        raise ValueError(f"has an unknown placeholder {{{name}}} (known here are {known}; braces that mean themselves "
                         "are written twice)")
    if plus and place != "path":
        raise ValueError(f"has {{+{name}}}, which only a path can have (write {{{name}}})")
    return Hole(name, plus)


def _written(hole: Hole, place: Place, values: Values) -> str:
    value = values.get(hole.name)
    if value is None:
        raise ValueError(f"there is no value for {{{hole.name}}}")
    if _ANYWHERE.fullmatch(value):
        return value
    wrong = unfit(hole, place, value)
    if wrong:
        raise ValueError(f"the value for {{{hole.name}}} {wrong}")
    return quote(value, safe=_RESERVED_PATH if hole.reserved else "") if place == "path" else value


def unfit(hole: Hole, place: Place, value: str) -> str | None:
    """Why a value cannot stand in its place, or None."""
    if _CONTROL.search(value):
        return "has a control character or half a character in it"
    if place == "header" and not _VISIBLE.fullmatch(value):
        return "is not visible ASCII, and a header takes nothing else"
    if place != "path":
        return None
    segments = value.split("/") if hole.reserved else [value]
    if any(segment in ("", ".", "..") for segment in segments):
        return "has an empty segment, or one of dots, that would lead to another path"
    if hole.reserved and any(character in value for character in "?#\\%"):
        return "has a ?, #, % or \\ in it that would lead to another path"
    return None


@dataclass(frozen=True, slots=True)
class JsonTemplate:
    """A JSON value with placeholders in its strings; `value` has a Template for each text."""

    value: Any

    def texts(self) -> Iterator[Template]:
        """All that are in it."""
        return _texts(self.value)

    def fill(self, values: Values) -> Any:
        """The value with every hole filled; ValueError as of Template."""
        return _mapped(self.value, Template, lambda text: text.fill(values))


def parse_json_template(value: Any) -> JsonTemplate:
    """`value` is any JSON."""
    return JsonTemplate(_mapped(value, str, lambda text: parse_template(text, "body")))


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    match value:
        case dict():
            return {key: _mapped(item, kind, change) for key, item in value.items()}
        case list():
            return [_mapped(item, kind, change) for item in value]
        case _:
            return change(value) if isinstance(value, kind) else value


def _texts(value: Any) -> Iterator[Template]:
    match value:
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case Template():
            yield value
