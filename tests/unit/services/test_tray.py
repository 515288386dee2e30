"""Deliveries kept in memory until their first attempt: what they may take there is given back, whatever becomes of
them."""

import pytest

from notifier.services import tray
from notifier.services.custody import Custody
from notifier.services.tray import Tray
from tests.unit.services.world import HOOK, World


class Room:
    """A tray with room for one delivery, before a store that has none of them: what is taken was kept."""

    def __init__(self) -> None:
        self.world, self.custody = World(), Custody()
        world = self.world
        self.tray = Tray(store=world.store, custody=self.custody, alarms=world.alarms, clock=world.clock)

    async def kept(self, number: int) -> str:
        delivery = await self.world.owed(number=number)
        self.custody.keep(delivery.id, HOOK)
        self.tray.keep(delivery)
        del self.world.store.deliveries[delivery.id]
        return delivery.id

    async def takes(self, delivery_id: str) -> bool:
        return await self.tray.take(delivery_id, HOOK) is not None


@pytest.fixture
async def room(monkeypatch):
    monkeypatch.setattr(tray, "FRESH_BYTES", tray.ENTRY_BYTES + 10)
    room = Room()
    yield room
    await room.world.crew.aclose()


async def test_room_is_for_the_next_one_when_one_was_taken(room):
    """And only then: what exceeds it has to be read from the store."""
    first, second = await room.kept(1), await room.kept(2)
    assert not await room.takes(second)
    assert await room.takes(first)
    assert await room.takes(await room.kept(3))


async def test_what_was_forgotten_takes_no_room(room):
    """A node that was buried is as empty as a new one."""
    await room.kept(1)
    room.tray.clear()
    assert await room.takes(await room.kept(2))


async def test_what_is_another_nodes_at_its_turn_takes_no_room(room):
    """It is not attempted here, and the next one is kept."""
    first = await room.kept(1)
    room.custody.drop(first)
    assert not await room.takes(first)
    assert await room.takes(await room.kept(2))
