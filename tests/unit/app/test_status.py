"""What is told of the daemon when its store is in trouble."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from notifier.adapters.api import Readiness
from notifier.adapters.metrics import Metrics
from notifier.app import status
from notifier.app.status import StatusBoard
from notifier.ports import Counts, Space
from tests.fakes import FakeClock


class FakeStore:
    """With `hangs` set, nobody learns how much room there is until it is cleared."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0

    async def counts(self) -> Counts:
        return Counts()

    async def space(self) -> Space:
        self.asked += 1
        await self.answers.wait()
        return Space(4096, 1000 * self.asked)


async def look(*, stopping: bool) -> Readiness:
    return Readiness(ready=not stopping, checks={}, paused={}, poll_lag=0.0)


async def test_a_disk_that_hangs_does_not_hold_up_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known last is told, the disk is asked once only, and its answer counts when it comes."""
    monkeypatch.setattr(status, "STORE_ANSWERS_SECONDS", 0.02)
    store, clock = FakeStore(), FakeClock()
    parts: Any = (store, SimpleNamespace(look=look), SimpleNamespace(open_circuits=0))
    board = StatusBoard(*parts, Metrics("1.0", clock.monotonic), clock)
    assert (await board.status(stopping=False)).space == Space(4096, 1000)
    store.answers.clear()
    for _ in range(3):
        assert (await board.status(stopping=False)).space == Space(4096, 1000)
        assert b"store_free_bytes 1000.0" in (await board.render_metrics(stopping=False))[0]
    assert store.asked == 2
    store.answers.set()
    assert (await board.status(stopping=False)).space == Space(4096, 2000)
