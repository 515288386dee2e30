"""Many receivers: a slow one holds up nobody else."""


import pytest

from notifier.domain.delivery import RetrySchedule
from notifier.domain.receiver import host_of, without_query
from tests.unit.services.mail import DOWN, HUNG, OK, OTHER, answered, owe_many, send, times
from tests.unit.services.world import HOOK


async def test_a_slow_receiver_holds_up_nobody_else(world):
    """At most `per_host` attempts at one receiver; others go at once."""
    world.sender.hold()
    await owe_many(world, 20)
    assert world.sender.in_flight == 8
    world.sender.held = False
    await send(world, url=OTHER, number=50)
    assert times(world, OTHER) == [0]
    world.sender.release()
    await world.crew.run()
    assert len(list(world.sender.to(HOOK))) == 20
    assert world.sender.most_in_flight == 9


async def test_all_attempts_together_have_a_limit(world):
    """And every lane gets its turn."""
    for number in range(5):
        await owe_many(world, 1, f"https://host-{number}.example/", first=90 + number)
    world.apply(concurrency=3)
    world.sender.most_in_flight = 0
    world.sender.hold()
    for number in range(5):
        await owe_many(world, 2, f"https://host-{number}.example/", first=10 * number)
    assert world.sender.in_flight == 3
    world.sender.release()
    await world.crew.run()
    assert (world.sender.most_in_flight, len(world.sender.posts)) == (3, 15)


@pytest.mark.parametrize(
    ("receipts", "places"),
    [((HUNG,), 1), ((HUNG, DOWN), 1), ((HUNG, answered(500)), 8), ((HUNG, OK), 8), ((DOWN,), 8), ((answered(500),), 8)],
)
async def test_a_receiver_that_ran_into_the_timeout_gets_one_place_until_it_answers(world, receipts, places):
    """Any answer will do; a refused connection is none."""
    world.apply(schedule=RetrySchedule((3600.0,)))
    for number, receipt in enumerate(receipts):
        await send(world, receipt, number=number + 1)
    world.sender.hold()
    await owe_many(world, 20, first=10)
    assert world.sender.in_flight == places


async def test_new_limits_hold_from_now_on(world):
    """More places are used at once."""
    world.apply(per_host=1)
    world.sender.hold()
    await owe_many(world, 5)
    assert world.sender.in_flight == 1
    world.apply(per_host=4)
    await world.crew.run()
    assert world.sender.in_flight == 4


async def test_a_delivery_is_never_attempted_twice_at_once(world):
    """An alarm or an accept that comes while it waits or is in flight changes nothing."""
    world.sender.hold()
    await send(world)
    world.dispatcher.due("evt_01", HOOK)
    world.dispatcher.accept([world.delivery("evt_01")])
    await world.crew.run()
    assert world.sender.in_flight == 1
    world.sender.release()
    await world.crew.run()
    assert len(world.sender.posts) == 1


async def test_a_dispatcher_that_does_nothing_although_it_should_says_so(world):
    """Deliveries that are due for more than five seconds while nothing is being attempted: readiness looks at it."""
    assert not world.dispatcher.stuck()
    world.apply(concurrency=0)
    await owe_many(world, 1)
    await world.crew.advance(5)
    assert not world.dispatcher.stuck()
    await world.crew.advance(0.1)
    assert world.dispatcher.stuck()


async def test_waiting_for_slow_receivers_is_not_being_stuck(world):
    """As long as something is in flight, there is progress to hope for."""
    world.apply(per_host=1)
    world.sender.hold()
    await owe_many(world, 2)
    await world.crew.advance(60)
    assert not world.dispatcher.stuck()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://A.example/x?y=1", "a.example:443"),
        ("https://a.example:8443/x", "a.example:8443"),
        ("http://a.example/", "a.example:80"),
        ("https://[2606:4700::1]:1/x", "[2606:4700::1]:1"),
    ],
)
def test_receivers_share_a_host_when_they_share_a_server(url, host):
    """What is slow is a server, not a path."""
    assert host_of(url) == host


@pytest.mark.parametrize("url", ["https://a.example/x?y=1", "https://a.example/x#y?z", "https://a.example/x?y#z"])
def test_urls_are_shown_without_query_and_fragment(url):
    """Both may hold secrets."""
    assert without_query(url) == "https://a.example/x"


