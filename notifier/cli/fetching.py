"""Fetches a watch's saved files from the intake: resumed after a break, verified, and whole or not there."""

import fcntl
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from notifier.adapters.intake_client import Opened, Reply, Unreachable
from notifier.cli.client import Intake, segment
from notifier.cli.patience import Patience
from notifier.domain.result_file import download_name

PIECE_BYTES = 256 * 1024
MOST_IN_VAIN = 8
"""Tries in a row that bring nothing."""
LONGEST_PAUSE_SECONDS = 15.0
MOST_PROBLEM_BYTES = 64 * 1024

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one file: it is at `where` now, or there is a `problem`."""

    where: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`path` is the intake's."""

    path: str
    target: Path
    size: int
    sha256: str


class _FailedError(Exception):
    """This file cannot be had; the message says why, and what to do."""


def fetch_files(intake: Intake, watch: Any, folder: Path, patience: Patience) -> Iterator[Fetched]:
    """Fetch each in turn, with a progress bar on a terminal."""
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}", markup=False), *columns, console=console, disable=not sys.stderr.isatty()
    ) as bars:
        for file in watch["files"]:
            name = download_name(watch["task_id"], file["n"], file["location"])
            path = f"/v1/watches/{segment(watch['id'])}/files/{file['n']}"
            if file["state"] != "saved":
                yield Fetched(f"file {file['n']}", f"is {file['state']}: {file['error'] or 'it is kept no longer'}")
                continue
            bar = bars.add_task(name, total=file["size"])

            def show(bytes_: int, bar: Any = bar) -> None:
                bars.update(bar, completed=bytes_)

            yield _fetch(intake, _Wanted(path, folder / name, file["size"], file["sha256"]), show, patience)


def _fetch(intake: Intake, wanted: _Wanted, show: Callable[[int], None], patience: Patience) -> Fetched:
    where = str(wanted.target)
    try:
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        if _is_there(wanted):
            show(wanted.size)
            return Fetched(where)
        with _partial(wanted.target) as (path, file):
            _Download(intake, wanted, file, show, patience).run()
            path.replace(wanted.target)
    except _FailedError as error:
        return Fetched(where, str(error))
    except OSError as error:
        return Fetched(where, f"cannot be written: {error.strerror or error}")
    return Fetched(where)


def _is_there(wanted: _Wanted) -> bool:
    """Whether it was fetched before; another file of this name is nobody's to overwrite."""
    if not wanted.target.exists():
        return False
    with wanted.target.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256:
            return True
    raise _FailedError("is there and is another file; move it away, or name another folder")


@contextmanager
def _partial(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Where a download goes until it is whole; it stays after a break, for the next run to go on with."""
    path = target.with_name(f".{target.name}.part")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _FailedError("is being fetched by another `notifier watch wait`") from None
        yield path, file


class _Download:
    def __init__(
        self, intake: Intake, wanted: _Wanted, file: BinaryIO, show: Callable[[int], None], patience: Patience
    ) -> None:
        self._intake = intake
        self._wanted = wanted
        self._file = file
        self._show = show
        self._patience = patience
        self._digest = hashlib.sha256()
        self._have = 0

    def run(self) -> None:
        """Until it is whole and what the archive says it is; _FailedError otherwise."""
        self._take_up()
        for last in (False, True):
            self._receive_rest()
            if self._digest.hexdigest() == self._wanted.sha256:
                os.fsync(self._file.fileno())
                return
            self._begin_anew()
            if last:
                raise _FailedError("what arrives is not what was saved (its SHA-256 differs); look at the archive")

    def _take_up(self) -> None:
        while piece := self._file.read(PIECE_BYTES):
            self._digest.update(piece)
            self._have += len(piece)
        if self._have > self._wanted.size:
            self._begin_anew()
        self._show(self._have)

    def _begin_anew(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._digest, self._have = hashlib.sha256(), 0

    def _receive_rest(self) -> None:
        in_vain, problem = 0, ""
        while self._have < self._wanted.size:
            before = self._have
            problem = self._try() or problem
            in_vain = 0 if self._have > before else in_vain + 1
            if in_vain >= MOST_IN_VAIN:
                raise _FailedError(f"does not arrive: {problem or 'the connection breaks off'}; run it again to go on")
            if self._have < self._wanted.size:
                pause = min(2.0**in_vain / 4, LONGEST_PAUSE_SECONDS)
                self._patience.sleep(pause, f"{self._have} of {self._wanted.size} bytes of {self._wanted.target.name}")

    def _try(self) -> str | None:
        """Ask for the rest once; why there was no answer to read."""
        headers = {"Range": f"bytes={self._have}-", "If-Range": f'"{self._wanted.sha256}"'} if self._have else {}
        with self._intake.opened(self._wanted.path, headers) as answer:
            if isinstance(answer, Opened) and answer.status in (200, 206):
                self._receive(answer)
                return None
            told = answer if isinstance(answer, Unreachable) else Reply(answer.status, answer.read(MOST_PROBLEM_BYTES))
            why = self._intake.why(told)
        if isinstance(told, Reply) and told.status == 416:
            self._begin_anew()
        elif isinstance(told, Reply) and told.status != 429 and told.status < 500:
            raise _FailedError(why)
        return why

    def _receive(self, answer: Opened) -> None:
        found = _CONTENT_RANGE.fullmatch(answer.header("Content-Range") or "")
        begins = int(found[1]) if answer.status == 206 and found else 0
        if begins != self._have:
            self._begin_anew()
        if begins not in (0, self._have):
            return
        while piece := answer.read(min(PIECE_BYTES, self._wanted.size - self._have)):
            self._write(piece)
            self._patience.check(f"{self._have} of {self._wanted.size} bytes of {self._wanted.target.name}")

    def _write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(piece)
        self._have += len(piece)
        self._show(self._have)
