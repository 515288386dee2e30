"""`notifier migrate-store`: from a file of one daemon's to a database that many can share."""

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from notifier.adapters.stores.address import file_of, is_server, shown
from notifier.adapters.stores.errors import StoreError
from notifier.adapters.stores.moving import move_store
from notifier.cli.client import stop
from notifier.config import store_url

BIG = 100_000
"""Rows: fewer are moved before a bar could be read."""

ONE = {
    "tasks": "task",
    "watches": "watch",
    "deliveries": "delivery",
    "attempts": "attempt",
    "files": "file",
    "endpoints": "endpoint",
}


def _url(value: str) -> str:
    try:
        return store_url(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def migrate_store(
    source: Annotated[str, typer.Argument(metavar="FROM", parser=_url, help="sqlite:///PATH; no daemon may use it.")],
    target: Annotated[
        str, typer.Argument(metavar="TO", parser=_url, help="postgresql://…; a database with nothing in it.")
    ],
) -> None:
    """Move a store from SQLite to PostgreSQL: every watch, delivery, attempt, file and endpoint, or nothing.

    Stop the daemon, run this, write TO into store.url, and start it again. FROM stays as it is; no daemon may run on it
    again, or what is pending is sent twice. TO's password may also stand in $PGPASSWORD or ~/.pgpass.
    """
    if is_server(source) or not is_server(target):
        told = "moves from SQLite to PostgreSQL: notifier migrate-store sqlite:///PATH postgresql://user@host/database"
        raise typer.BadParameter(f"{told}; between servers use pg_dump and pg_restore")
    try:
        with _Bar() as bar:
            moved = asyncio.run(move_store(file_of(source), target, progress=bar.show))
    except StoreError as error:
        stop(f"nothing was moved: {error}")
    rows = ", ".join(f"{count} {ONE.get(name, name) if count == 1 else name}" for name, count in moved.items())
    typer.echo(f"{shown(target)}  {rows}, all counted; write it into store.url, and run no daemon on {source} again")


class _Bar(Progress):
    """Shown on a terminal while much is moved, then gone."""

    def __init__(self) -> None:
        columns = (TextColumn("moving rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self._moving = self.add_task("moving", total=None, visible=False)

    def show(self, moved: int, of: int) -> None:
        self.update(self._moving, completed=moved, total=of, visible=of >= BIG)
