"""The table of commands. Each imports what it needs when it is asked for, and the others need not wait for that."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from notifier import __version__

COMMANDS = {
    "run": "run.run",
    "check": "check.check",
    "demo": "demo.demo",
    "simulate": "simulate.simulate",
    "status": "status.status",
    "watch": "watch.app",
    "delivery": "delivery.app",
    "endpoint": "endpoint.app",
    "provider": "provider.app",
    "secret": "secret.app",
    "verify": "verify.verify",
    "backup": "backup.backup",
    "migrate-store": "migrate.migrate_store",
    "schema": "check.schema",
    "install": "install.install",
    "uninstall": "install.uninstall",
}
"""Where in this package each command, or family of commands, is found; listed in this order."""


class _Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS, self)  # the names, to list them and to guess what a typing error meant

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        return _load(cmd_name) if cmd_name in COMMANDS else None


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(".")
    found = getattr(import_module(f"notifier.cli.{module}"), attribute)
    table = typer.Typer()
    if isinstance(found, typer.Typer):
        table.add_typer(found, name=name)
    else:
        table.command(name)(found)
    return get_group(table).commands[name]


app = typer.Typer(
    name="notifier",
    cls=_Commands,
    help="Watch jobs behind polling-only APIs; POST a signed webhook when each one ends.",
    epilog="Exit codes: 0 done, 1 failed at run time, 2 wrong usage, 78 wrong configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"notifier {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Watch jobs behind polling-only APIs; POST a signed webhook when each one ends."""
