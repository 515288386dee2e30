"""`notifier delivery`: list and show deliveries of a running daemon, and send an event again."""

from typing import Annotated, Any

import typer

from notifier.cli.client import (
    ConfigOption,
    CursorOption,
    Intake,
    JsonOption,
    LimitOption,
    TokenOption,
    UrlOption,
    segment,
)
from notifier.cli.listing import print_list
from notifier.cli.table import circuit_sentence, moment, show_members, show_table
from notifier.domain.delivery import DELIVERY_STATES

app = typer.Typer(no_args_is_help=True, help="Deliveries of a running daemon.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The delivery's id; `delivery list` shows it.")]
HEADINGS = ("ID", "STATE", "TYPE", "ATTEMPTS", "NEXT ATTEMPT", "WATCH", "CALLBACK URL")
LOG_HEADINGS = ("AT", "OUTCOME", "HTTP", "MS", "ERROR", "RESPONSE")


def _state(text: str | None) -> str | None:
    if text is not None and text not in DELIVERY_STATES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(DELIVERY_STATES)}")
    return text


@app.command("list")
def list_deliveries(
    *,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="|".join(DELIVERY_STATES), callback=_state)
    ] = None,
    watch_id: Annotated[str | None, typer.Option("--watch", metavar="WATCH_ID")] = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List deliveries, newest first."""
    query = {"state": state, "watch_id": watch_id, "limit": limit, "cursor": cursor}
    print_list(Intake(url, token, config), "deliveries", query, HEADINGS, _row, as_json=as_json)


def _row(delivery: Any) -> list[Any]:
    return [
        delivery["id"],
        delivery["state"] if delivery["reason"] is None else f"{delivery['state']} ({delivery['reason']})",
        delivery["type"],
        delivery["attempts"],
        moment(delivery["next_attempt_at"]),
        delivery["watch_id"],
        delivery["callback_url"],
    ]


@app.command()
def show(
    delivery_id: IdArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one delivery with its latest attempts."""
    reply, delivery = Intake(url, token, config).ask_json("GET", f"/v1/deliveries/{segment(delivery_id)}")
    if as_json:
        typer.echo(reply.body)
        return
    log, circuit = delivery.pop("log"), delivery.pop("circuit", None)
    show_members(delivery)
    if circuit is not None:
        typer.echo()
        typer.echo(circuit_sentence(circuit))
    if log:
        typer.echo()
        show_table(LOG_HEADINGS, [_attempt(one) for one in log])


def _attempt(attempt: Any) -> list[Any]:
    names = ("outcome", "http_status", "duration_ms", "error", "response")
    return [moment(attempt["at"]), *(attempt[name] for name in names)]


@app.command()
def redeliver(
    delivery_id: IdArgument,
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Send the same event again, under the same id and with a fresh schedule, to the same URL.

    For one that was delivered, exhausted or refused; one that is pending is refused, as it will be sent anyway.
    Receivers tell a repetition by its webhook-id.
    """
    Intake(url, token, config).ask("POST", f"/v1/deliveries/{segment(delivery_id)}/redeliver")
    typer.echo(f"{delivery_id}  will be sent again; see: notifier delivery show {delivery_id}")
