"""`notifier simulate`: the simulated videos API in the foreground, until Ctrl-C or SIGTERM."""

import asyncio
import contextlib
import json
import shlex
import signal
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from notifier.demo.serving import Server, serve
from notifier.demo.simulator import AtRandom, Honest, Polled, Rule, Studio, create_app, parse_misbehaviour
from notifier.domain.quantity import parse_duration

_ANY_KEY = "any-key"


def simulate(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 picks a free one.")
    ] = "127.0.0.1:8480",
    duration: Annotated[
        str, typer.Option(metavar="DURATION", help="How long a task takes, ±50 % by the hash of its id.")
    ] = "20s",
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The only key to accept.", show_default="any")
    ] = None,
    misbehave: Annotated[
        str | None,
        typer.Option(metavar="KINDS", help="Trouble to make now and then, such as 429,500,slow,drip,broken,404."),
    ] = None,
    one_in: Annotated[int, typer.Option(min=1, help="How often: one poll in so many, on average.")] = 5,
    seed: Annotated[int, typer.Option(help="Picks the polls; the same seed picks the same ones.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line per poll.")] = False,
) -> None:
    """A stand-in for the videos API, for trying things out and for tests.

    Every task id exists from its first poll on. An id that contains "fail"
    fails, "stuck" never ends, "nourl" completes without a result URL,
    "missing" is a 404, and "flaky" meets trouble at its first polls.
    """
    host, port = _address(listen)
    studio = Studio(_seconds(duration), _rule(misbehave, one_in, seed))
    raise typer.Exit(asyncio.run(_run(_Plan(host, port, studio, api_key, duration, quiet))))


@dataclass(frozen=True, slots=True)
class _Plan:
    host: str
    port: int
    studio: Studio
    api_key: str | None
    duration: str
    quiet: bool


async def _run(plan: _Plan) -> int:
    """Serve until a signal says stop; the exit code."""
    stop = _stop_on_signals()
    # Wall time, because the API's `created` is; when the clock is set, simulated tasks jump with it.
    app = create_app(plan.studio, time.time, api_key=plan.api_key, on_poll=None if plan.quiet else _narrate)
    async with contextlib.AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(serve(app, plan.host, plan.port))
        except OSError as error:
            typer.echo(_cannot_listen(plan, error), err=True)
            return 1
        typer.echo(_welcome(server, plan))
        await stop.wait()
    return 0


def _stop_on_signals() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise typer.BadParameter(
            f"{listen!r} is no HOST:PORT; write it like 127.0.0.1:8480 or [::1]:8480", param_hint="--listen"
        )
    return host, int(port)


def _seconds(duration: str) -> float:
    try:
        return parse_duration(duration)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--duration") from error


def _rule(misbehave: str | None, one_in: int, seed: int) -> Rule:
    if misbehave is None:
        return Honest()
    try:
        return AtRandom(one_in, parse_misbehaviour(misbehave), seed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--misbehave") from error


def _cannot_listen(plan: _Plan, error: OSError) -> str:
    reason = (error.strerror or str(error)).partition(" (while ")[0]  # the address, which we name ourselves
    return (
        f"notifier simulate: cannot listen on {plan.host} port {plan.port}: {reason};"
        " name another address with --listen"
    )


def _welcome(server: Server, plan: _Plan) -> str:
    key, url = plan.api_key or _ANY_KEY, server.callable_url
    keys = "any key" if plan.api_key is None else "its --api-key only"
    return f"""\
Simulated videos API, listening on {server.url}, accepting {keys}.
Every task id exists and takes about {plan.duration}; one with "fail" in it fails. Ask for one:

    curl -H {shlex.quote(f"Authorization: Bearer {key}")} {url}/v1/result/my-video

Let Notifier watch it, with this in its configuration:

    providers:
      videos:
        base_url: {url}
        api_key: {json.dumps(key)}
        interval: 5s

Write a task's story with PUT {url}/simulator/tasks/ID, see what was polled with
GET {url}/simulator/stats. Ctrl-C stops.
"""


def _narrate(polled: Polled) -> None:
    """One line per poll: time of day, task, what it was told."""
    answer = polled.answer
    told = answer.status or f"HTTP {answer.http_status}"
    late = f" after {answer.delay:g} s" if answer.delay else ""
    task_id = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in polled.task_id)
    moment = time.strftime("%H:%M:%S", time.localtime(polled.at))
    with contextlib.suppress(BrokenPipeError):  # a reader that went away is no reason to stop answering polls
        typer.echo(f"{moment}  {task_id}  {told}{late}")
