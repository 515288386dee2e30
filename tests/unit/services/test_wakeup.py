"""One wake-up call at the earliest time that was asked for."""

from notifier.services.wakeup import WakeUp
from tests.unit.services.world import World


async def test_the_earliest_time_counts_and_it_rings_once(world: World) -> None:
    """Later ones are forgotten: whoever is woken asks again."""
    rung: list[float] = []
    wakeup = WakeUp(lambda: rung.append(world.clock.monotonic()), crew=world.crew, clock=world.clock)
    now = world.clock.monotonic()
    for seconds in (20, 5, 30):
        wakeup.by(now + seconds)
    wakeup.by(None)
    await world.crew.advance(60)
    assert rung == [now + 5]
    wakeup.by(now + 70)
    await world.crew.advance(60)
    assert rung == [now + 5, now + 70]


async def test_it_can_be_stopped(world: World) -> None:
    """Once or twice."""
    rung: list[int] = []
    wakeup = WakeUp(lambda: rung.append(1), crew=world.crew, clock=world.clock)
    wakeup.by(world.clock.monotonic() + 1)
    wakeup.stop()
    wakeup.stop()
    await world.crew.advance(60)
    assert rung == []
