"""`notifier secret`: new signing secrets. Values are on stdout, one a line for scripts; explanations are on stderr."""

import secrets
import sys
from typing import Annotated

import typer

from notifier.domain.signature import (
    NEW_SECRET_BYTES,
    Ed25519Key,
    new_private_key,
    new_secret,
    public_key,
)

app = typer.Typer(name="secret", help="Make signing secrets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make signing secrets."""


@app.command()
def new(
    *,
    asymmetric: Annotated[
        bool, typer.Option("--asymmetric", help="An ed25519 key pair: the private key, then the public one.")
    ] = False,
) -> None:
    """Print a new signing secret; with --asymmetric a private key and, on the second line, its public key."""
    random_bytes = secrets.token_bytes(NEW_SECRET_BYTES)
    if asymmetric:
        _print_pair(random_bytes)
    else:
        _explain("Set this as webhooks.secret, and give it to the receiver:")
        typer.echo(new_secret(random_bytes))


def _print_pair(seed: bytes) -> None:
    _explain("Set the first line as webhooks.secret and keep it private; give the second to the receivers:")
    typer.echo(new_private_key(seed))
    typer.echo(public_key(Ed25519Key(seed)))


def _explain(text: str) -> None:
    if sys.stdout.isatty():
        typer.echo(text, err=True)
