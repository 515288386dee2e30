"""Readiness: what is said to whoever asks, who need not be anybody that we trust."""

import asyncio
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from notifier.app import health
from notifier.app.health import Health
from notifier.domain.pace import Pause
from notifier.ports import StoreFault, StoreUnavailableError
from tests.fake_pool import FakeTenure
from tests.fakes import FakeClock


class FakeStore:
    """`error` is what a write ends with; with `hangs` it does not end."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False
        self.known: StoreFault | None = None
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    def fault(self) -> StoreFault | None:
        return self.known


class World:
    """A daemon's parts as readiness sees them; each can be told to be unwell."""

    def __init__(self) -> None:
        self.clock, self.store = FakeClock(), FakeStore()
        self.silent, self.stuck, self.lag = 0.5, False, 0.25
        self.pauses: dict[str, Pause] = {}
        self.parts: Any = [
            SimpleNamespace(silent_for=lambda: self.silent),
            SimpleNamespace(pauses=lambda: self.pauses, lag=lambda: self.lag),
            SimpleNamespace(stuck=lambda: self.stuck),
        ]
        self.health = Health(self.store, *self.parts, self.clock)

    async def look(self, *, stopping: bool = False) -> Any:
        self.clock.move_to(self.clock.monotonic() + 1)
        return await self.health.look(stopping=stopping)


async def test_all_is_well() -> None:
    """Each part by name; how late polls are is told and is no reason not to be ready."""
    world = World()
    world.lag = 40.0
    seen = await world.look()
    assert seen.ready
    assert seen.checks == {"store": "ok", "scheduler": "ok", "dispatcher": "ok"}
    assert seen.poll_lag == 40.0


@pytest.mark.parametrize("fault", get_args(StoreFault))
async def test_a_store_that_takes_nothing_says_why_and_not_where(fault: StoreFault) -> None:
    """A sentence for each kind of trouble, without a path; well again, it says so."""
    world = World()
    world.store.error = StoreUnavailableError("/var/lib/notifier/notifier.db: trouble", fault)
    seen = await world.look()
    assert not seen.ready
    assert "the log says" in seen.checks["store"]
    assert "/var" not in seen.checks["store"]
    world.store.error = None
    assert (await world.look()).ready


async def test_a_store_that_hangs_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is known already what is the matter with it."""
    monkeypatch.setattr(health, "STORE_ANSWERS_SECONDS", 0.01)
    world = World()
    world.store.hangs = True
    with capture_logs() as lines:
        checks = [(await world.look()).checks["store"] for _ in range(3)]
        world.store.known = "locked"
        told = (await world.look()).checks["store"]
    assert checks == ["took no write within 3 s"] * 3
    assert "holds its lock" in told
    assert [line["event"] for line in lines] == ["store.silent"]


async def test_the_store_is_tried_once_a_second_however_often_we_are_asked() -> None:
    """Readiness needs no token: asking must not become a way to wear the disk out."""
    world = World()
    for _ in range(5):
        await world.health.look(stopping=False)
    assert world.store.pings == 1


async def test_each_part_can_be_the_reason() -> None:
    """A scheduler that fires nothing, a dispatcher that is stuck, a stop that is under way."""
    world = World()
    world.silent, world.stuck = 7.2, True
    seen = await world.look(stopping=True)
    assert not seen.ready
    assert seen.checks == {
        "store": "ok",
        "scheduler": "has fired nothing for 7 s",
        "dispatcher": "is stuck: deliveries wait and none is attempted",
        "daemon": "is stopping",
    }


async def test_a_paused_provider_is_named_and_no_reason() -> None:
    """With why, and when it is asked again."""
    world = World()
    world.pauses = {"videos": Pause("unauthorized", since=0.0, until=1043.5, strikes=1)}
    seen = await world.look()
    assert seen.ready
    assert (seen.paused["videos"].reason, seen.paused["videos"].seconds_left) == ("unauthorized", 42.5)


async def test_a_node_whose_lease_is_over_is_not_ready() -> None:
    """It polls nothing and attempts nothing: others do, or nobody can. A daemon alone has no lease."""
    world = World()
    assert "lease" not in (await world.look()).checks
    tenure = FakeTenure()
    world.health = Health(world.store, *world.parts, world.clock, tenure=tenure)
    assert (await world.look()).ready
    tenure.holding = False
    seen = await world.look()
    assert not seen.ready
    assert seen.checks["lease"].startswith("is over")
