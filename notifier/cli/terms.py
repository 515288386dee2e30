"""The options that say what an endpoint is to be, as the intake takes them. What can be wrong usage is refused here."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from notifier.domain.event import EVENT_TYPES
from notifier.domain.headers import header_name, header_value
from notifier.domain.quantity import parse_rate

NONE = "none"
"""What takes a limit away."""


def _header(text: str) -> tuple[str, str]:
    """`Name: value`, or `Name:value`."""
    name, colon, value = text.partition(":")
    if not colon:
        raise typer.BadParameter("is not written as NAME:VALUE, as in X-Env:production", param_hint="--header")
    try:
        return header_name(name), header_value(value.strip())
    except ValueError as error:
        # Only the name is shown: the value may be a password.
        raise typer.BadParameter(f"{name!r} {error}", param_hint="--header") from None


def _events(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in EVENT_TYPES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(EVENT_TYPES)}")
    return names


def _rate(text: str | None) -> str | None:
    if text not in (None, NONE):
        try:
            parse_rate(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} {error}") from None
    return text


def _concurrency(text: str | None) -> str | None:
    if text not in (None, NONE) and not (text.isascii() and text.isdigit()):
        raise typer.BadParameter(f"{text!r} is not a whole number")
    return text


SecretFileOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="The file with its signing secrets, one a line and the newest first; - is standard input."
    ),
]
HeaderOption = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="Sent with every attempt; may be repeated.")
]
EventOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event", metavar="TYPE", help=f"All that is sent: {'|'.join(EVENT_TYPES)}; may be repeated.", callback=_events
    ),
]
RateOption = Annotated[
    str | None, typer.Option(metavar="RATE", help=f"Attempts, such as 10/s; {NONE} for no limit.", callback=_rate)
]
ConcurrencyOption = Annotated[
    str | None, typer.Option(metavar="N", help=f"Attempts in flight; {NONE} for no limit.", callback=_concurrency)
]


def members(
    secret_file: str | None,
    header: list[str] | None,
    event: list[str] | None,
    rate: str | None,
    concurrency: str | None,
) -> dict[str, Any]:
    """What the options say of an endpoint, as the intake takes it."""
    found: dict[str, Any] = {}
    if secret_file is not None:
        found["secrets"] = _read_secrets(secret_file)
    if header:
        found["headers"] = dict(_header(text) for text in header)
    if event:
        found["events"] = event
    if rate is not None:
        found["rate"] = None if rate == NONE else rate
    if concurrency is not None:
        found["concurrency"] = None if concurrency == NONE else int(concurrency)
    return found


def _read_secrets(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise typer.BadParameter(f"cannot be read: {reason}", param_hint="--secret-file") from None
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise typer.BadParameter("holds no secret; `notifier secret new` makes one", param_hint="--secret-file")
    return found
