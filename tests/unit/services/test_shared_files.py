"""Files and held events go with the shard of their task, from node to node."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.ports import LeaseLostError, StoreUnavailableError, Unsaved
from notifier.services.custody import Custody
from tests.fake_pool import FakeTenure, SharedStore
from tests.fakes import FakeClock
from tests.unit.services.test_archivist import BROKEN, DONE, URL, told
from tests.unit.services.world import World

SHARD = 1
"""Of the first task."""


class OtherNode(World):
    """A node that comes to a store in which another one has ended tasks."""

    async def inherits(self, *shards):
        """Services anew, as another node has them, and these shards are its own from now on."""
        await self.crew.aclose()
        self.archivist.close()
        self.build()
        await self.archivist.start()
        await self.archivist.adopt(shards)
        await self.crew.run()


@pytest.fixture
async def world():
    clock, tenure = FakeClock(), FakeTenure()
    world = OtherNode(store=SharedStore(tenure, clock), clock=clock, tenure=tenure, custody=Custody())
    world.archive()
    await world.archivist.adopt({SHARD})
    yield world
    await world.crew.aclose()


async def losing(*asked):
    raise LeaseLostError(SHARD)


async def test_the_next_owner_saves_what_was_to_be_saved(world):
    """And tells of it, once; a node that does not own the shard leaves it alone."""
    world.files.hold()
    await world.told("vid_1", DONE)
    world.files.release()
    await world.inherits(SHARD + 1)
    assert told(world) == []
    await world.inherits(SHARD)
    world.store.leases["evt_1"] = "node_1"
    await world.crew.advance(10)
    assert told(world) == ["task.completed"]


async def test_the_next_owner_releases_what_is_held_for_too_long(world):
    """The files may never come."""
    world.files.usual = Unsaved("broken", "the connection broke")
    await world.told("vid_1", DONE)
    await world.inherits(SHARD)
    world.store.leases["evt_1"] = "node_1"
    await world.crew.advance(600)
    assert told(world) == ["task.completed"]


async def test_a_node_that_lost_the_shard_keeps_nothing(world):
    """What it downloaded the new owner downloads again; nothing is told, and nothing tried any more."""
    world.files.hold()
    await world.told("vid_1", DONE)
    world.store.keep = world.store.release = losing
    world.files.release()
    await world.crew.advance(2000)
    assert (told(world), len(world.files.orders)) == ([], 1)


async def test_nothing_is_tried_again_after_the_shard_was_handed_over(world):
    """It sleeps until its next try, and is then nobody's here; when the shard comes back, it is taken up again."""
    world.files.script(URL, BROKEN)
    await world.told("vid_1", DONE)
    await world.archivist.disown({SHARD}, save=True)
    orders = len(world.files.orders)
    await world.crew.advance(300)
    assert len(world.files.orders) == orders
    await world.archivist.adopt({SHARD})
    await world.crew.run()
    assert len(world.files.orders) == orders + 1


async def test_what_others_owed_is_found(world):
    """A watch that was registered elsewhere when the task had ended: its event is held here, and released in time."""
    world.files.hold()
    await world.told("vid_1", DONE)
    held = world.delivery()
    await world.inherits()
    await world.archivist.reread()
    world.archivist._owned.add(SHARD)
    await world.archivist.reread()
    await world.archivist.reread()
    assert held.held_until == held.created_at + timedelta(seconds=600)
    world.store.leases["evt_1"] = "node_1"
    await world.crew.advance(600)
    assert told(world) == ["task.completed"]


async def test_what_others_owed_is_held_as_soon_as_it_is_heard_of(world):
    """Its files are being tried again and again, and it has waited for long enough."""
    world.files.usual = Unsaved("broken", "the connection broke")
    await world.told("vid_1", DONE)
    await world.crew.advance(599)
    other = replace(world.store.watches["wch_1"], id="wch_9", callback_url="https://other.example/hook")
    world.store.watches["wch_9"] = other
    held = replace(world.delivery(), id="evt_9", watch_id="wch_9")
    world.store.deliveries["evt_9"], world.store.leases["evt_9"] = held, "node_1"
    await world.archivist.unwatched([2])
    await world.crew.advance(5)
    assert world.delivery("evt_9").held_until is not None
    await world.archivist.unwatched([2, 1])
    await world.crew.advance(5)
    assert world.delivery("evt_9").held_until is None


async def test_a_store_that_is_away_lets_nothing_be_adopted(world):
    """It is asked for again; ends that come meanwhile are ours already."""
    world.store.down = True
    with pytest.raises(StoreUnavailableError):
        await world.archivist.adopt({SHARD + 1})


async def test_a_daemon_alone_adopts_and_gives_up_nothing():
    """Everything is its own from the start."""
    world = World()
    world.archive()
    await world.archivist.disown({SHARD}, save=False)
    await world.archivist.adopt({SHARD})
    await world.archivist.reread()
    await world.told("vid_1", DONE)
    assert told(world) == ["task.completed"]


def meanwhile(world, call, happens):
    """While the store is busy with the first such call, which it then refuses, this happens."""
    plain = getattr(world.store, call)

    async def slowly(*args):
        setattr(world.store, call, plain)
        await happens()
        raise LeaseLostError(SHARD)

    setattr(world.store, call, slowly)


async def test_files_come_back_while_they_are_refused_under_an_old_lease(world):
    """The shard was another node's for a moment: what was downloaded for nothing is downloaded again, and told."""
    world.files.hold()
    await world.told("vid_1", DONE)

    async def back_and_forth():
        await world.archivist.disown({SHARD}, save=True)
        await world.archivist.adopt({SHARD})

    meanwhile(world, "keep", back_and_forth)
    world.files.release()
    await world.crew.advance(1)
    assert (told(world), len(world.files.orders)) == (["task.completed"], 2)


async def test_a_held_event_comes_back_while_it_is_refused_under_an_old_lease(world):
    """It is released at the time that it was promised for."""
    world.files.usual = Unsaved("broken", "the connection broke")
    await world.told("vid_1", DONE)
    answered = asyncio.Event()

    async def back_and_forth():
        await world.archivist.disown({SHARD}, save=True)
        await world.archivist.adopt({SHARD})
        await answered.wait()

    meanwhile(world, "release", back_and_forth)
    await world.crew.advance(601)
    world.store.leases["evt_1"] = "node_1"
    answered.set()
    await world.crew.run()
    assert told(world) == ["task.completed"]
