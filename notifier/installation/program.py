"""Which program the service is going to run, and whether it will be able to."""

import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_HIDDEN = {
    "/home": "ProtectHome=",
    "/root": "ProtectHome=",
    "/run/user": "ProtectHome=",
    "/tmp": "PrivateTmp=",  # noqa: S108 - compared, not used
    "/var/tmp": "PrivateTmp=",  # noqa: S108 - compared, not used
}
"""Folders that the hardened unit does not see, and the directive that hides them (systemd.exec(5))."""
_FOR_OTHERS = stat.S_IROTH | stat.S_IXOTH


def running_program(argv0: str) -> Path | None:
    """The `notifier` command that runs now: the one beside its interpreter, as in every virtual environment, or the
    one that was called."""
    beside = Path(sys.executable).absolute().parent / "notifier"
    if beside.is_file():
        return beside
    called = Path(argv0).absolute()
    return called if called.is_file() and called.suffix != ".py" else None


def what_it_needs(program: Path) -> tuple[Path, ...]:
    """The command, and what it is made of: the interpreter with its library, and this package."""
    package = Path(__file__).resolve().parents[1]
    return (program, program.resolve(), Path(sys.executable).resolve(), Path(sys.base_prefix).resolve(), package)


def unreadable(paths: Iterable[Path]) -> Iterator[str]:
    """For each that the service's user will not be able to read, the reason."""
    for path in dict.fromkeys(paths):
        hidden = [folder for folder in _HIDDEN if path.is_relative_to(folder)]
        closed = [str(one) for one in (path, *path.parents) if _is_closed(one)]
        if hidden:
            yield f"{path} is below {hidden[0]}, which {_HIDDEN[hidden[0]]} hides from it"
        elif closed:
            yield f"{path} cannot be read by everybody (see the mode of {closed[-1]})"


def _is_closed(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not mode & (stat.S_IXOTH if path.is_dir() else _FOR_OTHERS)
