"""`notifier provider`: the known APIs, and tools for those who describe another."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from notifier.app.describing import describe
from notifier.app.trying import Tried, try_out, unset_secret
from notifier.cli.client import FAILED, USAGE, printable, stop
from notifier.cli.meaning import show_exchange, show_meaning, show_result_meaning, show_unheard
from notifier.cli.options import DEFAULT_CONFIG, ConfigOption, VarOption, load_or_exit, variables
from notifier.cli.table import show_table
from notifier.config import PRESETS, Loaded, ProviderSettings, Settings, load, parse
from notifier.config.preset_text import preset_text
from notifier.config.problem import did_you_mean
from notifier.config.provider_agreement import API_KEY, uses_key
from notifier.domain.answer import MAX_ANSWER_BYTES, Answer, Completed, Unauthorized, Unavailable
from notifier.domain.description import Description
from notifier.domain.extract import first
from notifier.domain.http_answer import HttpAnswer, parse_document
from notifier.domain.reading import read, read_result
from notifier.domain.watch import judge_task_id

app = typer.Typer(no_args_is_help=True, help="The APIs that are known, and tools to describe another.")

HEADINGS = ("NAME", "AUTH", "VARS", "URLS LIVE", "BASE URL", "DOCUMENTATION")
UNKNOWN_BASE_URL = "https://base-url.example"
"""Stands in for the address of a preset that leaves it to the user."""

LIST_HINT = "see: notifier provider list"

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A preset, or a provider of the configuration.")]


@app.command("list")
def list_presets(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False
) -> None:
    """List the APIs that are known; each can be used by its name, or as a preset for another."""
    rows = [_row(name, body) for name, body in PRESETS.items()]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    show_table(HEADINGS, [[_cell(value) for value in row.values()] for row in rows])


def _row(name: str, body: Any) -> dict[str, Any]:
    return {
        "name": name,
        "auth": _auth_kind(body.get("auth", {"bearer": API_KEY})),
        "vars": body.get("vars", {}),
        "urls_live": _lifetime(body.get("expires")),
        "base_url": body.get("base_url"),
        "docs": body.get("docs"),
    }


def _auth_kind(auth: Any) -> str | None:
    """How the key is sent, with the name of its header or parameter; None when nothing is."""
    if not isinstance(auth, dict):
        return None
    kind = next(key.removesuffix("_file") for key in auth if key != "ttl")
    name = auth[kind].get("name") if kind in ("header", "query", "body") else None
    return kind if name is None else f"{kind} {name}"


def _lifetime(expires: Any) -> str | None:
    """Until when result URLs live: how long, or that the answer says so; None when nobody knows."""
    if not isinstance(expires, dict):
        return None
    after = expires.get("after")
    return "as the answer says" if after is None else str(after)


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(name if usual == "required" else f"{name}={usual}" for name, usual in value.items()) or None
    return value


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A preset; `provider list` names them.")]) -> None:
    """Print a preset as YAML, ready to paste into a configuration and to change."""
    if name not in PRESETS:
        stop(_unknown(name), USAGE)
    first_line, *lines = preset_text(name).splitlines()
    if uses_key(PRESETS[name].get("auth", API_KEY)):
        lines.insert(0, f"  api_key: ${{{_variable(name)}}}")
    typer.echo("providers:")
    for line in (first_line, *lines):
        typer.echo(f"  {line}".rstrip())


def _variable(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name.upper()) + "_API_KEY"


def _unknown(name: str) -> str:
    return f"there is no preset {printable(name)!r}{did_you_mean(name, sorted(PRESETS))}; {LIST_HINT}"


@app.command("try")
def try_one(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A provider of the configuration.")],
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="The provider's id of a task that exists.")],
    *,
    var: VarOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Poll one task once, and say what the answer means and why; nothing is stored.

    Exit 0 when the answer told something about the task, 1 when there was none, it could not be read, or the key was
    refused.
    """
    settings = load_or_exit(config, secrets="optional", part="providers")
    if name not in settings.providers:
        stop(_not_configured(name, config, settings), USAGE)
    provider, given = settings.providers[name], variables(var)
    _judge(describe(provider), task_id, given)
    if (missing := unset_secret(provider)) is not None:
        stop(_without_secret(name, missing, config))
    tried = asyncio.run(try_out(settings, name, task_id, given))
    _show_tried(tried, provider)
    _leave(tried.poll.answer)


def _not_configured(name: str, config: Path, settings: Settings) -> str:
    if name not in PRESETS:
        return f"{config} has no provider {printable(name)!r}{did_you_mean(name, sorted(settings.providers))}"
    key = f"api_key: ${{{_variable(name)}}}" if uses_key(PRESETS[name].get("auth", API_KEY)) else ""
    return f"{config} has no provider {name!r}, but it is a preset: write `{name}: {{{key}}}` under its providers"


def _without_secret(name: str, missing: str, config: Path) -> str:
    """Which variable or file is not there is what the loader says when it asks for all secrets."""
    loaded = load(config, os.environ, secrets="required", part="providers")
    problems = () if isinstance(loaded, Loaded) else loaded.problems
    said = next((one for one in problems if one.path.startswith(f"providers.{name}.{missing}")), None)
    return str(said or f"{config}: providers.{name}.{missing} is not set here; set the variable or the file it names")


def _judge(description: Description, task_id: str, given: dict[str, str]) -> None:
    """As the intake would: what cannot be watched cannot be tried."""
    if (wrong := judge_task_id(task_id)) is not None:
        raise typer.BadParameter(wrong, param_hint="TASK_ID")
    for name, wrong in description.judge_variables(given):
        raise typer.BadParameter(f"{printable(name)} {wrong}", param_hint="--var")


def _show_tried(tried: Tried, provider: ProviderSettings) -> None:
    description, exchanges = describe(provider), tried.poll.exchanges
    for number, exchange in enumerate(exchanges):
        show_exchange(exchange, tried, description)
        if exchange.heard is not None:
            show = show_result_meaning if number else show_meaning
            show(exchange.reading, exchange.heard, provider, description, tried.mask)
    if not exchanges or exchanges[-1].reading.answer != tried.poll.answer:
        show_unheard(tried.poll.answer, tried.mask)


OwnProvidersOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="NOTIFIER_CONFIG",
        help=f"Where providers of your own are described; by default {DEFAULT_CONFIG} if it exists.",
    ),
]


@app.command()
def explain(
    name: NameArgument,
    *,
    answer: Annotated[
        str, typer.Option("--answer", metavar="FILE", help="The body of the answer; - is standard input.")
    ],
    http: Annotated[int, typer.Option("--http", metavar="STATUS", min=100, max=599, help="Its HTTP status.")] = 200,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="A header of it; may be repeated.")
    ] = None,
    result: Annotated[
        str | None,
        typer.Option("--result", metavar="FILE", help="The answer to the second request, where there is one."),
    ] = None,
    task_id: Annotated[
        str | None, typer.Option("--task-id", metavar="TASK_ID", help="By default the id in the answer.")
    ] = None,
    config: OwnProvidersOption = None,
) -> None:
    """Say what an answer means and why, without asking anybody. Exit codes as of `provider try`."""
    provider = _provider(name, config)
    description = describe(provider)
    heard = HttpAnswer(http, _headers(header), *_body(answer, "--answer"))
    values = description.values(task_id or _id_in(heard, description), {})
    reading = read(description, heard, values, now=datetime.now(UTC))
    show_meaning(reading, heard, provider, description)
    meant = reading.answer
    if result is not None:
        if not isinstance(meant, Completed) or description.result is None:
            stop(f"no second request follows this answer, so --result {result} means nothing", USAGE)
        heard = HttpAnswer(200, {}, *_body(result, "--result"))
        reading = read_result(description, meant, heard, values, now=datetime.now(UTC))
        typer.echo()
        show_result_meaning(reading, heard, provider, description)
        meant = reading.answer
    _leave(meant)


def _provider(name: str, config: Path | None) -> ProviderSettings:
    """The configuration's, or a preset by itself."""
    path = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    settings = None if path is None else load_or_exit(path, secrets="optional", part="providers")
    own = {} if settings is None else settings.providers
    if name not in own and name not in PRESETS:
        where = "" if path is None else f", nor a provider in {path}"
        near, more = did_you_mean(name, sorted({*PRESETS, *own})), "; give a file of your own with --config"
        stop(f"there is no preset {printable(name)!r}{where}{near}; {LIST_HINT}{'' if path else more}", USAGE)
    return own[name] if name in own else preset_settings(name).providers[name]


def preset_settings(name: str) -> Settings:
    """A configuration with one provider, which is as its preset says."""
    body = {} if PRESETS[name].get("base_url") else {"base_url": UNKNOWN_BASE_URL}
    text = json.dumps({"providers": {name: {**body, "api_key": "${_}"}}, "webhooks": {"secret": "${_}"}})
    loaded = parse(text, name, {}, secrets="optional")
    if not isinstance(loaded, Loaded):
        raise TypeError(f"the preset {name} is wrong: {loaded.problems[0]}")
    return loaded.settings


def _headers(texts: list[str] | None) -> dict[str, str]:
    found = {}
    for text in texts or ():
        name, colon, value = text.partition(":")
        if not name.strip() or not colon:
            raise typer.BadParameter("is not written as NAME:VALUE, as in retry-after:5", param_hint="--header")
        found[name.strip().lower()] = value.strip()
    return found


def _body(name: str, option: str) -> tuple[bytes, bool]:
    """At most as much as a poll reads, and whether there was more."""
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(MAX_ANSWER_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(MAX_ANSWER_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no name of a file"
        raise typer.BadParameter(f"{name} cannot be read: {reason}", param_hint=option) from None
    return raw[:MAX_ANSWER_BYTES], len(raw) > MAX_ANSWER_BYTES


def _id_in(heard: HttpAnswer, description: Description) -> str:
    """The task that the answer is about: without one it is taken for the right one."""
    found = first(description.id, parse_document(heard))
    return str(found) if isinstance(found, str | int | float) else "TASK_ID"


def _leave(answer: Answer) -> None:
    if isinstance(answer, Unauthorized | Unavailable):
        raise typer.Exit(FAILED)
