"""The demo's story on a terminal: who does what, and when."""

import asyncio
import time

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from notifier.app.errors import StartError
from notifier.demo import story

STYLES = {story.API: "cyan", story.DAEMON: "bold green", story.RECEIVER: "magenta", story.YOU: "bold yellow"}
WIDTH = 10
DONE, FAILED = 0, 1


def narrate() -> int:
    """Tell the story; the exit code, 0 only if every webhook arrived and verified."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        "\n[bold]Some APIs run long jobs and offer only polling. Notifier polls them, and tells your URL when a job"
        " ends.[/bold]\nHere it does so with a simulated API, in a temporary folder, on this machine only.\n"
    )
    began = time.monotonic()

    def tell(who: str, what: str) -> None:
        line = Text(f"{time.monotonic() - began:5.1f} s  ", style="dim")
        line.append(f"{who:<{WIDTH}}", style=STYLES[who])
        line.append(f"  {what}", style="default")
        console.print(line)

    try:
        results = asyncio.run(story.play(tell))
    except StartError as error:
        typer.echo(f"the demo cannot start: {error}", err=True)
        return FAILED
    _sum_up(console, results)
    return DONE if all(result.good for result in results) else FAILED


def _sum_up(console: Console, results: tuple[story.Result, ...]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("task", "event", "attempts", "signature", ""):
        table.add_column(title)
    for result in results:
        verdict = Text("ok", style="green") if result.good else Text("MISSING", style="bold red")
        signature = "valid" if result.verified else "-"
        table.add_row(result.role.task_id, result.event_type or "-", str(result.attempts), signature, verdict)
    console.print()
    console.print(table)
    good = sum(result.good for result in results)
    retried = sum(max(result.attempts - 1, 0) for result in results)
    console.print(
        f"\n{good} of {len(results)} webhooks arrived and verified; {retried} attempts met a receiver that was down"
        " and were made again.\nNext: the five-minute guide in the README, with your own key.\n"
    )
