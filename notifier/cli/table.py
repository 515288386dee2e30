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


def show_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under their headings; the first column is an id, and stays in one piece however narrow the terminal is."""
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


def _show_plain(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(text) for text in column) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        line = "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _show_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    longest = max((len(row[0]) for row in rows), default=0)
    for index, heading in enumerate(headings):
        whole = index == 0
        table.add_column(heading, no_wrap=whole, min_width=longest if whole else None, overflow="fold")
    for row in rows:
        # As Text, because square brackets in a string would be taken for markup.
        table.add_row(*(Text(text) for text in row))
    Console().print(table)
