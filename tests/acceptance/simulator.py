"""The simulated videos API, steered from outside the daemon."""

import os
from pathlib import Path
from typing import Any

from tests.acceptance.harness import Process, call, free_port, wait_until


class Simulator(Process):
    """`notifier simulate`, scripted through its control API."""

    def __init__(self, *, duration: float = 20.0, api_key: str | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        flags = ["--quiet", "--duration", f"{duration}"] + (["--api-key", api_key] if api_key else [])
        super().__init__(["simulate", "--listen", f"127.0.0.1:{self.port}", *flags], Path(os.devnull))

    def start(self) -> None:
        super().start()
        wait_until(self._answers, "the simulator answers")

    def _answers(self) -> bool:
        assert self.running, "the simulator ended"
        try:
            return self.stats() is not None
        except OSError:
            return False

    def script(self, task_id: str, **story: Any) -> None:
        status, answer = call(self.url, "PUT", f"/simulator/tasks/{task_id}", story)
        assert status < 300, answer

    def stats(self) -> dict[str, Any]:
        return dict(call(self.url, "GET", "/simulator/stats")[1])

    def provider(self, **more: Any) -> dict[str, Any]:
        """The `providers:` entry that polls this simulator, quickly."""
        quick = {"interval": "200ms", "min_interval": "50ms", "rate": "1000/s", "timeout": "5s"}
        return {"videos": {"base_url": self.url, "api_key": "key-for-tests", **quick, **more}}
