"""The table of commands."""

from typing import Annotated

import typer

from notifier import __version__
from notifier.cli.backup import backup
from notifier.cli.check import check, schema
from notifier.cli.delivery import app as delivery_commands
from notifier.cli.demo import demo
from notifier.cli.endpoint import app as endpoint_commands
from notifier.cli.install import install, uninstall
from notifier.cli.provider import app as provider_commands
from notifier.cli.run import run
from notifier.cli.secret import app as secret_commands
from notifier.cli.simulate import simulate
from notifier.cli.status import status
from notifier.cli.verify import verify
from notifier.cli.watch import app as watch_commands

app = typer.Typer(
    name="notifier",
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


app.command()(run)
app.command()(check)
app.command()(demo)
app.command()(simulate)
app.command()(status)
app.command()(backup)
app.add_typer(watch_commands, name="watch")
app.add_typer(delivery_commands, name="delivery")
app.add_typer(endpoint_commands, name="endpoint")
app.add_typer(provider_commands, name="provider")
app.add_typer(secret_commands, name="secret")
app.command()(verify)
app.command()(schema)
app.command()(install)
app.command()(uninstall)
