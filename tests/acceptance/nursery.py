"""Processes that need not load the daemon's libraries, which takes a second: each is forked from one that has.

They are as real as others: with a pid, an environment and files of their own, and nothing shared but what was loaded.
As a program (`python -m tests.acceptance.nursery`) it reads a line of JSON for each, and prints `born PID` and, in the
end of each, `died PID STATUS`.
"""

import atexit
import contextlib
import json
import os
import queue
import runpy
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Wish:
    """`python -m module arguments`, in that folder and environment; its output is appended to the log."""

    module: str
    arguments: list[str]
    log: str
    folder: str
    environment: dict[str, str]


@dataclass
class Child:
    """What `subprocess.Popen` offers, as far as tests ask for it."""

    pid: int
    status: int | None = None
    died: threading.Event = field(default_factory=threading.Event)

    def poll(self) -> int | None:
        return self.status

    def wait(self, timeout: float) -> int:
        if not self.died.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        assert self.status is not None
        return self.status

    def send_signal(self, number: int) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that others are forked from, and who was."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.acceptance.nursery"]
        self._parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self._children: dict[int, Child] = {}
        self._born: queue.SimpleQueue[Child] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self._close)

    def fork(self, wish: Wish) -> Child:
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(asdict(wish)).encode() + b"\n")
        self._parent.stdin.flush()
        return self._born.get(timeout=60)

    def _listen(self) -> None:
        assert self._parent.stdout is not None
        for line in self._parent.stdout:
            what, pid, *status = line.split()
            if what == b"born":
                self._children[int(pid)] = Child(int(pid))
                self._born.put(self._children[int(pid)])
            else:
                child = self._children.pop(int(pid))
                child.status = int(status[0])
                child.died.set()

    def _close(self) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        self._parent.wait(10)


nursery = cache(Nursery)
"""One for each process of the tests, from the first time on that it is needed."""


# What follows is in the process that others are forked from.


def tell(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def bury(living: set[int]) -> None:
    """Tell of each child that died."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            living.remove(pid)
            tell(f"died {pid} {os.waitstatus_to_exitcode(status)}")


def next_wish() -> Wish:
    """Comes back in a child; the process itself ends when nobody can wish any more, and its children with it."""
    living: set[int] = set()
    bell, ring = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    wishes = os.fdopen(0, "rb", buffering=0, closefd=False)
    while True:
        ready, _, _ = select.select([0, bell], [], [])
        if bell in ready:
            os.read(bell, 4096)
            bury(living)
        if 0 in ready:
            if not (line := wishes.readline()):
                for pid in living:
                    os.kill(pid, signal.SIGKILL)
                sys.exit()
            if not (pid := os.fork()):
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(bell)
                os.close(ring)
                return Wish(**json.loads(line))
            living.add(pid)
            tell(f"born {pid}")


def become(wish: Wish) -> None:
    """What exec(3) would make of this process."""
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(wish.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for given, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(given, number)
    os.close(nothing)
    os.close(log)
    os.chdir(wish.folder)
    os.environ.clear()
    os.environ.update(wish.environment)
    time.tzset()
    sys.argv = [wish.module, *wish.arguments]
    runpy.run_module(wish.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, whose end is the end of this
    for name in ("foreground", "root", "simulate", "watch", "delivery", "endpoint", "status", "backup"):
        import_module(f"notifier.cli.{name}")
    wish = next_wish()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    become(wish)
