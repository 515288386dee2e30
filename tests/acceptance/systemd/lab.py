"""A real systemd for tests: PID 1 of its own namespaces, on a layer over this machine's root that is thrown away.

It needs root and a kernel with cgroup v2 and overlayfs; no image and no download. `boot.sh` has the details.
"""

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.acceptance.harness import wait_until

HERE = Path(__file__).parent
SOURCE = HERE.parents[2]
PREFIX = Path("/opt/notifier")
"""Where the units expect the virtual environment."""
PYTHON = Path("/opt/python")
"""Where the interpreter is seen if it lives in somebody's home, which the units hide."""
EMPTY_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "container=lab")


def why_not() -> str | None:
    """Why no lab can be booted here, or None."""
    if os.geteuid() != 0:
        return "a systemd of its own needs root"
    if not Path("/lib/systemd/systemd").exists() or not shutil.which("systemctl"):
        return "systemd is not installed (apt-get install systemd)"
    if missing := [tool for tool in ("unshare", "nsenter", "setpriv", "pivot_root") if not shutil.which(tool)]:
        return f"{', '.join(missing)} is not installed (apt-get install util-linux)"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlayfs (modprobe overlay)"
    if (cgroups := _cgroups()) is None:
        return "no cgroup v2 is mounted"
    trial = cgroups / f"notifier-lab-trial-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        return f"no cgroup can be made in {cgroups}: {error.strerror}"
    trial_run = ["unshare", "--mount", "--pid", "--fork", "--net", "--cgroup", "true"]
    tried = subprocess.run(trial_run, capture_output=True, text=True, check=False)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


def _cgroups() -> Path | None:
    """Where this machine has cgroup v2."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)


class Lab:
    """`boot()` it, and `crash()` it in the end."""

    def __init__(self, folder: Path) -> None:
        cgroups = _cgroups()
        assert cgroups is not None
        self.folder = folder
        self.cgroup = cgroups / f"notifier-lab-{os.getpid()}"
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        self.cgroup.mkdir()
        (self.folder / "binds").write_text("".join(f"{source} {target}\n" for source, target in _binds()))
        with (self.folder / "console").open("wb") as console:
            command = ["sh", HERE / "boot.sh", self.folder, self.cgroup]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        self.pid = wait_until(self._find_systemd, "systemd starts")
        wait_until(lambda: self.run("systemctl", "is-system-running").stdout in ("running\n", "degraded\n"), "the boot")
        self._install_python()

    def _find_systemd(self) -> int | None:
        """PID 1 as it is called out here: the child of unshare, once it has become systemd."""
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "console").read_text()
        parent = self._process.pid
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return int(child)
        return None

    def _install_python(self) -> None:
        """A virtual environment where the units expect one: this one's packages, and the source of this tree."""
        home = PYTHON if _is_hidden(sys.base_prefix) else Path(sys.base_prefix)
        version = f"python{sysconfig.get_python_version()}"
        self.write(f"{PREFIX}/pyvenv.cfg", f"home = {home}/bin\ninclude-system-site-packages = false\n")
        self.write(f"{PREFIX}/lib/{version}/site-packages/lab.pth", f"{PREFIX}/source\n{PREFIX}/packages\n")
        start = f"#!{PREFIX}/bin/python\nfrom notifier.__main__ import main\nmain()\n"
        self.write(f"{PREFIX}/bin/notifier", start, mode=0o755)
        self.path(f"{PREFIX}/bin/python").symlink_to(f"{home}/bin/{version}")
        if home == PYTHON:  # its own library would be looked for where it came from
            self.write("/etc/ld.so.conf", f"{PYTHON}/lib\n" + self.path("/etc/ld.so.conf").read_text())
            self.do("ldconfig")

    def crash(self) -> None:
        """Like a power cut: everything inside is gone at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        wait_until(self._remove_cgroups, "the cgroups are empty")

    def _remove_cgroups(self) -> bool:
        with contextlib.suppress(OSError):
            for folder, _, _ in os.walk(self.cgroup, topdown=False):
                Path(folder).rmdir()
        return not self.cgroup.exists()

    # What is inside

    def path(self, inside: str) -> Path:
        return Path(f"/proc/{self.pid}/root{inside}")

    def write(self, inside: str, text: str, *, mode: int = 0o644, owner: str = "root:root") -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        if owner != "root:root":
            self.do("chown", owner, inside)

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        enter = ("nsenter", f"--target={self.pid}", "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--")
        command = (*enter, *EMPTY_ENVIRONMENT, *command)
        return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=120, check=False)

    def do(self, *command: str) -> str:
        """Run what must succeed; its output."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        return self.do("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """The journal's entries as journalctl prints them in JSON, the oldest first."""
        lines = self.do("journalctl", "--sync", "--quiet") + self.do("journalctl", "--quiet", "-o", "json", *matches)
        return [json.loads(line) for line in lines.splitlines()]

    def pids(self, unit: str) -> list[int]:
        """The unit's processes, as they are called out here."""
        return [int(pid) for pid in (self.cgroup / "system.slice" / unit / "cgroup.procs").read_text().split()]

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Whatever this thread opens meanwhile, and whatever it starts, is in the lab's network."""
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            _enter(inside)
            yield
        finally:
            _enter(outside)
            os.close(inside)
            os.close(outside)


def _enter(namespace: int) -> None:
    """setns(2); Python has it from 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _is_hidden(path: str) -> bool:
    return path.startswith(("/root/", "/home/", "/tmp/"))


def _binds() -> Iterator[tuple[Path | str, Path]]:
    yield SOURCE / "notifier", PREFIX / "source" / "notifier"
    yield sysconfig.get_path("purelib"), PREFIX / "packages"
    yield SOURCE / "systemd", PREFIX / "source" / "systemd"
    yield HERE / "faults", PREFIX / "faults"
    if _is_hidden(sys.base_prefix):
        yield sys.base_prefix, PYTHON
