"""What is wrong with a file, and where: the line that the reader gets for each problem."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indices (from 0) that lead from the top of the file to a setting."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A character of the file; both numbers count from 1."""

    line: int
    column: int


START = Place(1, 1)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the setting at `path`.

    `at` is its place, or says which one to look up: the value's or the key's. A setting that is not written has the
    place of the innermost mapping or list around it that is.
    """

    path: Path
    message: str
    at: Place | Literal["value", "key"] = "value"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A fault as it is told, as `FILE:LINE:COL: path.to.key: message`. They sort by their position in the file."""

    line: int
    column: int
    path: str
    message: str
    file: str

    def __str__(self) -> str:
        subject = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {subject}{self.message}"


class Substituted(str):
    """Text with values from the environment in it; `written` is what the file says.

    It may be a secret, so it is never shown. Since the environment has only text, it may stand for a number.
    """

    __slots__ = ("written",)
    written: str

    def __new__(cls, value: str, written: str) -> "Substituted":
        text = super().__new__(cls, value)
        text.written = written
        return text


class Unusable(str):
    """Stands where a value would be that is reported already, or is a secret that nobody asked for."""

    __slots__ = ()


_PLAIN_KEY = re.compile(r"[\w.-]+")
_LONGEST_SHOWN = 60
_SIGNING_SECRET = ("whsec_", "whsk_")


def write_path(path: Path) -> str:
    """`watches[1].interval`; a key with other characters than those of names is quoted: `headers["X Y"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step[:_LONGEST_SHOWN])}]"
    return text


def shown(value: Any) -> str:
    """A value as the subject of a message: short, on one line, and never one that may be a secret."""
    match value:
        case Substituted():
            return f"the value of {value.written!r}"
        case str() if value.startswith(_SIGNING_SECRET):
            return "a signing secret"
        case str() if len(value) > _LONGEST_SHOWN:
            return repr(value[:_LONGEST_SHOWN]) + "…"
        case str() | float():
            return repr(value)
        case None:
            return "an empty value"
        case bool() | int():
            return json.dumps(value)
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'interval'?)` for a near miss, else ` (known here: …)`."""
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word[:_LONGEST_SHOWN].casefold(), names, n=1)
    if near:
        return f" (did you mean {names[near[0]]!r}?)"
    return f" (known here: {', '.join(names.values())})"


def locate(
    faults: Iterable[Fault], values: Mapping[Path, Place], keys: Mapping[Path, Place], file: str
) -> list[Problem]:
    """The faults as problems in the order of the file, each once."""
    problems = set()
    for fault in faults:
        place = _place(fault, values, keys)
        problems.add(Problem(place.line, place.column, write_path(fault.path), fault.message, file))
    return sorted(problems)


def _place(fault: Fault, values: Mapping[Path, Place], keys: Mapping[Path, Place]) -> Place:
    if isinstance(fault.at, Place):
        return fault.at
    if fault.at == "key" and fault.path in keys:
        return keys[fault.path]
    path = fault.path
    while path and path not in values:
        path = path[:-1]
    return values.get(path, START)
