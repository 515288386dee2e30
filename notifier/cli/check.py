"""`notifier check` and `notifier schema`: what is wrong with a configuration, and what editors may know of it."""

import json
import sys
from pathlib import Path

import typer

from notifier.adapters.stores.address import is_server
from notifier.adapters.stores.errors import StoreError
from notifier.cli.options import DEFAULT_CONFIG, WRONG_CONFIGURATION, ConfigOption, load_or_exit
from notifier.config import json_schema
from notifier.logs import priority_mark


def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Validate the configuration: "OK", or every error at once and exit 78.

    Needs no secrets' values, no free port and no network.
    """
    _judge_store(load_or_exit(config, secrets="optional").store.url, config)
    typer.echo("OK")


def _judge_store(url: str, config: Path) -> None:
    """Which parameters a URL may have is for PostgreSQL's library to say, without a connection."""
    if not is_server(url):
        return
    from notifier.adapters.stores.postgres import conninfo  # noqa: PLC0415 -- its libraries take memory and time

    try:
        conninfo(url)
    except StoreError as error:
        typer.echo(f"{priority_mark('error', sys.stderr)}{config}: store.url: {error}", err=True)
        raise typer.Exit(WRONG_CONFIGURATION) from None


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    With the YAML language server, begin the file with: # yaml-language-server: $schema=notifier.schema.json
    """
    typer.echo(json.dumps(json_schema(), indent=2))
