"""Looks at the machine, and changes nothing."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from notifier.installation.layout import ACCOUNT, CREDENTIALS, SERVICE, Layout, Ownership, saved_path
from notifier.installation.machine import Absent, AccountTool, Found, Machine, Sight, Unseen

SYSTEM_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the tools are, also for a root whose PATH is a user's."""
_HIGHEST_SYSTEM_UID = 999
_MASK = Path("/dev/null")
"""What a masked unit is a link to (systemctl(1)), in a tree, too."""
_LARGEST_UNIT = 1024 * 1024


def look(layout: Layout, unit_names: Iterable[str]) -> Machine:
    """All that a plan depends on. What is outside `layout.root` is looked at only when that is /."""
    units = [layout.units / name for name in unit_names]
    texts = [*units, layout.drop_in]
    folders = [layout.config_folder, layout.credentials, layout.state, layout.units, layout.drop_in.parent]
    folders += [unit.with_name(f"{unit.name}.d") for unit in units]
    others = [layout.config, *(layout.credentials / name for name in CREDENTIALS), *map(saved_path, units)]
    if ways_out := {} if layout.is_live else _ways_out(layout.root, (*folders, *others, *texts)):
        return Machine({}, ways_out=ways_out)
    sights = {path: _sight(path) for path in (*folders, *others)}
    sights |= {path: _sight(path, read=True) for path in texts}
    return _live(layout, sights) if layout.is_live else Machine(sights)


def _live(layout: Layout, sights: dict[Path, Sight]) -> Machine:
    booted = Path("/run/systemd/system").is_dir() and tool("systemctl") is not None
    user = _user()
    return Machine(
        sights,
        user=user is not None,
        user_is_ours=user is not None and user.pw_uid <= _HIGHEST_SYSTEM_UID and user.pw_dir == str(layout.state),
        group=_has_group(),
        account_tool=_account_tool(),
        booted=booted,
        active=booted and _says_yes("is-active"),
        enabled=booted and _says_yes("is-enabled"),
    )


def _ways_out(root: Path, paths: Iterable[Path]) -> dict[Path, Path]:
    """The links on the way to these paths that lead out of the tree: they mean a place in this system, not in that."""
    found = {}
    for path in paths:
        below = [part for part in reversed((path, *path.parents)) if part.is_relative_to(root)]
        real = [(part, Path(os.path.realpath(part))) for part in below]  # unlike resolve(), it bears circles of links
        outside = [(part, target) for part, target in real if not target.is_relative_to(root)]
        if outside and outside[0] != (path, _MASK):
            found[outside[0][0]] = outside[0][1]
    return found


def tool(name: str) -> str | None:
    """The full path of a system's tool."""
    return shutil.which(name, path=SYSTEM_FOLDERS)


def _sight(path: Path, *, read: bool = False) -> Sight:
    try:
        status = path.stat()
        kind = stat.S_IFMT(status.st_mode)
        is_text = read and kind == stat.S_IFREG and status.st_size <= _LARGEST_UNIT
        text = path.read_text(errors="replace") if is_text else None
    except PermissionError:
        return Unseen()
    except (FileNotFoundError, NotADirectoryError):
        # A link to nowhere is something, too.
        return Found("other", Ownership("root", "root", 0o777)) if path.is_symlink() else Absent()
    ownership = Ownership(_user_name(status.st_uid), _group_name(status.st_gid), stat.S_IMODE(status.st_mode))
    match kind:
        case stat.S_IFREG:
            return Found("file", ownership, status.st_size, text)
        case stat.S_IFDIR:
            return Found("folder", ownership)
        case _:
            return Found("other", ownership)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        return None


def _has_group() -> bool:
    try:
        grp.getgrnam(ACCOUNT)
    except KeyError:
        return False
    return True


def _account_tool() -> AccountTool | None:
    if tool("useradd"):
        return "useradd"
    return "systemd-sysusers" if tool("systemd-sysusers") else None


def _says_yes(question: str) -> bool:
    command = [str(tool("systemctl")), question, "--quiet", SERVICE]
    return subprocess.run(command, check=False, capture_output=True, env=os.environ).returncode == 0  # noqa: S603 - ours
