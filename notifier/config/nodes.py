"""YAML text → nodes that know their place; says where text is not YAML.

PyYAML's own loading gives away places, takes duplicate keys, guesses types and follows aliases without end, so only
its parser is used: events in, nodes out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import yaml

from notifier.config.problem import START, Fault, Place

DEEPEST = 50
"""Lists and mappings inside each other; a configuration needs six, metadata some more."""

MOST_REPEATED = 100_000
"""Nodes that all aliases together may repeat: a short text must not become gigabytes."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as written; `plain` is False for one in quotes, which is always text."""

    place: Place
    tag: str | None
    text: str
    plain: bool

    size = height = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list. `size` counts the nodes in it, `height` the levels, both with itself and aliases written out."""

    place: Place
    tag: str | None
    items: "tuple[Node, ...]"
    size: int
    height: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping with all its pairs in order, also those whose key comes again."""

    place: Place
    tag: str | None
    pairs: "tuple[tuple[Node, Node], ...]"
    size: int
    height: int


Node: TypeAlias = Scalar | Sequence | Mapping

# Without libyaml, PyYAML's own parser does it, seven times slower.
_FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

_ADVICE = (
    (r"'\t'", "indent with spaces, not tabs"),
    ("mapping values are not allowed", "check the indentation, and put a value with a colon in it in quotes"),
    ("cannot start any token", "put the value in quotes"),
    ("stream end", "something that was opened is not closed"),
)


def decode(raw: bytes) -> str | Fault:
    """The text of a file, which must be UTF-8; a byte order mark is dropped."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        return Fault((), "is not UTF-8 (save the file as UTF-8)", _end_of(before))


def compose(text: str) -> Node | Fault | None:
    """The one document of a text as nodes; None if it has none."""
    if found := _FORBIDDEN.search(text):
        message = f"the character U+{ord(found[0]):04X} is not allowed in YAML (remove it)"
        return Fault((), message, _end_of(text[: found.start()]))
    composed = _compose(text, _FAST_LOADER)
    if isinstance(composed, Fault):
        return _compose(text, yaml.SafeLoader)  # it says more clearly what is wrong
    return composed


def _compose(text: str, loader: Any) -> Node | Fault | None:
    composer = _Composer(yaml.parse(text, Loader=loader))
    try:
        return composer.document()
    except yaml.MarkedYAMLError as error:
        return _syntax_fault(error)
    except (ValueError, OverflowError):
        # PyYAML trips over escapes and version numbers that are larger than Unicode and the machine's numbers.
        return Fault((), "not valid YAML: a number in an escape or a directive is out of range", composer.place)


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    problem = str(error.problem)
    while_doing = f", {error.context}" if error.context else ""
    advice = next((advice for word, advice in _ADVICE if word in problem), None)
    message = f"not valid YAML: {problem}{while_doing}" + (f" ({advice})" if advice else "")
    return Fault((), message, _place(error.problem_mark or error.context_mark))


def _end_of(text: str) -> Place:
    """Where the character after this text is."""
    return Place(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


class _Composer:
    """Makes nodes of one document's events; faults are raised as PyYAML's own composer does.

    `place` is that of the last event.
    """

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}  # None: still open, an alias would contain itself
        self._depth = 0
        self._repeated = 0
        self.place = START

    def document(self) -> Node | None:
        self._next()  # the stream's beginning
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        node = self._node(self._next())
        self._next()  # the document's end
        if isinstance(event := self._next(), yaml.DocumentStartEvent):
            raise _error("a second document begins here (keep one: remove the line ---)", event)
        return node

    def _next(self) -> Any:
        event = next(self._events)
        self.place = _place(event.start_mark)
        return event

    def _node(self, event: Any) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else self._collection(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            text = f"the alias *{event.anchor} has no anchor before it (put a value that begins with * in quotes)"
            raise _error(text, event)
        node = self._anchors[event.anchor]
        if node is None:
            raise _error(f"the alias *{event.anchor} is inside the value that it stands for (write it out)", event)
        self._repeated += node.size
        if self._repeated > MOST_REPEATED:
            raise _error("the aliases make the file too large (write it out, or use fewer)", event)
        self._check_depth(self._depth + node.height, event)
        return replace(node, place=_place(event.start_mark))

    def _scalar(self, event: Any) -> Scalar:
        return Scalar(_place(event.start_mark), event.tag, event.value, plain=not event.style)

    def _collection(self, event: Any) -> Sequence | Mapping:
        place = _place(event.start_mark)
        self._depth += 1
        self._check_depth(self._depth, event)
        children = tuple(self._children())
        self._depth -= 1
        size = 1 + sum(child.size for child in children)
        height = 1 + max((child.height for child in children), default=0)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(place, event.tag, children, size, height)
        return Mapping(place, event.tag, tuple(zip(children[::2], children[1::2], strict=True)), size, height)

    def _children(self) -> Iterator[Node]:
        while not isinstance(event := self._next(), yaml.SequenceEndEvent | yaml.MappingEndEvent):
            yield self._node(event)

    def _check_depth(self, depth: int, event: Any) -> None:
        if depth > DEEPEST:
            raise _error(f"lists and mappings are nested too deeply (at most {DEEPEST} levels)", event)


def _error(text: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=event.start_mark)
