"""`notifier verify`: a received webhook in, a verdict out. For whoever builds a receiver and sees nothing but a 401."""

import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from notifier.domain import signature
from notifier.domain.quantity import format_duration, parse_duration
from notifier.domain.signature import Invalid, Valid, Verdict, VerifyingKey, parse_public_key, parse_secret

INVALID = 1
STDIN = Path("-")
SECRET_VARIABLE = "WEBHOOK_SECRET"  # noqa: S105  # the name of a variable, not a secret

_REQUIRED = ("webhook-id", "webhook-timestamp", "webhook-signature")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_ADVICE = {
    "id": "look at how the header reaches you",
    "timestamp": "look at how the header reaches you",
    "too_old": "a saved message gets old: to check it all the same, raise --tolerance",
    "too_new": "compare the clocks of both machines",
    "signature": "look at how the header reaches you; proxies sometimes cut or fold it",
    "mismatch": "check the body byte by byte, as it came and before any JSON parser, then the secret: "
    "an endpoint with secrets of its own signs with those",
}


def verify(
    *,
    secret: Annotated[
        list[str] | None,
        typer.Option(metavar="SECRET", help=f"whsec_… or whsk_…; may be repeated. Default: ${SECRET_VARIABLE}."),
    ] = None,
    secret_file: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A file with a secret; may be repeated.")
    ] = None,
    public_key: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="whpk_…, for v1a signatures; may be repeated.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header; may be repeated.")
    ] = None,
    headers: Annotated[Path | None, typer.Option(metavar="FILE", help="A file of headers, one a line.")] = None,
    body: Annotated[Path | None, typer.Option(metavar="FILE", help="The body as it came; - is stdin.")] = None,
    tolerance: Annotated[
        str, typer.Option(metavar="DURATION", help="How old the message may be, and how far ahead the clock.")
    ] = "5m",
) -> None:
    """Check a received webhook: headers and body in, verdict out.

    Without -H and --headers, a whole message is read from stdin: headers, a blank line, the body.
    Exit code 0: valid. 1: invalid. 2: wrong usage.
    """
    keys = _keys(secret or [], secret_file or [], public_key or [])
    seconds = _tolerance(tolerance)
    fields, content = _message(header or [], headers, body)
    verdict = _verify(keys, fields, content, int(time.time()), seconds)
    match verdict:
        case Valid():
            age = int(time.time()) - int(fields["webhook-timestamp"])
            when = f"{format_duration(age)} ago" if age >= 0 else f"{format_duration(-age)} from now"
            typer.echo(f"valid: {fields['webhook-id']} was signed {when} and has not been changed since")
        case Invalid():
            typer.echo(f"invalid: {verdict.message}; {_ADVICE[verdict.reason]}")
            raise typer.Exit(INVALID)


def _verify(
    keys: list[VerifyingKey], fields: Mapping[str, str], content: bytes, now: int, tolerance: int
) -> Verdict:
    missing = [name for name in _REQUIRED if name not in fields]
    if missing:
        return Invalid("signature", f"there is no {' and no '.join(missing)} header")

    event_id, timestamp, signatures = (fields[name] for name in _REQUIRED)

    def check(candidate: bytes) -> Verdict:
        return signature.verify(keys, event_id, timestamp, signatures, candidate, now=now, tolerance=tolerance)

    verdict = check(content)
    stripped = content.rstrip(b"\r\n")
    if isinstance(verdict, Invalid) and verdict.reason == "mismatch" and check(stripped) == Valid():
        # Editors and shells add one, so it is the likeliest difference between what came and what was saved.
        return Invalid("mismatch", "the body ends with a line break that was not signed; without it, it is valid")
    return verdict


def _keys(texts: list[str], files: list[Path], public: list[str]) -> list[VerifyingKey]:
    if not texts and not files and not public:
        texts = os.environ.get(SECRET_VARIABLE, "").split()
    if not texts and not files and not public:
        raise typer.BadParameter(f"give --secret, --secret-file or --public-key, or set ${SECRET_VARIABLE}")
    texts = [*texts, *(_read(file, "--secret-file").decode("utf-8", "replace").rstrip("\r\n") for file in files)]
    try:
        return [*map(parse_secret, texts), *map(parse_public_key, public)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _tolerance(text: str) -> int:
    try:
        return int(parse_duration(text))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}", param_hint="--tolerance") from None


def _message(lines: list[str], headers: Path | None, body: Path | None) -> tuple[dict[str, str], bytes]:
    """Header fields by lower-case name, and the body."""
    if not lines and headers is None:
        if body is not None:
            raise typer.BadParameter("--body needs the headers beside it: give -H or --headers")
        return _dump(_read(STDIN, "stdin"))
    if headers is not None:
        lines = [*_read(headers, "--headers").decode("latin-1").splitlines(), *lines]
    return _fields(lines), _read(body or STDIN, "--body")


def _dump(raw: bytes) -> tuple[dict[str, str], bytes]:
    head, *rest = _BLANK_LINE.split(raw, maxsplit=1)
    if not rest:
        raise typer.BadParameter("stdin holds no blank line between headers and body; or give -H, --headers, --body")
    return _fields(head.decode("latin-1").splitlines()), rest[0]


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """A request line (`POST /hook HTTP/1.1`) is passed over."""
    fields = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not line.strip() or re.fullmatch(r"[A-Z]+ \S+ HTTP/[0-9.]+", line.strip()):
            continue
        if not colon or not name.strip():
            raise typer.BadParameter("a header is written 'name: value'")
        fields[name.strip().lower()] = value.strip()
    return fields


def _read(file: Path, option: str) -> bytes:
    if file == STDIN:
        if sys.stdin.isatty():
            typer.echo("reading from the terminal; end with Ctrl-D", err=True)
        return typer.get_binary_stream("stdin").read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint=option) from None
