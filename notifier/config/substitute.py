"""`${NAME}` in values → the environment's text; `$$` is a dollar, and a dollar before anything else is itself."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notifier.config.problem import Fault, Path, Substituted, Unusable

VARIABLE_PATTERN = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
"""Regular expression (Python and ECMA 262) of a reference to a variable."""

_DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<broken>\{))")
_BROKEN = "has a ${ without a variable's name and a } after it (write ${NAME}, or $$ for a dollar)"


def substitute(
    data: Any, environ: Mapping[str, str], may_be_unset: Callable[[Path], bool]
) -> tuple[Any, list[Fault]]:
    """A copy of `data` with the variables filled in, and what could not be.

    Where `may_be_unset` says so, a missing variable is no fault; the value is `Unusable` all the same. Keys are left
    as they are.
    """
    filler = _Filler(environ, may_be_unset)
    return filler.fill(data, ()), filler.faults


@dataclass(frozen=True, slots=True)
class _Filler:
    environ: Mapping[str, str]
    may_be_unset: Callable[[Path], bool]
    faults: list[Fault] = field(default_factory=list)

    def fill(self, value: Any, path: Path) -> Any:
        match value:
            case dict():
                return {key: self.fill(item, (*path, key)) for key, item in value.items()}
            case list():
                return [self.fill(item, (*path, index)) for index, item in enumerate(value)]
            case str() if "$" in value:
                return self._text(value, path)
            case _:
                return value

    def _text(self, text: str, path: Path) -> str:
        found = list(_DOLLAR.finditer(text))
        names = [match["name"] for match in found if match["name"]]
        if any(match["broken"] for match in found):
            return self._refuse(path, _BROKEN)
        if missing := [name for name in dict.fromkeys(names) if name not in self.environ]:
            return Unusable() if self.may_be_unset(path) else self._refuse(path, _not_set(missing))
        if bad := [name for name in names if not _is_text(self.environ[name])]:
            return self._refuse(path, f"the environment variable {bad[0]} is not UTF-8 (set it to text)")
        filled = _DOLLAR.sub(lambda match: "$" if match["dollar"] else self.environ[match["name"]], text)
        return Substituted(filled, text) if names else filled

    def _refuse(self, path: Path, message: str) -> Unusable:
        self.faults.append(Fault(path, message))
        return Unusable()


def _not_set(names: list[str]) -> str:
    if len(names) == 1:
        return f"the environment variable {names[0]} is not set (set it, or write $$ for a dollar)"
    return f"the environment variables {', '.join(names)} are not set (set them, or write $$ for a dollar)"


def _is_text(value: str) -> bool:
    """Bytes that are not UTF-8 reach Python as lone surrogates."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
