"""`notifier backup`: a consistent copy of the store, whether the daemon runs or not."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from notifier.cli.client import stop
from notifier.cli.options import DEFAULT_CONFIG, ConfigOption, load_or_exit
from notifier.domain.quantity import format_size

BIG = 25_000
"""Pages of 4 KiB: smaller copies are done before a bar could be read."""


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the copy; it must not exist yet.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Copy the store that the configuration names to FILE: consistent and checked, also while the daemon runs.

    To restore it, stop the daemon, remove the store's -wal and -shm files, and copy FILE over the store.
    """
    settings = load_or_exit(config, secrets="optional")
    # Here, because these load the store's libraries, which the other commands need not wait for.
    from notifier.adapters.stores.backup import copy_store  # noqa: PLC0415
    from notifier.adapters.stores.errors import StoreError  # noqa: PLC0415
    from notifier.app.wiring import store_path  # noqa: PLC0415

    source = store_path(settings)
    if target.exists():
        stop(f"{target} exists, and no backup overwrites a file: name another one")
    if not target.parent.is_dir():
        stop(f"the folder of {target} does not exist; create it: mkdir -p {target.parent}")
    if not source.is_file() and not source.is_absolute():
        relative = f"store.url in {config} is relative to the working directory, which must be the daemon's"
        stop(f"there is no store at {source.absolute()}: {relative}")
    try:
        with _Bar() as bar:
            size = copy_store(source, target, progress=bar.show)
    except StoreError as error:
        stop(str(error))
    typer.echo(f"{target}  {format_size(size)}, checked; a copy of {source}")


class _Bar(Progress):
    """Shown on a terminal while a big copy is made, then gone."""

    def __init__(self) -> None:
        columns = (TextColumn("copying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
        self._copying = self.add_task("copying", total=None, visible=False)

    def show(self, copied: int, pages: int) -> None:
        self.update(self._copying, completed=copied, total=pages, visible=pages >= BIG)
