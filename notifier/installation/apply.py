"""Does one step."""

import errno
import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import assert_never

from notifier.installation.layout import FOR_ALL, NEW_FOLDER, Layout, Ownership
from notifier.installation.look import SYSTEM_FOLDERS
from notifier.installation.step import (
    Blocked,
    Hand,
    Keep,
    MakeFolder,
    Remove,
    RemoveAll,
    Run,
    SetAside,
    Skip,
    Step,
    WriteFile,
)

COMMAND_SECONDS = 120
"""A daemon that is stopped has its own time limit, well below this."""
_ADVICE = {
    errno.EACCES: "run this as root, with sudo",
    errno.EPERM: "run this as root, with sudo; an immutable file wants `chattr -i` first",
    errno.EROFS: "the file system is read-only: remount it, or use --root to fill another tree",
    errno.ENOSPC: "make room on that file system",
    errno.EBUSY: "something uses it; a mounted file system is unmounted first",
}


class StepFailedError(Exception):
    """A step that the machine refused; the message says why and what to do."""


def apply(step: Step, layout: Layout) -> None:
    """Do it, or StepFailedError. What was done before stays, and running everything again goes on from there."""
    try:
        _apply(step, layout)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "mend that")
        raise StepFailedError(f"{error.strerror or error}; {advice}, and run this again") from error


def _apply(step: Step, layout: Layout) -> None:
    match step:
        case MakeFolder(path, ownership):
            _make_folder(path, ownership, layout)
        case WriteFile(path, text, ownership):
            _write(path, text, ownership, layout)
        case Hand(path, ownership):
            _own(path, ownership, layout)
        case Run(command, _, may_fail):
            _run(command, may_fail=may_fail)
        case SetAside(path, to):
            path.rename(to)
        case Remove(path):
            _remove(path)
        case RemoveAll(path):
            _remove_all(path)
        case Keep() | Skip() | Blocked():
            pass
        case _:
            assert_never(step)


def _make_folder(path: Path, ownership: Ownership, layout: Layout) -> None:
    _ids(ownership, layout)
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir(FOR_ALL.mode)
            parent.chmod(FOR_ALL.mode)
    path.mkdir(NEW_FOLDER.mode)
    _own(path, ownership, layout)


def _write(path: Path, text: str, ownership: Ownership, layout: Layout) -> None:
    """Under another name first: a half-written unit or secret would be taken for somebody's own the next time."""
    _ids(ownership, layout)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        _own(draft, ownership, layout)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _own(path: Path, ownership: Ownership, layout: Layout) -> None:
    """Owner first: changing it takes away what the mode gives beyond it."""
    if ids := _ids(ownership, layout):
        os.chown(path, *ids)
    path.chmod(ownership.mode)


def _ids(ownership: Ownership, layout: Layout) -> tuple[int, int] | None:
    """Looked up before anything is made, so that nothing is left half done when an account is missing."""
    return (_uid(ownership.user), _gid(ownership.group)) if layout.is_live else None


def _uid(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise StepFailedError(f"there is no user {name}; create it, and run this again") from None


def _gid(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        advice = f"create it (groupadd --system {name}), and run this again"
        raise StepFailedError(f"there is no group {name}; {advice}") from None


def _remove(path: Path) -> None:
    if path.is_dir():
        if not any(path.iterdir()):
            path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _remove_all(path: Path) -> None:
    """With DynamicUser=, systemd has a link where the folder was; what it leads to goes too."""
    if path.is_symlink():
        shutil.rmtree(path.resolve())
        path.unlink()
    else:
        shutil.rmtree(path)


def _run(command: tuple[str, ...], *, may_fail: bool) -> None:
    environment = os.environ | {"PATH": SYSTEM_FOLDERS, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603 - the plan's own commands
            command, check=False, capture_output=True, env=environment, timeout=COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise StepFailedError(f"took more than {COMMAND_SECONDS} s; run it by hand, then this again") from None
    if done.returncode and not may_fail:
        said = (done.stderr or done.stdout).decode(errors="replace").strip() or "it says nothing"
        raise StepFailedError(f"exit status {done.returncode}: {said}; mend that, and run this again")
