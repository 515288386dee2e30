"""`notifier watch wait`: until a task has ended, and until its files are here."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from notifier.adapters.intake_client import Reply
from notifier.cli.client import (
    FAILED,
    USAGE,
    ConfigOption,
    Intake,
    TokenOption,
    UrlOption,
    printable,
    segment,
    stop,
)
from notifier.cli.fetching import Fetched, fetch_files
from notifier.cli.patience import Patience
from notifier.cli.table import moment
from notifier.domain.quantity import parse_duration

TRIES_APART = "5 s to 10 min apart"
"""As the README says it."""
INTERRUPTED = 130
"""128 + SIGINT, as shells say it."""
LOOK_EVERY_SECONDS = 1.0
AWAY_SECONDS = 120.0
"""For how long a daemon may be away, as in a restart, once it has answered."""


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


def wait(
    *,
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="The provider's id of the task, or a watch's id.")],
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Needed when several providers have a task of this id.")
    ] = None,
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="Give up after this; exit 1.")] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Then fetch its saved files into this folder.")
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the watch as it ended.")] = False,
) -> None:
    """Wait until a watched task has ended; what changes meanwhile is told on stderr.

    Of several watches of the task, the newest that was not cancelled counts. With --save its files are fetched as
    DIR/TASK_ID-0.mp4, -1 and so on, the ending by their content. A daemon without an archive has none: the provider's
    URLs are printed, with exit 1.

    Exit 0: completed (and fetched). 1: it ended otherwise, could not be fetched, or --timeout is over. 130: Ctrl-C.
    """
    patience = Patience(_seconds(timeout))
    try:
        intake = Intake(url, token, config)
        reply, watch, good = _wait(intake, task_id, provider, save, patience)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(reply.body if as_json else _sentence(watch))
    raise typer.Exit(0 if good else FAILED)


def _wait(
    intake: Intake, task_id: str, provider: str | None, save: Path | None, patience: Patience
) -> tuple[Reply, Any, bool]:
    """The answer with the watch as it ended, that watch, and whether all is well."""
    watch_id = _find(intake, task_id, provider)
    look = _Look(intake, watch_id, patience)
    reply, watch = look.until(lambda watch: watch["state"] != "watching")
    if save is None or watch["state"] != "completed":
        return reply, watch, watch["state"] == "completed"
    reply, watch = look.until(lambda watch: all(file["state"] != "pending" for file in watch["files"]))
    return reply, watch, _fetch(intake, watch, save, patience)


def _find(intake: Intake, asked: str, provider: str | None) -> str:
    """The id of the watch that is meant."""
    if asked.startswith("wch_"):
        known = intake.attempt("GET", f"/v1/watches/{segment(asked)}")
        if isinstance(known, Reply) and known.status == 200:
            return asked
    query = {"task_id": asked, "provider": provider, "limit": 1000}
    _, found = intake.ask_json("GET", "/v1/watches", query=query)
    watches = [one for one in found["watches"] if one["state"] != "cancelled"] or found["watches"]
    if not watches:
        stop(printable(f"task {asked} is not watched; begin with: notifier watch add {asked} CALLBACK_URL"))
    providers = sorted({one["provider"] for one in watches})
    if len(providers) > 1:
        stop(f"a task of this id is watched at {' and '.join(providers)}; say which with --provider", USAGE)
    return str(watches[0]["id"])


class _Look:
    """Looks at one watch again and again, and tells on stderr what has changed."""

    def __init__(self, intake: Intake, watch_id: str, patience: Patience) -> None:
        self._intake = intake
        self._path = f"/v1/watches/{segment(watch_id)}"
        self._patience = patience
        self._state = ""
        self._told: dict[str, str] = {}

    def until(self, true: Callable[[Any], bool]) -> tuple[Reply, Any]:
        """The first answer whose watch is so, and that watch."""
        answered = time.monotonic()
        while True:
            reply = self._intake.attempt("GET", self._path)
            if isinstance(reply, Reply) and reply.status == 200 and (watch := reply.json()) is not None:
                answered = time.monotonic()
                self._state = _state(watch)
                if true(watch):
                    return reply, watch
                self._tell(_facts(watch))
            elif _is_final(reply) or time.monotonic() - answered > AWAY_SECONDS:
                stop(self._intake.why(reply))
            else:
                self._state = "the daemon does not answer now"
                self._tell({**self._told, "daemon": f"{self._state}; waiting for it"})
            self._patience.sleep(LOOK_EVERY_SECONDS, self._state)

    def _tell(self, facts: dict[str, str]) -> None:
        for name, text in facts.items():
            if self._told.get(name) != text:
                typer.echo(f"{time.strftime('%H:%M:%S')}  {printable(text)}", err=True)
        self._told = facts


def _is_final(answer: object) -> bool:
    """Whether asking again is pointless: too many calls, a stop and a store that is down are not."""
    return isinstance(answer, Reply) and answer.status != 429 and answer.status < 500


def _state(watch: Any) -> str:
    status = f" ({watch['status']})" if watch["status"] not in (None, watch["state"]) else ""
    pending = sum(file["state"] == "pending" for file in watch["files"])
    saving = f"; {pending} of {len(watch['files'])} files still to be saved" if pending else ""
    return printable(f"{watch['state']}{status}{saving}")


def _facts(watch: Any) -> dict[str, str]:
    """What there is to say about a watch that is waited for, each by a name of its own."""
    if watch["state"] == "watching":
        facts = {
            "status": watch["status"] or "its provider has told nothing about it yet",
            "deadline": f"its deadline is {moment(watch['deadline_at'])}",
        }
        return facts | ({"error": f"the last poll: {watch['last_error']}"} if watch["last_error"] else {})
    left = sum(file["state"] == "pending" for file in watch["files"])
    facts = {"status": f"{watch['state']}; waiting for its files ({left} of {len(watch['files'])} still to be saved)"}
    return facts | {f"file {file['n']}": _trouble(file) for file in watch["files"] if file["error"]}


def _trouble(file: Any) -> str:
    again = f"; tried again, {TRIES_APART}" if file["state"] == "pending" else "; given up"
    return f"file {file['n']} is not saved: {file['error']}{again}"


def _sentence(watch: Any) -> str:
    ended = moment(watch["ended_at"])
    error = f": {watch['last_error']}" if watch["last_error"] and watch["state"] != "completed" else ""
    return printable(f"{watch['id']}  {watch['provider']} task {watch['task_id']}: {watch['state']} at {ended}{error}")


def _fetch(intake: Intake, watch: Any, folder: Path, patience: Patience) -> bool:
    """Bring the files here, and say what could not be had."""
    if not watch["urls"]:
        typer.echo("the task made no files", err=True)
        return True
    if not watch["files"]:
        typer.echo("archiving is off in this daemon, so its files are where the provider has them, for now:", err=True)
        for one in watch["urls"]:
            typer.echo(printable(one), err=True)
        return False
    fetched = [_tell_fetched(one) for one in fetch_files(intake, watch, folder, patience)]
    return all(fetched)


def _tell_fetched(fetched: Fetched) -> bool:
    if fetched.problem is None:
        typer.echo(f"saved {fetched.where}", err=True)
        return True
    typer.echo(f"notifier: {fetched.where}: {fetched.problem}", err=True)
    return False
