"""`notifier backup`: a consistent copy of the store, whether the daemon runs or not."""

import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from notifier.adapters.stores.address import file_of, is_server, named
from notifier.adapters.stores.backup import copy_store
from notifier.adapters.stores.errors import StoreError
from notifier.cli.client import stop
from notifier.cli.options import DEFAULT_CONFIG, ConfigOption, load_or_exit
from notifier.domain.quantity import format_size

BIG = 25_000
"""Pages of 4 KiB: smaller copies are done before a bar could be read."""

_SIGNALLED = 128
"""Added to a signal's number it is the exit status that a shell tells of it."""


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the copy; it must not exist yet.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Copy the store that the configuration names to FILE: consistent and checked, also while the daemon runs. A
    PostgreSQL has its own program for that, and is told how to use it.

    To restore it, stop the daemon, remove the store's -wal and -shm files, and copy FILE over the store.
    """
    settings = load_or_exit(config, secrets="optional")
    if is_server(settings.store.url):
        hint = f"pg_dump -Fc -f {shlex.quote(str(target))} {shlex.quote(named(settings.store.url))}"
        stop(f"the store is a PostgreSQL server's, whose own tools copy it, also while the daemons run: {hint}")
    source = file_of(settings.store.url)
    try:
        _judge(source, target, config)
        with _ended_in_order(target), _Bar() as bar:
            size = copy_store(source, target, progress=bar.show)
    except StoreError as error:
        stop(str(error))
    except PermissionError as error:
        again = f"sudo -u notifier {shlex.join([sys.argv[0], *sys.argv[1:]])}"
        stop(f"{error.filename} may not be read by this user; run it as root or the daemon's user, as in: {again}")
    typer.echo(f"{target}  {format_size(size)}, checked; a copy of {source}")


def _judge(source: Path, target: Path, config: Path) -> None:
    """Stops at what can be told before; PermissionError when this user may not even look."""
    if _mode(target) is not None:
        stop(f"{target} exists, and no backup overwrites a file: name another one")
    if _mode(target.parent) is None:
        stop(f"the folder of {target} does not exist; create it: mkdir -p {target.parent}")
    if _mode(source) is None:
        if not source.is_absolute():
            relative = f"store.url in {config} is relative to the working directory, which must be the daemon's"
            stop(f"there is no store at {source.absolute()}: {relative}")
    elif not os.access(source, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(source))


def _mode(path: Path) -> int | None:
    """None when nothing is there. Not `exists`, to which in some versions of Python a closed folder is an empty one."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextlib.contextmanager
def _ended_in_order(target: Path) -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: what is half written is removed."""

    def end(number: int, _frame: object) -> None:
        typer.echo(f"notifier: ended by SIGTERM; {target} was not written", err=True)
        raise SystemExit(_SIGNALLED + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Bar(Progress):
    """Shown on a terminal while a big copy is made, then gone."""

    def __init__(self) -> None:
        columns = (TextColumn("copying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self._copying = self.add_task("copying", total=None, visible=False)

    def show(self, copied: int, pages: int) -> None:
        self.update(self._copying, completed=copied, total=pages, visible=pages >= BIG)
