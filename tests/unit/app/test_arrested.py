"""What only a restart gets going again, as the watchdog sees it; and how things stand, in one line."""

import asyncio
from dataclasses import dataclass, field

import pytest

from notifier.adapters.api import PausedProvider
from notifier.app.health import SILENT_SECONDS, Health
from notifier.app.supervision import describe
from notifier.ports import Counts, StoreFault, StoreUnavailableError
from tests.fakes import FakeClock

PATIENCE = 0.02


@dataclass
class Parts:
    """The store, the scheduler and the dispatcher, as far as health looks at them."""

    answers: bool = True
    refuses: bool = False
    known: StoreFault | None = None
    silence: float = 0.0
    is_stuck: bool = False
    clock: FakeClock = field(default_factory=FakeClock)

    async def ping(self) -> None:
        if not self.answers:
            await asyncio.Event().wait()
        if self.refuses:
            raise StoreUnavailableError("database or disk is full")

    def fault(self) -> StoreFault | None:
        return self.known

    def silent_for(self) -> float:
        return self.silence

    def stuck(self) -> bool:
        return self.is_stuck

    async def arrested(self) -> set[str]:
        return set(await Health(self, self, self, self, self.clock).arrested(PATIENCE))


async def test_nothing_is_arrested_while_all_moves() -> None:
    """The watchdog is fed."""
    assert await Parts(silence=SILENT_SECONDS - 0.1).arrested() == set()


@pytest.mark.parametrize(
    ("parts", "arrested"),
    [
        (Parts(answers=False), {"store"}),
        (Parts(silence=SILENT_SECONDS), {"scheduler"}),
        (Parts(is_stuck=True), {"dispatcher"}),
        (Parts(answers=False, silence=60.0, is_stuck=True), {"store", "scheduler", "dispatcher"}),
    ],
)
async def test_each_part_that_stands_still_is_named(parts: Parts, arrested: set[str]) -> None:
    """A store without an answer, a scheduler that fires nothing, deliveries that nobody attempts."""
    assert await parts.arrested() == arrested


async def test_a_store_that_refuses_is_not_arrested() -> None:
    """A full disk or a lock is as it was after a restart, and the daemon that waits for its end loses nothing."""
    assert await Parts(refuses=True).arrested() == set()


async def test_a_store_that_refuses_others_while_we_wait_is_not_arrested() -> None:
    """With thousands of writes before ours, each refused in its turn, our own answer comes too late to count."""
    assert await Parts(answers=False, known="locked").arrested() == set()
    assert await Parts(answers=False, known="locked", is_stuck=True).arrested() == {"dispatcher"}


def test_the_status_line_has_the_numbers_and_the_pauses() -> None:
    """What is watched, what is owed, and which provider is not asked, why and for how long."""
    counts = Counts({"watching": 12, "completed": 7}, {"pending": 3, "exhausted": 1})
    assert describe(counts, {}) == "12 watches, 3 deliveries pending"
    paused = {"videos": PausedProvider("throttled", 11.6)}
    assert describe(counts, paused) == "12 watches, 3 deliveries pending; paused: videos (throttled, 12 s left)"
    assert describe(Counts(), {}) == "0 watches, 0 deliveries pending"
