"""Deliveries over restarts, stops, and a store that takes nothing for a while."""


import pytest
from structlog.testing import capture_logs

from notifier.services import tray
from tests.unit.services.mail import DOWN, OTHER, owe_many, send, times
from tests.unit.services.world import HOOK


async def test_a_restart_takes_up_every_pending_delivery(world):
    """Each at its time, and at once when that has passed."""
    await send(world, DOWN)
    await send(world, DOWN, DOWN, url=OTHER, number=2)
    await world.crew.advance(6)
    assert times(world, OTHER) == [0, 5]
    world.build()
    await world.dispatcher.start()
    await world.crew.advance(60)
    assert (world.delivery("evt_01").state, world.delivery("evt_02").state) == ("delivered", "delivered")
    assert times(world, OTHER)[2] == 35


async def test_an_attempt_that_cannot_be_saved_is_not_made_again(world):
    """It is kept, and saved every second until the store takes it; then the schedule goes on."""
    world.sender.script(HOOK, DOWN)
    delivery = await world.owed()
    world.store.down = True
    with capture_logs() as lines:
        world.dispatcher.accept([delivery])
        await world.crew.advance(20)
    assert times(world) == [0]
    assert {line["event"] for line in lines} == {"delivery.attempted", "delivery.unsaved"}
    world.store.down = False
    await world.crew.advance(1)
    assert world.store.logs["evt_01"][0].outcome == "failed"
    await world.crew.advance(1)
    assert len(times(world)) == 2
    assert world.delivery("evt_01").state == "delivered"


async def test_a_delivered_attempt_that_cannot_be_saved_is_not_sent_twice(world):
    """The receiver has it already."""
    delivery = await world.owed()
    world.store.fail(3)
    world.dispatcher.accept([delivery])
    await world.crew.advance(30)
    assert (times(world), world.delivery("evt_01").state) == ([0], "delivered")


async def test_a_delivery_that_cannot_be_read_is_tried_again(world):
    """A second later, until the store answers; that is no attempt."""
    await send(world, DOWN)
    world.store.down = True
    with capture_logs() as lines:
        await world.crew.advance(8)
    assert [line["event"] for line in lines] == ["delivery.unread"] * 4
    world.store.down = False
    await world.crew.advance(1)
    assert times(world) == [0, 9]


async def test_a_delivery_that_is_gone_or_settled_is_not_attempted(world):
    """An alarm can come late: after a retention or on another daemon's attempt."""
    await send(world)
    world.dispatcher.due("evt_01", HOOK)
    world.dispatcher.due("evt_99", HOOK)
    await world.crew.run()
    assert len(world.sender.posts) == 1


async def test_a_fault_of_ours_leaves_the_delivery_owed(world):
    """Its place is free again, and a minute later it is tried anew."""
    world.sender.script(HOOK, ZeroDivisionError())
    world.dispatcher.accept([await world.owed()])
    with pytest.raises(ZeroDivisionError):
        await world.crew.run()
    world.apply(per_host=1)
    await world.crew.advance(59)
    assert times(world) == [0]
    await world.crew.advance(1)
    assert times(world) == [0, 60]


# The stop


async def test_nothing_starts_after_close_and_what_is_in_flight_finishes(world):
    """Its outcome is saved; what waits stays pending for the next start."""
    world.apply(per_host=1)
    world.sender.hold()
    await owe_many(world, 2)
    world.dispatcher.close()
    await owe_many(world, 1, OTHER, first=3)
    world.dispatcher.due("evt_02", HOOK)
    world.sender.release()
    await world.crew.advance(10)
    assert [post.headers["webhook-id"] for post in world.sender.posts] == ["evt_01"]
    states = [world.delivery(f"evt_0{number}").state for number in (1, 2, 3)]
    assert states == ["delivered", "pending", "pending"]


async def test_a_stop_saves_attempts_that_the_store_did_not_take(world):
    """All of them, once."""
    first, second = await world.owed(), await world.owed(OTHER, number=2)
    world.store.down = True
    world.dispatcher.accept([first, second])
    await world.crew.run()
    world.dispatcher.close()
    world.store.down = False
    await world.dispatcher.flush()
    await world.dispatcher.flush()
    assert [world.delivery(f"evt_0{number}").state for number in (1, 2)] == ["delivered", "delivered"]
    assert world.store.writes == ["settle", "settle"]


async def test_an_unsaved_attempt_is_saved_also_while_stopping(world):
    """Its alarm may still ring."""
    delivery = await world.owed()
    world.store.fail(1)
    world.dispatcher.accept([delivery])
    await world.crew.run()
    world.dispatcher.close()
    await world.crew.advance(1)
    assert world.delivery("evt_01").state == "delivered"




async def test_a_fault_of_ours_while_saving_forgets_no_attempt(world):
    """What the receiver said is kept and saved a minute later; the attempt is not made again."""
    settle, faults = world.store.settle, [ZeroDivisionError()]

    async def faulty(delivery, attempt):
        if faults:
            raise faults.pop()
        return await settle(delivery, attempt)

    world.store.settle = faulty
    world.dispatcher.accept([await world.owed()])
    with pytest.raises(ZeroDivisionError):
        await world.crew.run()
    await world.crew.advance(61)
    assert len(world.sender.posts) == 1
    assert world.delivery("evt_01").state == "delivered"


async def test_what_waits_for_its_first_attempt_is_kept_in_memory_only_so_far(world, monkeypatch):
    """A receiver that hangs while thousands of tasks end must not fill the memory with their events; all are sent, and
    what was sent makes room for others."""
    monkeypatch.setattr(tray, "FRESH_BYTES", 20 * tray.ENTRY_BYTES)
    for batch in range(2):
        world.sender.hold()
        for number in range(30):
            world.dispatcher.accept([await world.owed(number=30 * batch + number + 1)])
        await world.crew.run()
        kept = world.dispatcher._tray._fresh.values()
        assert 5 < len(kept) < 20
        assert sum(tray.ENTRY_BYTES + len(one.body) for one in kept) <= tray.FRESH_BYTES
        world.sender.release()
        await world.crew.run()
        assert len(world.sender.posts) == 30 * (batch + 1)


async def test_a_restart_with_several_pending_attempts_what_is_due_and_waits_for_the_rest(world):
    """What is due goes at once, lane by lane; the others ring at their time."""
    await send(world, DOWN, DOWN)
    await send(world, DOWN, DOWN, url=OTHER, number=2)
    world.build()
    await world.dispatcher.start()
    await world.crew.advance(4)
    assert (len(times(world)), len(times(world, OTHER))) == (1, 1)
    world.build()
    world.clock.away(60)
    await world.dispatcher.start()
    await world.crew.run()
    assert (len(times(world)), len(times(world, OTHER))) == (2, 2)
