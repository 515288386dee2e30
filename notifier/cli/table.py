"""Lists for people: a table on a terminal, plain aligned columns in a pipe. Nothing is ever cut short."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from notifier.cli.client import printable

LEAST_FOLDED = 24
"""Characters: how narrow the last column of a table may become."""


def show_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under their headings, in as many lines as they need."""
    texts = [[cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _show_rich(headings, texts)
    else:
        _show_plain(headings, texts)


def show_members(members: Mapping[str, Any]) -> None:
    """One line for each member, the names aligned."""
    width = max(len(name) for name in members)
    for name, value in members.items():
        typer.echo(f"{name:<{width}}  {cell(value)}")


def cell(value: Any) -> str:
    """A JSON value in one line: `-` for null, structures as JSON."""
    match value:
        case None:
            return "-"
        case str():
            return printable(value)
        case _:
            return printable(json.dumps(value, ensure_ascii=False))


def moment(text: str | None) -> str | None:
    """An RFC 3339 time to the second: fractions are for programs."""
    return None if text is None else text.partition(".")[0] + "Z"


def circuit_sentence(circuit: Any) -> str:
    """Why the deliveries to a callback URL wait."""
    since, again = moment(circuit["since"]), moment(circuit["next_probe_at"])
    return (
        f"waiting: the circuit of this URL is open. Its last {circuit['failures']} attempts failed, the first at "
        f"{since}, the last with: {cell(circuit['error'])}. One probe at a time tries it again, the next at {again}; "
        "when one succeeds, all go."
    )


def _show_plain(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(text) for text in column) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        line = "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _show_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The last column is folded into what the others leave. Where they leave nothing, lines are longer than the
    terminal is wide, and it wraps them: an id in two pieces can still be copied, one that was cut cannot."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    widths = [max(len(text) for text in column) for column in zip(headings, *rows, strict=True)]
    widths[-1] = min(widths[-1], LEAST_FOLDED)
    for heading, width in zip(headings, widths, strict=True):
        last = len(table.columns) == len(headings) - 1
        table.add_column(heading, no_wrap=not last, min_width=width, overflow="fold")
    for row in rows:
        # As Text, because square brackets in a string would be taken for markup.
        table.add_row(*(Text(text) for text in row))
    needed = sum(widths) + 2 * len(widths)
    Console(width=max(Console().width, needed)).print(table)
