"""`notifier endpoint`: try a receiver out."""

from typing import Annotated, Any

import typer

from notifier.cli.client import FAILED, ConfigOption, Intake, JsonOption, TokenOption, UrlOption
from notifier.cli.table import cell

app = typer.Typer(no_args_is_help=True, help="Receivers of webhooks.")

PATIENCE_SECONDS = 300.0
"""Longer than an attempt may take: webhooks.timeout can be set to minutes."""


@app.callback()
def _family() -> None:
    """Without a callback, a family of one command would lose the command's name."""


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
