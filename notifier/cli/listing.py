"""What every list of a running daemon has in common: asked for, shown, and where it goes on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from notifier.cli.client import Intake
from notifier.cli.table import show_table


def print_list(
    intake: Intake,
    name: str,
    query: Mapping[str, Any],
    headings: Sequence[str],
    row: Callable[[Any], Sequence[Any]],
    *,
    as_json: bool,
) -> None:
    """One page of `/v1/NAME`: as the intake says it with `as_json`, otherwise a `row` for each that it lists."""
    reply, found = intake.ask_json("GET", f"/v1/{name}", query=query)
    if as_json:
        typer.echo(reply.body)
        return
    if not found[name]:
        typer.echo(f"no {name}", err=True)
        return
    show_table(headings, [row(one) for one in found[name]])
    if found["next_cursor"] is not None:
        typer.echo(f"there are more: --cursor {found['next_cursor']}", err=True)
