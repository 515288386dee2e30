"""`notifier watch`: register, list, show and cancel watches of a running daemon."""

import json
import shlex
import sys
from typing import Annotated, Any

import typer

from notifier.adapters.intake_client import Reply
from notifier.cli.client import (
    ConfigOption,
    CursorOption,
    Intake,
    JsonOption,
    LimitOption,
    TokenOption,
    UrlOption,
    printable,
    segment,
    stop,
)
from notifier.cli.listing import print_list
from notifier.cli.options import VarOption, variables
from notifier.cli.table import moment, show_members, show_table
from notifier.cli.wait import wait
from notifier.domain.quantity import format_duration, parse_duration
from notifier.domain.watch import WATCH_STATES

app = typer.Typer(no_args_is_help=True, help="Watches of a running daemon.")
app.command()(wait)

HEADINGS = ("ID", "STATE", "STATUS", "PROVIDER", "TASK", "POLLS", "NEXT POLL", "DELIVERY", "CALLBACK URL")
FILE_HEADINGS = ("FILE", "STATE", "BYTES", "TYPE", "SHA-256", "SAVED AT", "WHERE, OR WHY NOT")


def _duration(text: str | None) -> str | None:
    """Checked here, so that a slip is wrong usage; sent as it was written."""
    if text is not None:
        try:
            parse_duration(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} {error}") from None
    return text


def _state(text: str | None) -> str | None:
    if text is not None and text not in WATCH_STATES:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(WATCH_STATES)}")
    return text


def _metadata(text: str | None) -> str | None:
    if text is not None and not isinstance(_read(text), dict):
        raise typer.BadParameter("is no JSON object; write it like '{\"order\": 1042}'")
    return text


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@app.command()
def add(
    *,
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="The provider's id of the task.")],
    callback: Annotated[
        str | None, typer.Argument(metavar="CALLBACK_URL", help="Who is told how it ended.", show_default=False)
    ] = None,
    callback_url: Annotated[
        str | None, typer.Option("--callback-url", metavar="URL", help="The same as an option.")
    ] = None,
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="By default the only one.")] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="DURATION", help="By default the provider's.", callback=_duration)
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="DURATION", help="By default the provider's.", callback=_duration)
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON", help="An object; returned in the event.", callback=_metadata)
    ] = None,
    var: VarOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch a task: when it has ended, the callback URL is told.

    The daemon must be running. The URL must be your own and reachable from it:
    https and public, or in a network of webhooks.allow_networks. The same task
    and URL is one watch, however often it is added.
    """
    terms = {"provider": provider, "interval": interval, "deadline": deadline, "vars": variables(var) or None,
             "metadata": metadata and _read(metadata)}
    asked = {name: value for name, value in terms.items() if value is not None}
    asked |= {"task_id": task_id, "callback_url": _one_callback(callback, callback_url)}
    reply, watch = Intake(url, token, config).ask_json("POST", "/v1/watches", body=asked)
    if as_json:
        typer.echo(reply.body)
    else:
        _tell_registered(watch, new=reply.status == 201)


def _one_callback(argument: str | None, option: str | None) -> str:
    given = {url for url in (argument, option) if url is not None}
    if len(given) != 1:
        wrong = "two different callback URLs are given" if given else "a callback URL is missing"
        raise typer.BadParameter(f"{wrong}; write: notifier watch add TASK_ID CALLBACK_URL", param_hint="CALLBACK_URL")
    return given.pop()


def _tell_registered(watch: Any, *, new: bool) -> None:
    what = f"{watch['provider']} task {watch['task_id']}: {watch['state']}"
    typer.echo(printable(f"{watch['id']}  {'registered' if new else 'watched already'}, {what}"))
    if watch["state"] == "watching" and sys.stdout.isatty():
        typer.echo(f"→ notifier watch wait {watch['id']}")


@app.command("list")
def list_watches(
    *,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="|".join(WATCH_STATES), callback=_state)] = None,
    provider: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    task_id: Annotated[str | None, typer.Option("--task-id", metavar="TASK_ID")] = None,
    limit: LimitOption = None,
    cursor: CursorOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List watches, newest first."""
    query = {"state": state, "provider": provider, "task_id": task_id, "limit": limit, "cursor": cursor}
    print_list(Intake(url, token, config), "watches", query, HEADINGS, _row, as_json=as_json)


def _row(watch: Any) -> list[Any]:
    delivery = watch["delivery"]
    return [
        watch["id"],
        watch["state"],
        watch["status"],
        watch["provider"],
        watch["task_id"],
        watch["polls"],
        moment(watch["next_poll_at"]),
        None if delivery is None else delivery["state"],
        watch["callback_url"],
    ]


@app.command()
def show(
    watch_id: Annotated[str, typer.Argument(metavar="ID", help="The watch's id, wch_….")],
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one watch."""
    intake = Intake(url, token, config)
    reply, watch = intake.read(_answer(intake, "GET", watch_id))
    if as_json:
        typer.echo(reply.body)
        return
    delivery = watch.pop("delivery") or {}
    urls, files = watch.pop("urls"), watch.pop("files")
    interval = None if watch["interval"] is None else format_duration(watch["interval"])
    shown = watch | {"interval": interval} | {f"delivery {name}": value for name, value in delivery.items()}
    show_members(shown | {f"url {n}": url for n, url in enumerate(urls)})
    if files:
        typer.echo()
        show_table(FILE_HEADINGS, [_file_row(file) for file in files])


def _answer(intake: Intake, method: str, watch_id: str) -> Reply:
    """A successful answer about one watch; a task's id, which has another form, is told from a watch's."""
    answer = intake.attempt(method, f"/v1/watches/{segment(watch_id)}")
    if isinstance(answer, Reply) and answer.status == 404 and not watch_id.startswith("wch_"):
        stop(printable(f"no watch has the id {watch_id}, which looks like a task's; see: {_search(watch_id)}"))
    return intake.settled(answer)


def _search(task_id: str) -> str:
    return f"notifier watch list --task-id {shlex.quote(task_id)}"


def _file_row(file: Any) -> list[Any]:
    where = file["location"] or file["error"]
    saved_at = moment(file["saved_at"])
    return [file["n"], file["state"], file["size"], file["content_type"], file["sha256"], saved_at, where]


@app.command()
def cancel(
    watch_id: Annotated[str, typer.Argument(metavar="ID", help="The watch's id, wch_….")],
    *,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
) -> None:
    """Cancel a watch: no event will be sent for it. One that has ended stays as it is."""
    _answer(Intake(url, token, config), "DELETE", watch_id)
    typer.echo(f"{watch_id}  cancelled, or it had ended before")
