"""YAML text → plain data (dict, list, str, int, float, bool, None) and the place of every key and value.

A plain scalar is a number, true, false or null only if JSON would call it so (`True`, `NULL`, `~` and an empty value
are taken too, as YAML 1.2 does). All else is text exactly as written: `on`, `10:30`, `0777`, `0o17`, `1_000`, `+5`,
`.inf`, a date. So no value changes silently, and a wrong one fails where it is used.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, assert_never

from notifier.config.nodes import Mapping, Node, Scalar, Sequence, compose
from notifier.config.problem import START, Fault, Path, Place, Unusable, shown

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Longer ones would cost quadratic time to read.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,299})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?=[.eE])(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_EMPTY = "the file has no settings in it (begin with a copy of config.example.yaml)"


@dataclass(frozen=True, slots=True)
class Tree:
    """`values` and `keys` hold places by path; `faults` are those that do not keep the rest from being read."""

    data: dict[str, Any]
    values: dict[Path, Place]
    keys: dict[Path, Place]
    faults: list[Fault]


def plant(text: str) -> Tree | Fault:
    """Read a whole file, whose top must be a mapping."""
    match compose(text):
        case None:
            return Fault((), _EMPTY, START)
        case Fault() as fault:
            return fault
        case Scalar() as node if _resolve(node) is None:
            return Fault((), _EMPTY, START)
        case Mapping() as node:
            gardener = _Gardener()
            data = gardener.mapping(node, ())
            return Tree(data, gardener.values, gardener.keys, gardener.faults)
        case Scalar() | Sequence() as node:
            what = "text" if isinstance(node, Scalar) else "a list"
            message = f"the file holds {what}, not a mapping of settings (begin with a copy of config.example.yaml)"
            return Fault((), message, node.place)
        case never:
            assert_never(never)


def _resolve(node: Scalar) -> str | int | float | bool | None:
    text = node.text
    if not node.plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


@dataclass(frozen=True, slots=True)
class _Gardener:
    """Walks over the nodes and keeps what it sees on the way."""

    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def value(self, node: Node, path: Path) -> Any:
        match node:
            case Mapping():
                return self.mapping(node, path)
            case Sequence():
                self._enter(node, path)
                return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]
            case Scalar():
                self._enter(node, path)
                value = _resolve(node)
                return self._text(value, node, path) if isinstance(value, str) else value
            case never:
                assert_never(never)

    def mapping(self, node: Mapping, path: Path) -> dict[str, Any]:
        self._enter(node, path)
        data: dict[str, Any] = {}
        for key_node, value_node in node.pairs:
            key = self._key(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            if here in self.keys:
                first = self.keys[here].line
                self.faults.append(Fault(here, f"is given twice (first in line {first}; keep one)", key_node.place))
                continue
            self.keys[here] = key_node.place
            data[key] = self.value(value_node, here)
        return data

    def _enter(self, node: Node, path: Path) -> None:
        self.values[path] = node.place
        if node.tag is not None:
            self.faults.append(Fault(path, "has a tag (remove it; put text that begins with ! in quotes)", node.place))

    def _key(self, node: Node, path: Path) -> str | None:
        if not isinstance(node, Scalar):
            self._refuse(node, path, "a list or a mapping cannot be a key (write a name)")
            return None
        key = _resolve(node)
        if not isinstance(key, str):
            self._refuse(node, path, f"the key {shown(key)} is not text (put it in quotes)")
            return None
        if key == "<<" and node.plain:
            self._refuse(node, path, "the merge key << is not supported (write the settings out)")
            return None
        return self._text(key, node, path)

    def _refuse(self, node: Node, path: Path, message: str) -> None:
        self.faults.append(Fault(path, message, node.place))

    def _text(self, text: str, node: Scalar, path: Path) -> str:
        """Join the halves of characters that were written as two escapes, as in JSON; a lone half is no text."""
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(node, path, "has half a character in it (a \\ud800…\\udfff escape without its other half)")
            return Unusable()
