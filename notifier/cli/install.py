"""`notifier install` and `notifier uninstall`: Notifier as a systemd service of this machine."""

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from notifier import __version__
from notifier.cli.client import FAILED, USAGE, stop
from notifier.config.secret import judge_bearer
from notifier.domain.signature import NEW_SECRET_BYTES, new_secret
from notifier.installation.apply import StepFailedError, apply
from notifier.installation.guide import next_tasks
from notifier.installation.layout import RUNNING_ROOT, Layout
from notifier.installation.look import look
from notifier.installation.plan import Wishes, plan_install
from notifier.installation.program import running_program, unreadable, what_it_needs
from notifier.installation.removal import plan_uninstall
from notifier.installation.step import CHANGES, Blocked, Keep, Step, tell
from notifier.installation.unit import fits_a_unit, shipped_units, with_program

_LONGEST_DIFFERENCE = 20
_MOST_KEY_BYTES = 65_536

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print every step and change nothing; needs no root.")]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Fill (or empty) the tree of another system: no account, no systemctl.",
        show_default="/",
    ),
]


def install(
    *,
    api_key_file: Annotated[
        str | None,
        typer.Option("--api-key-file", metavar="FILE", help="A file that holds the videos API key; - is stdin."),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option("--program", metavar="FILE", help="The command that the service runs.", show_default="this one"),
    ] = None,
    root: RootOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Make Notifier a systemd service of this machine.

    Creates the account, folders, a first configuration, credentials and units,
    and says what to do next. Run again it adds what is missing and brings
    units up to date; what somebody edited is kept.
    """
    layout = _layout(root)
    key = None if api_key_file is None else _read_key(api_key_file)
    command = _program(program, layout)
    wishes = _wishes(layout, command, key)
    machine = look(layout, wishes.units)
    steps = plan_install(wishes, machine)
    _carry_out(steps, layout, f"Notifier {__version__} as a service that runs {command}", dry_run=dry_run)
    if program is None and layout.is_live:
        _warn(command)
    sudo = os.geteuid() != 0 or "SUDO_USER" in os.environ
    typer.echo("\nWhat to do next:")
    for number, task in enumerate(next_tasks(steps, layout, machine, command, sudo=sudo), 1):
        typer.echo(f"  {number}. {task.what}")
        for line in task.commands:
            typer.echo(f"       {line}")


def uninstall(
    *,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove configuration, credentials, the store and the account, too.")
    ] = False,
    root: RootOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Stop the service and remove its units.

    Configuration, credentials and data are left, unless --purge is given;
    so is a unit that somebody edited, under another name.
    """
    layout = _layout(root)
    wishes = _wishes(layout, running_program(sys.argv[0]) or Path("/opt/notifier/bin/notifier"), None)
    steps = plan_uninstall(wishes, look(layout, wishes.units), purge=purge)
    _carry_out(steps, layout, "Removing the service", dry_run=dry_run)


def _layout(root: Path | None) -> Layout:
    if root is None:
        return Layout()
    if not root.is_dir():
        stop(f"--root: {root} is not a folder; name the top of the tree to fill", USAGE)
    return Layout(root.resolve())


def _wishes(layout: Layout, command: Path, key: str | None) -> Wishes:
    units = {name: with_program(text, command) for name, text in shipped_units().items()}
    return Wishes(layout, __version__, units, new_secret(secrets.token_bytes(NEW_SECRET_BYTES)), key)


def _read_key(name: str) -> str:
    """The key, judged as the configuration judges it; the message never has it in it."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            key = file.read(_MOST_KEY_BYTES).decode("ascii").rstrip("\r\n")
        judge_bearer(key)
    except OSError as error:
        stop(f"--api-key-file: {name} cannot be read: {error.strerror}; check its path and permissions", USAGE)
    except ValueError:
        what = "is not one line of visible ASCII; put the key, and nothing else, into it"
        stop(f"--api-key-file: what {name} holds {what}", USAGE)
    return key


def _program(given: Path | None, layout: Layout) -> Path:
    """The command as the installed system will see it."""
    command = _given(given, layout) if given is not None else _running(layout)
    if not fits_a_unit(command):
        what = "has a blank, a quote, %, $ or a backslash in it, which mean something else in a unit"
        stop(f"--program: {command} {what}; put it elsewhere, such as /opt/notifier/bin/notifier", USAGE)
    return command


def _given(given: Path, layout: Layout) -> Path:
    if not given.is_absolute() or (layout.is_live and not os.access(given, os.X_OK)):
        advice = "name one such as /opt/notifier/bin/notifier"
        stop(f"--program: {given} is not the absolute path of a command; {advice}", USAGE)
    return given


def _running(layout: Layout) -> Path:
    running = running_program(sys.argv[0])
    if running is None:
        stop("cannot tell which command the service is to run; name it with --program", USAGE)
    return RUNNING_ROOT / running.relative_to(layout.root) if running.is_relative_to(layout.root) else running


def _carry_out(steps: Sequence[Step], layout: Layout, title: str, *, dry_run: bool) -> None:
    """Tell each step, and do it unless this is a dry run; nothing is done when one of them cannot be."""
    obstacles = [step for step in steps if isinstance(step, Blocked)]
    if not dry_run:
        _refuse_early(obstacles, layout)
    typer.echo(f"{title}{' (dry run: nothing is changed)' if dry_run else ''}")
    for step in steps:
        if not dry_run:
            _do(step, layout)
        _print(step)
    if obstacles:
        raise typer.Exit(FAILED)
    if not any(isinstance(step, CHANGES) for step in steps):
        typer.echo("  nothing to change")


def _refuse_early(obstacles: Sequence[Blocked], layout: Layout) -> None:
    if layout.is_live and os.geteuid() != 0:
        again = " ".join(["sudo", str(running_program(sys.argv[0]) or "notifier"), *sys.argv[1:]])
        stop(f"only root may do this: {again}\nnotifier: to see what it would do: add --dry-run")
    if obstacles:
        stop("nothing was changed, because\n" + "\n".join(f"  {one.what}: {one.advice}" for one in obstacles))


def _do(step: Step, layout: Layout) -> None:
    try:
        apply(step, layout)
    except StepFailedError as error:
        verb, what, _ = tell(step)
        stop(f"{verb} {what}: {error}")


def _print(step: Step) -> None:
    verb, what, remark = tell(step)
    typer.echo(f"  {verb:<7} {what}" + (f"  ({remark})" if remark else ""))
    if isinstance(step, Keep):
        for line in step.difference[:_LONGEST_DIFFERENCE]:
            typer.echo(f"            {line}")
        if len(step.difference) > _LONGEST_DIFFERENCE:
            typer.echo(f"            … and {len(step.difference) - _LONGEST_DIFFERENCE} lines more")


def _warn(command: Path) -> None:
    reasons = list(unreadable(what_it_needs(command)))
    for reason in reasons:
        typer.echo(f"notifier: warning: the service will not be able to run: {reason}", err=True)
    if reasons:
        advice = "in its source folder, this puts it where everybody may read it; then install from there:"
        how = "/usr/bin/python3 -m venv /opt/notifier && /opt/notifier/bin/pip install ."
        typer.echo(f"notifier: {advice}\n  {how}\n  /opt/notifier/bin/notifier install", err=True)
