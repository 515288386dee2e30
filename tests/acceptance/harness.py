"""Real processes and real sockets: a daemon, and a receiver that the tests steer from outside."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import yaml

from tests.acceptance.nursery import Child, Wish, nursery
from tests.http_server import HttpServer, Request, send

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "backend-token-for-tests"
WAIT_SECONDS = 30.0
Answer: TypeAlias = int | tuple[int, dict[str, str]]
"""A status, perhaps with headers."""


def free_port() -> int:
    """Not one that the system would give to an outgoing connection, which may have it when a daemon comes back."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_768)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until(true: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """The first truthy answer, or a failure that says what was waited for."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if answer := true():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def call(base: str, method: str, path: str, body: Any = None, *, token: str | None = TOKEN) -> tuple[int, Any]:
    """One HTTP call; the status and the JSON (or text) of the answer."""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        data = None
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection.request(method, path, data, sent)
        answer = connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode()
    finally:
        connection.close()


@dataclass
class Process:
    """A `notifier` command in a process of its own, `fresh` or forked; its output goes to a file."""

    arguments: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    module: str = "notifier"
    fresh: bool = False
    process: subprocess.Popen[bytes] | Child | None = None

    def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFIER_", "COV"))}
        environment, folder = clean | self.environment, self.log.parent
        self.log.touch()
        if not self.fresh:
            wish = Wish(self.module, self.arguments, str(self.log.absolute()), str(folder.absolute()), environment)
            self.process = nursery().fork(wish)
            return
        command = [sys.executable, "-m", self.module, *self.arguments]
        with self.log.open("ab") as out, Path(os.devnull).open() as nothing:
            self.process = subprocess.Popen(command, stdin=nothing, stdout=out, stderr=out, env=environment, cwd=folder)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, seconds: float = 35.0) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: no chance to save anything."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def lines(self) -> list[dict[str, Any]]:
        """The JSON log lines so far."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"event": "text", "text": line})
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line.get("event") == name]


class DaemonProcess(Process):
    """`notifier run` with a configuration that the test may change and reload."""

    def __init__(self, folder: Path, config: dict[str, Any], *, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config_file = folder / "config.yaml"
        self.config: dict[str, Any] = {
            "store": {"url": f"sqlite:///{folder / 'notifier.db'}"},
            "intake": {"listen": f"127.0.0.1:{self.port}", "tokens": [{"name": "tests", "token": TOKEN}]},
            "webhooks": {"secret": SECRET, "allow_networks": ["127.0.0.0/8"]},
            "log": {"level": "debug", "format": "json"},
        }
        for section, values in config.items():
            if isinstance(values, dict):
                self.config[section] = self.config.get(section, {}) | values
            else:
                self.config[section] = values
        self.write()
        super().__init__(["run", "--config", str(self.config_file)], folder / "daemon.log")

    def write(self) -> None:
        self.config_file.write_text(yaml.safe_dump(self.config))

    def start(self, *, ready: bool = True) -> None:
        super().start()
        if ready:
            wait_until(self.ready, f"the daemon is ready; see {self.log}:\n{self.log.read_text()[-2000:]}")

    def ready(self) -> bool:
        if not self.running:
            raise AssertionError(f"the daemon ended:\n{self.log.read_text()[-4000:]}")
        try:
            return self.call("GET", "/readyz", token=None)[0] == 200
        except OSError:
            return False

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        return call(self.url, method, path, body, **more)

    def watch(self, task_id: str, callback_url: str, **more: Any) -> dict[str, Any]:
        status, watch = self.call("POST", "/v1/watches", {"task_id": task_id, "callback_url": callback_url, **more})
        assert status in (200, 201), watch
        return dict(watch)


@dataclass(frozen=True)
class Hook:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class ReceiverServer:
    """A receiver of webhooks in threads of this process; `answer(path, count)` decides each status (or hangs)."""

    def __init__(
        self, answer: Callable[[str, int], Answer] = lambda path, count: 204, *, host: str = "127.0.0.1"
    ) -> None:
        self.hooks: list[Hook] = []
        self.answer = answer
        self.lock = threading.Lock()
        self.busy: dict[str, int] = {}
        self.most_busy: dict[str, int] = {}
        self.server = HttpServer(self.handle, host)
        self.url = self.server.url

    def handle(self, request: Request) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", "0")))
        at = time.time()
        with self.lock:
            count = 1 + sum(hook.path == request.path for hook in self.hooks)
            self.busy[request.path] = self.busy.get(request.path, 0) + 1
            self.most_busy[request.path] = max(self.most_busy.get(request.path, 0), self.busy[request.path])
        answer = self.answer(request.path, count)
        status, extra = answer if isinstance(answer, tuple) else (answer, {})
        with self.lock:
            self.busy[request.path] -= 1
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.hooks.append(Hook(request.path, headers, body, at, status))
        send(request, status, b"", **extra)

    def at(self, path: str) -> list[Hook]:
        with self.lock:
            return [hook for hook in self.hooks if hook.path == path]

    def delivered(self) -> list[Hook]:
        with self.lock:
            return [hook for hook in self.hooks if 200 <= hook.status < 300]

    def close(self) -> None:
        self.server.close()


@contextmanager
def running(*processes: Process) -> Iterator[None]:
    """Start in this order; whatever happens, nothing is left running."""
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in reversed(processes):
            process.kill()
