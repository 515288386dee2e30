"""YAML text → plain data (dict, list, str, int, float, bool, None) and the place of every key and value.

A plain scalar is a number, true, false or null only if JSON would call it so (`True`, `NULL`, `~` and an empty value
are taken too, as YAML 1.2 does). All else is text exactly as written: `on`, `10:30`, `0777`, `0o17`, `1_000`, `+5`,
`.inf`, a date. So no value changes silently, and a wrong one fails where it is used.
"""

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from notifier.config.nodes import Mapping, Node, Scalar, Sequence, compose
from notifier.config.problem import START, Fault, Path, Place, Unusable, shown

MOST_READINGS = 10
"""Of a file whose keys are repeated: so many values of one key are judged."""

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
    """`values` and `keys` hold places by path; `faults` are those that do not keep the rest from being read.

    Of a key that is repeated the first value counts. `others` are further readings of the file, with the later values
    in its place, at the paths in `later`.
    """

    data: dict[str, Any]
    values: dict[Path, Place]
    keys: dict[Path, Place]
    faults: list[Fault]
    later: set[Path]
    others: "tuple[Tree, ...]" = ()


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
            first = _read(node, 0)
            # A repeated key is a fault, so a file without any needs no counting.
            readings = min(_readings(node), MOST_READINGS) if first.faults else 1
            return replace(first, others=tuple(_read(node, turn) for turn in range(1, readings)))
        case Scalar() | Sequence() as node:
            what = "text" if isinstance(node, Scalar) else "a list"
            message = f"the file holds {what}, not a mapping of settings (begin with a copy of config.example.yaml)"
            return Fault((), message, node.place)
        case never:
            assert_never(never)


def _read(node: Mapping, turn: int) -> Tree:
    gardener = _Gardener()
    data = gardener.mapping(node, (), turn)
    return Tree(data, gardener.values, gardener.keys, gardener.faults, gardener.later)


def _readings(node: Node) -> int:
    """How many readings it takes until every value of every repeated key was in one."""
    match node:
        case Scalar():
            return 1
        case Sequence():
            return max(map(_readings, node.items), default=1)
        case Mapping():
            values: dict[str, int] = {}
            for key, value in node.pairs:
                if isinstance(key, Scalar) and isinstance(name := _resolve(key), str):
                    values[name] = values.get(name, 0) + _readings(value)
            return max(values.values(), default=1)
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
    """Walks over the nodes and keeps what it sees on the way. `turn` says which reading it is, from 0."""

    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    later: set[Path] = field(default_factory=set)

    def value(self, node: Node, path: Path, turn: int) -> Any:
        match node:
            case Mapping():
                return self.mapping(node, path, turn)
            case Sequence():
                self._enter(node, path)
                return [self.value(item, (*path, index), turn) for index, item in enumerate(node.items)]
            case Scalar():
                self._enter(node, path)
                value = _resolve(node)
                return self._text(value, node, path) if isinstance(value, str) else value
            case never:
                assert_never(never)

    def mapping(self, node: Mapping, path: Path, turn: int) -> dict[str, Any]:
        self._enter(node, path)
        return {key: self._chosen(pairs, (*path, key), turn) for key, pairs in self._by_key(node, path).items()}

    def _by_key(self, node: Mapping, path: Path) -> dict[str, list[tuple[Node, Node]]]:
        """The pairs of each key, in the order of the file; more than one is a fault."""
        found: dict[str, list[tuple[Node, Node]]] = {}
        for pair in node.pairs:
            key = self._key(pair[0], path)
            if key is None:
                continue
            pairs = found.setdefault(key, [])
            if pairs:
                message = f"is given twice (first in line {pairs[0][0].place.line}; keep one)"
                self.faults.append(Fault((*path, key), message, pair[0].place))
            pairs.append(pair)
        return found

    def _chosen(self, pairs: list[tuple[Node, Node]], path: Path, turn: int) -> Any:
        """The value whose turn it is: each has as many readings as it takes by itself, and at last the first again."""
        key, value = pairs[0]
        if len(pairs) > 1:
            left = turn
            for later_key, later_value in pairs:
                if left < (own := _readings(later_value)):
                    key, value, turn = later_key, later_value, left
                    break
                left -= own
        if key is not pairs[0][0]:
            self.later.add(path)
        self.keys[path] = key.place
        return self.value(value, path, turn)

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
