"""What several commands have in common: where the configuration is, and how its problems are printed."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from notifier.config import Rejected, Settings, load
from notifier.logs import priority_mark

WRONG_CONFIGURATION = 78
"""EX_CONFIG of sysexits(3)."""

DEFAULT_CONFIG = Path("/etc/notifier/config.yaml")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", metavar="FILE", envvar="NOTIFIER_CONFIG", help="The configuration, in YAML."),
]


VarOption = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="What the provider needs beside the task id; may be repeated."),
]


def variables(texts: list[str] | None) -> dict[str, str]:
    """Those that `--var` gives; which there are is for the provider to say."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise typer.BadParameter("is not written as NAME=VALUE, as in region=europe-west4", param_hint="--var")
        if found.setdefault(name, value) != value:
            raise typer.BadParameter(f"gives {name} two values", param_hint="--var")
    return found


def load_or_exit(
    config: Path, *, secrets: Literal["required", "optional"], part: Literal["all", "providers"] = "all"
) -> Settings:
    """The settings, or every problem of the file (or of that part of it) on stderr and exit 78."""
    loaded = load(config, os.environ, secrets=secrets, part=part)
    if isinstance(loaded, Rejected):
        for problem in loaded.problems:
            typer.echo(f"{priority_mark('error', sys.stderr)}{problem}", err=True)
        raise typer.Exit(WRONG_CONFIGURATION)
    return loaded.settings
