"""The story that `notifier demo` tells: three videos are made, three receivers are told, and everything is verified.

The daemon is the real one, with a configuration file, a store and an intake; only the API and the receiver are ours.
"""

import asyncio
import contextlib
import json
import secrets
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from notifier import logs
from notifier.app.daemon import Daemon
from notifier.app.running import running
from notifier.config import Rejected, load
from notifier.demo.receiver import Conduct, Received, Receiver
from notifier.demo.serving import serve
from notifier.demo.simulator import Polled, Studio, create_app
from notifier.domain.signature import Valid, new_secret, parse_secret

TOO_LONG_SECONDS = 25.0
API, DAEMON, RECEIVER, YOU = "videos API", "notifier", "receiver", "you"
Tell = Callable[[str, str], None]
"""`tell(who, what)`: one line of the story."""


@dataclass(frozen=True, slots=True)
class Role:
    """One of the tasks: its script, how its receiver behaves, and what should come of it."""

    task_id: str
    script: dict[str, Any]
    conduct: Conduct
    expected: str
    remark: str

    @property
    def path(self) -> str:
        return f"/hooks/{self.task_id}"


CAST = (
    Role(
        "vid_sunrise",
        {"queued": 1.5, "processing": 3.0},
        Conduct(),
        "task.completed",
        "named in the configuration file",
    ),
    Role(
        "vid_tornado",
        {
            "queued": 1.0,
            "processing": 5.0,
            "outcome": "failed",
            "error": {"code": "moderation", "message": "The prompt was refused."},
        },
        Conduct(),
        "task.failed",
        "named in the configuration file; it is going to fail",
    ),
    Role(
        "vid_harbour",
        {"queued": 2.0, "processing": 6.0},
        Conduct(down_for=2),
        "task.completed",
        "registered over HTTP; its receiver is going to be down at first",
    ),
)
DECLARED, REGISTERED = CAST[:2], CAST[2]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one role: `attempts` were made, and the last one was accepted and told what was expected."""

    role: Role
    attempts: int
    event_type: str | None
    verified: bool

    @property
    def good(self) -> bool:
        return self.verified and self.event_type == self.role.expected


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is running during the demo."""

    daemon: Daemon
    receiver: Receiver
    all_told: asyncio.Event
    intake: str
    hooks: str


async def play(tell: Tell) -> tuple[Result, ...]:
    """Tell the story from the first line to the last; the result of each role."""
    logs.configure(level="error", log_format="console")
    async with _stage(tell) as stage:
        for role in DECLARED:
            tell(DAEMON, f"watching {role.task_id} for {stage.hooks}{role.path} ({role.remark})")
        await asyncio.sleep(1.0)
        await _register(stage, REGISTERED, tell)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOO_LONG_SECONDS):
                await stage.all_told.wait()
        return _results(stage.receiver)


@contextlib.asynccontextmanager
async def _stage(tell: Tell) -> AsyncIterator[Stage]:
    """Start the API, the receiver and the daemon, in a temporary folder that goes with them."""
    secret = new_secret(secrets.token_bytes(24))
    studio = Studio(duration=5.0)
    for role in CAST:
        studio.script(role.task_id, role.script, time.time())
    all_told = asyncio.Event()

    def hear(received: Received) -> None:
        _tell_received(received, tell)
        if all(result.good for result in _results(receiver)):
            all_told.set()

    conduct = {role.path: role.conduct for role in CAST}
    receiver = Receiver([parse_secret(secret)], time.time, conduct=conduct, on_event=hear)
    async with contextlib.AsyncExitStack() as undo:
        folder = undo.enter_context(TemporaryDirectory(prefix="notifier-demo-"))
        api = await undo.enter_async_context(serve(create_app(studio, time.time, on_poll=_PollTeller(tell))))
        hooks = await undo.enter_async_context(serve(receiver))
        tell(API, f"simulated at {api.url}: it can only be asked, GET /v1/result/ID")
        tell(RECEIVER, f"listening at {hooks.url}: it verifies every signature")
        config = Path(folder) / "config.yaml"
        config.write_text(_configuration(api.url, hooks.url, secret, Path(folder)))
        loaded = load(config, {}, secrets="required")
        if isinstance(loaded, Rejected):
            raise RuntimeError(f"the demo's own configuration is wrong: {loaded.problems}")  # noqa: TRY004 -- no type
        daemon = await undo.enter_async_context(running(loaded.settings, lambda: loaded))
        tell(DAEMON, f"running with {config}; its intake is at {daemon.intake}")
        yield Stage(daemon, receiver, all_told, f"http://{daemon.intake}", hooks.url)
        tell(DAEMON, "stopping: nothing is left to do")


def _configuration(api: str, hooks: str, secret: str, folder: Path) -> str:
    """What a user would write, with short times. JSON is YAML."""
    return json.dumps(
        {
            "store": {"url": f"sqlite:///{folder / 'notifier.db'}"},
            "intake": {"listen": "127.0.0.1:0"},
            "providers": {
                "videos": {"base_url": api, "api_key": "demo-key", "interval": "1s", "min_interval": "100ms"}
            },
            "webhooks": {"secret": secret, "retry": ["1s", "2s", "4s"], "allow_networks": ["127.0.0.0/8", "::1/128"]},
            "watches": [{"task_id": role.task_id, "callback_url": hooks + role.path} for role in DECLARED],
        },
        indent=2,
    )


async def _register(stage: Stage, role: Role, tell: Tell) -> None:
    """What `curl -X POST …/v1/watches` does."""
    body = {"task_id": role.task_id, "callback_url": stage.hooks + role.path, "metadata": {"order": 1042}}
    tell(YOU, f"POST {stage.intake}/v1/watches {json.dumps(body)}")
    request = urllib.request.Request(  # noqa: S310 -- our own intake, on loopback
        f"{stage.intake}/v1/watches", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    watch = await asyncio.to_thread(_post, request)
    tell(DAEMON, f"201 Created: {watch['id']} ({role.remark})")


def _post(request: urllib.request.Request) -> dict[str, Any]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to this machine
    with direct.open(request, timeout=10) as answer:
        return dict(json.load(answer))


class _PollTeller:
    """One line whenever a poll is told something new; the others would only repeat it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told: dict[str, tuple[str | None, int]] = {}

    def __call__(self, polled: Polled) -> None:
        before, count = self._told.get(polled.task_id, (None, 0))
        status = polled.answer.status or f"HTTP {polled.answer.http_status}"
        self._told[polled.task_id] = (status, count + 1)
        if status != before:
            self._tell(API, f"poll {count + 1} of {polled.task_id}: {status}")


def _tell_received(received: Received, tell: Tell) -> None:
    kind = (received.event or {}).get("type", "something unreadable")
    if not received.accepted:
        tell(RECEIVER, f"POST {received.path} {kind}: {received.status}, try again later")
        return
    tell(RECEIVER, f"POST {received.path} {kind}: signature valid, {received.status} ({received.event_id})")


def _results(receiver: Receiver) -> tuple[Result, ...]:
    return tuple(_result(role, receiver) for role in CAST)


def _result(role: Role, receiver: Receiver) -> Result:
    requests = [received for received in receiver.received if received.path == role.path]
    accepted = [received for received in requests if received.accepted and isinstance(received.verdict, Valid)]
    event_type = (accepted[-1].event or {}).get("type") if accepted else None
    return Result(role, len(requests), event_type, verified=bool(accepted))
