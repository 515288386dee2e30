"""`notifier check` and `notifier schema`: what is wrong with a configuration, and what editors may know of it."""

import json

import typer

from notifier.cli.options import DEFAULT_CONFIG, ConfigOption, load_or_exit
from notifier.config import json_schema


def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Validate the configuration: "OK", or every error at once and exit 78.

    Needs no secrets' values, no free port and no network.
    """
    load_or_exit(config, secrets="optional")
    typer.echo("OK")


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    With the YAML language server, begin the file with: # yaml-language-server: $schema=notifier.schema.json
    """
    typer.echo(json.dumps(json_schema(), indent=2))
