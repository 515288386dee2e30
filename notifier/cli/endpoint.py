"""`notifier endpoint`: register receivers with secrets and limits of their own, and try receivers out."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from notifier.cli.client import (
    FAILED,
    ConfigOption,
    CursorOption,
    Intake,
    JsonOption,
    LimitOption,
    TokenOption,
    UrlOption,
    printable,
    segment,
)
from notifier.cli.listing import print_list
from notifier.cli.table import cell, circuit_sentence, show_members
from notifier.cli.terms import (
    ConcurrencyOption,
    EventOption,
    HeaderOption,
    RateOption,
    SecretFileOption,
    members,
)
from notifier.domain.event import EVENT_TYPES
from notifier.domain.signature import Ed25519Key, parse_secret, public_key

app = typer.Typer(no_args_is_help=True, help="Receivers of webhooks, and their secrets.")

PATIENCE_SECONDS = 300.0
"""Longer than an attempt may take: webhooks.timeout can be set to minutes."""
HEADINGS = ("ID", "SOURCE", "SECRETS", "RATE", "CONCURRENCY", "EVENTS", "URL")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The endpoint's id, ep_…; `endpoint list` shows it.")]


@app.command()
def add(
    endpoint_url: Annotated[str, typer.Argument(metavar="URL", help="A callback URL, exactly as watches name it.")],
    *,
    secret_file: SecretFileOption = None,
    header: HeaderOption = None,
    event: EventOption = None,
    rate: RateOption = None,
    concurrency: ConcurrencyOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a callback URL; a secret is made, and shown this once, when none is given."""
    body = {"url": endpoint_url, **members(secret_file, header, event, rate, concurrency)}
    reply, endpoint = Intake(url, token, config).ask_json("POST", "/v1/endpoints", body=body)
    typer.echo(reply.body if as_json else f"{endpoint['id']}  registered, {printable(endpoint['url'])}")
    if not as_json:
        _show_secret(endpoint)


@app.command("list")
def list_endpoints(
    *,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List endpoints: those of the configuration, then the others, newest first."""
    query = {"limit": limit, "cursor": cursor}
    print_list(Intake(url, token, config), "endpoints", query, HEADINGS, _row, as_json=as_json)


def _row(endpoint: Any) -> list[Any]:
    events = "all" if len(endpoint["events"]) == len(EVENT_TYPES) else ",".join(endpoint["events"])
    limits = [_per_second(endpoint["rate"]), endpoint["concurrency"]]
    return [endpoint["id"], endpoint["source"], endpoint["secrets"], *limits, events, endpoint["url"]]


def _per_second(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:g}/s"


@app.command()
def show(
    endpoint_id: IdArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one endpoint, without what is secret of it."""
    reply, endpoint = Intake(url, token, config).ask_json("GET", f"/v1/endpoints/{segment(endpoint_id)}")
    if as_json:
        typer.echo(reply.body)
        return
    lists = {name: ", ".join(endpoint[name]) or None for name in ("events", "headers")}
    circuit = endpoint.pop("circuit")
    show_members(endpoint | lists | {"rate": _per_second(endpoint["rate"])})
    if circuit is not None:
        typer.echo(f"\n{circuit_sentence(circuit)}")


@app.command()
def change(
    endpoint_id: IdArgument,
    *,
    secret_file: SecretFileOption = None,
    header: HeaderOption = None,
    drop_header: Annotated[
        list[str] | None, typer.Option("--drop-header", metavar="NAME", help="No longer sent; may be repeated.")
    ] = None,
    event: EventOption = None,
    rate: RateOption = None,
    concurrency: ConcurrencyOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is named, and nothing else; it holds from the next attempt on."""
    body = members(secret_file, header, event, rate, concurrency)
    if drop_header:
        body["headers"] = dict.fromkeys(drop_header) | body.get("headers", {})
    if not body:
        options = "--secret-file, --header, --drop-header, --event, --rate or --concurrency"
        raise typer.BadParameter(f"say what is to change: {options}", param_hint="options")
    _patch(endpoint_id, body, "changed", Intake(url, token, config), as_json=as_json)


@app.command()
def rotate(
    endpoint_id: IdArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new secret and show it this once; the newest one until now goes on signing beside it.

    Give the new one to the receiver, then rotate once more, or set --secret-file, to be rid of the old one.
    Endpoints of the configuration are changed there.
    """
    _patch(endpoint_id, {"rotate": True}, "rotated", Intake(url, token, config), as_json=as_json)


@app.command()
def delete(
    endpoint_id: IdArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete an endpoint; what is pending for its URL goes on, signed with the global secrets."""
    Intake(url, token, config).ask("DELETE", f"/v1/endpoints/{segment(endpoint_id)}")
    typer.echo(f"{endpoint_id}  deleted")


def _patch(endpoint_id: str, body: Mapping[str, Any], done: str, intake: Intake, *, as_json: bool) -> None:
    reply, endpoint = intake.ask_json("PATCH", f"/v1/endpoints/{segment(endpoint_id)}", body=body)
    typer.echo(reply.body if as_json else f"{endpoint['id']}  {done}, {printable(endpoint['url'])}")
    if not as_json:
        _show_secret(endpoint)


def _show_secret(endpoint: Any) -> None:
    """A secret that was made, in a line of its own; for a private key the public one, which is what receivers need."""
    secret = endpoint["secret"]
    if secret is None:
        return
    key = parse_secret(secret)
    if isinstance(key, Ed25519Key):
        typer.echo("The receiver verifies with this public key, beside the one until now:", err=True)
        typer.echo(public_key(key))
    else:
        typer.echo("The receiver verifies with this secret; it is not shown again:", err=True)
        typer.echo(secret)


@app.command("test")
def send_test(
    callback_url: Annotated[str, typer.Argument(metavar="URL", help="Where to send it, as a watch would name it.")],
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send one test event to a URL, through the same guard and signer as every other."""
    reply, result = Intake(url, token, config).ask_json(
        "POST", "/v1/endpoints/test", body={"callback_url": callback_url}, timeout=PATIENCE_SECONDS
    )
    typer.echo(reply.body if as_json else _sentence(result))
    if result["outcome"] != "delivered":
        raise typer.Exit(FAILED)


def _sentence(result: Any) -> str:
    """What came of it in one line, and the start of the receiver's answer in another."""
    status = "" if result["http_status"] is None else f", HTTP {result['http_status']}"
    error = result["error"]
    why = "" if error is None or error == f"HTTP {result['http_status']}" else f": {cell(error)}"
    answer = f"\nanswer: {cell(result['response'])}" if result["response"] else ""
    return f"{result['outcome']}{status} after {result['duration_ms']:g} ms{why}{answer}"
