"""The simulated videos API, steered from outside the daemon."""

import asyncio
import contextlib
import threading
import time
from typing import Any

from notifier.demo.serving import serve
from notifier.demo.simulator import Honest, Studio, create_app
from tests.acceptance.harness import WAIT_SECONDS, call, free_port


class Simulator:
    """The simulated videos API in a thread of this process, scripted through its control API.

    What `notifier simulate` adds to it, a process and a terminal, tests of the daemon do not need."""

    def __init__(self, *, duration: float = 20.0, api_key: str | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.app = create_app(Studio(duration, Honest()), time.time, api_key=api_key)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.serving, self.enough = threading.Event(), asyncio.Event()

    def _serve(self) -> None:
        async def until_stopped() -> None:
            async with serve(self.app, port=self.port):
                self.serving.set()
                await self.enough.wait()

        with contextlib.closing(self.loop):
            self.loop.run_until_complete(until_stopped())

    def start(self) -> None:
        self.thread.start()
        assert self.serving.wait(WAIT_SECONDS), "the simulator does not listen"

    def kill(self) -> None:
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.enough.set)
        self.thread.join(WAIT_SECONDS)

    def script(self, task_id: str, **story: Any) -> None:
        status, answer = call(self.url, "PUT", f"/simulator/tasks/{task_id}", story)
        assert status < 300, answer

    def stats(self) -> dict[str, Any]:
        return dict(call(self.url, "GET", "/simulator/stats")[1])

    def provider(self, **more: Any) -> dict[str, Any]:
        """The `providers:` entry that polls this simulator, quickly."""
        quick = {"interval": "200ms", "min_interval": "50ms", "rate": "1000/s", "timeout": "5s"}
        return {"videos": {"base_url": self.url, "api_key": "key-for-tests", **quick, **more}}
