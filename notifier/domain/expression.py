"""JMESPath expressions (jmespath.org) over a provider's answer, with three functions more: `from_json(string)`,
`lower(any)` and `url_encode(string)`.

They come from the configuration and are judged when it is loaded; evaluating one never raises, whatever the answer is.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Never
from urllib.parse import quote

from jmespath import exceptions, functions, parser, visitor

MAX_EXPRESSION_CHARACTERS = 2000
MAX_EXPRESSION_DEPTH = 60
"""Nodes inside each other; evaluation takes a few levels of the interpreter's stack for each."""


class ExpressionError(ValueError):
    """What is wrong with an expression, as a sentence that goes on after its name; `column` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"{message} (character {column} of the expression)")
        self.column = column


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; two are equal when their texts are."""

    text: str
    _tree: Any = field(repr=False, compare=False)

    def find(self, document: Any) -> Any:
        """The value that the expression has for a JSON document; None also when it cannot be evaluated."""
        try:
            return _INTERPRETER.visit(self._tree, document)
        except Exception:  # noqa: BLE001  # the library raises many kinds for a document that has other types than meant
            return None


def compile_expression(text: str) -> Expression:
    """ExpressionError says what is wrong and where."""
    if len(text) > MAX_EXPRESSION_CHARACTERS:
        raise ExpressionError(f"is longer than {MAX_EXPRESSION_CHARACTERS} characters", MAX_EXPRESSION_CHARACTERS + 1)
    try:
        tree = parser.Parser().parse(text).parsed
        nodes = list(_nodes(tree, 0))
    except exceptions.LexerError as error:
        raise ExpressionError(f"is not JMESPath: {error.message}", error.lexer_position + 1) from None
    except exceptions.ParseError as error:
        raise ExpressionError(f"is not JMESPath: {_one_line(error.msg)}", error.lex_position + 1) from None
    except RecursionError:
        raise ExpressionError("is nested too deeply", 1) from None
    except Exception as error:  # noqa: BLE001  # a few malformed texts trip the library's own code
        raise ExpressionError(f"is not JMESPath: {_one_line(str(error)) or 'it cannot be read'}", 1) from None
    for node in nodes:
        _judge_call(node, text)
    return Expression(text, tree)


def parse_json(text: str) -> Any:
    """The JSON value in a text (RFC 8259: no NaN, no Infinity); ValueError or RecursionError for anything else."""
    return _JSON.decode(text)


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
"""`json.loads` would make one for each text."""


class _Functions(functions.Functions):
    """JMESPath's own, and ours."""

    @functions.signature({"types": []})
    def _func_from_json(self, value: Any) -> Any:
        """Some APIs put JSON into a string of their answer. None for what is not JSON."""
        return parse_json(value) if isinstance(value, str) else None

    @functions.signature({"types": []})
    def _func_lower(self, value: Any) -> str | None:
        """A text in lower case, so that words are found however they are written. Anything else is its JSON text: where
        a message is expected, some APIs send an object of them. null stays null."""
        if value is None:
            return None
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return text.lower()

    @functions.signature({"types": []})
    def _func_url_encode(self, value: Any) -> str | None:
        """A text as a value in a URL's query: all but RFC 3986's unreserved characters (section 2.3) percent-encoded,
        as UTF-8. None for what is no text."""
        return quote(value, safe="", errors="replace") if isinstance(value, str) else None


class _Interpreter(visitor.TreeInterpreter):
    def visit_field(self, node: Any, value: Any) -> Any:
        """As the library's own, ten times faster where there is no object: it raises and catches for that."""
        return value.get(node["value"]) if isinstance(value, dict) else None


_INTERPRETER = _Interpreter(visitor.Options(custom_functions=_Functions()))


def _nodes(node: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The node and all below it; slices have plain numbers among their children."""
    if not isinstance(node, dict):
        return
    if depth > MAX_EXPRESSION_DEPTH:
        raise RecursionError
    yield node
    for child in node["children"]:
        yield from _nodes(child, depth + 1)


def _judge_call(node: dict[str, Any], text: str) -> None:
    """The library would notice only when the expression is evaluated."""
    if node["type"] != "function_expression":
        return
    name, given = node["value"], len(node["children"])
    found = re.search(rf"\b{re.escape(name)}\s*\(", text)
    column = 1 if found is None else found.start() + 1
    spec = _Functions.FUNCTION_TABLE.get(name)
    if spec is None:
        known = ", ".join(sorted(_Functions.FUNCTION_TABLE))
        raise ExpressionError(f"calls an unknown function: {name}() (known are {known})", column)
    wanted = len(spec["signature"])
    variadic = bool(wanted) and bool(spec["signature"][-1].get("variadic"))
    if given < wanted or (given > wanted and not variadic):
        least = "at least " if variadic else ""
        raise ExpressionError(f"gives {name}() {given} arguments, and it takes {least}{wanted}", column)


def _one_line(text: str) -> str:
    return " ".join(text.split())
