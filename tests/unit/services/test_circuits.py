"""A receiver that keeps failing is left alone but for a probe; its deliveries wait, and nothing is dropped."""

from datetime import timedelta

from structlog.testing import capture_logs

from notifier.domain.delivery import RetrySchedule
from notifier.domain.receiver import Receiver, Receivers
from notifier.services import circuits
from notifier.services.circuits import OpenCircuit
from tests.fakes import START
from tests.unit.services.mail import DOWN, OK, OTHER, answered, owe_many, send, times
from tests.unit.services.world import HOOK, World


async def open_circuit(world: World, url: str = HOOK, number: int = 1) -> None:
    """One delivery whose attempts, four seconds apart, fail until the circuit opens."""
    world.apply(schedule=RetrySchedule((4.0,) * 900))
    world.sender.usual = answered(500)
    await send(world, url=url, number=number)
    while world.dispatcher.circuit(url) is None:
        await world.crew.advance(1)


async def test_deliveries_wait_behind_one_probe_at_a_time(world):
    """Fifty that come while the circuit is open cost one attempt for each wait, and none of them is lost."""
    await open_circuit(world)
    world.apply(schedule=RetrySchedule((600.0,) * 900))
    before = len(world.sender.posts)
    await owe_many(world, 50, first=10)
    assert len(world.sender.posts) == before
    await world.crew.advance(300)
    assert 6 <= len(world.sender.posts) - before <= 10
    world.sender.usual = OK
    await world.crew.advance(720)
    assert {one.state for one in world.store.deliveries.values()} == {"delivered"}
    assert world.dispatcher.circuit(HOOK) is None


async def test_an_open_circuit_is_explained(world):
    """How many attempts failed, since when, why, and when the next one comes."""
    await open_circuit(world)
    circuit = world.dispatcher.circuit(HOOK)
    now = world.clock.now()
    assert circuit == OpenCircuit(10, START, "HTTP 500", circuit.next_probe_at)
    assert now < circuit.next_probe_at <= now + timedelta(seconds=6)
    await world.crew.advance(300)
    assert world.dispatcher.circuit(HOOK).next_probe_at > world.clock.now()


async def test_a_probe_whose_time_has_come_is_next_at_once(world):
    """Nothing was due then, so it did not happen; the next delivery will be it."""
    world.apply(schedule=RetrySchedule((100.0,) * 9))
    world.sender.usual = DOWN
    await send(world)
    await world.crew.advance(3600)
    assert world.delivery("evt_01").state == "exhausted"
    assert world.dispatcher.circuit(HOOK).next_probe_at == world.clock.now()
    await send(world, number=2)
    assert world.delivery("evt_02").attempts == 1


async def test_opening_and_closing_are_told_once(world):
    """At the level of an error, without the query string; every attempt has its own line anyway."""
    url = HOOK + "?token=planted"
    with capture_logs() as lines:
        await open_circuit(world, url)
        await world.crew.advance(120)
        world.sender.usual = OK
        await world.crew.advance(60)
    told = [line for line in lines if line["event"].startswith("circuit.")]
    assert [(line["event"], line["log_level"], line["url"]) for line in told] == [
        ("circuit.opened", "error", HOOK),
        ("circuit.closed", "info", HOOK),
    ]


async def test_other_urls_of_the_host_are_not_held_up(world):
    """A path that fails says nothing about another integrator's."""
    await open_circuit(world)
    before = len(world.sender.posts)
    world.sender.usual = OK
    await send(world, url=HOOK + "/other", number=50)
    assert len(world.sender.posts) == before + 1
    assert world.delivery("evt_050").state == "delivered"
    assert world.dispatcher.circuit(HOOK) is not None


async def test_a_single_delivery_keeps_to_its_schedule_when_that_waits_longer(world):
    """It is the next probe itself: a circuit costs it nothing."""
    world.apply(schedule=RetrySchedule((100.0,) * 20))
    world.sender.usual = DOWN
    await send(world)
    await world.crew.advance(1500)
    assert world.dispatcher.circuit(HOOK) is not None
    assert times(world) == [100.0 * number for number in range(16)]


async def test_a_success_in_between_starts_the_row_anew(world):
    """Only failures in a row count."""
    world.apply(schedule=RetrySchedule((4.0,) * 900))
    await send(world, *[answered(500)] * 9, OK)
    await world.crew.advance(120)
    await send(world, *[answered(500)] * 9, OK, number=2)
    await world.crew.advance(120)
    assert world.dispatcher.circuit(HOOK) is None


async def test_deferrals_are_no_failures(world):
    """A receiver that asks for time is well."""
    world.apply(schedule=RetrySchedule((4.0,) * 900))
    await send(world, *[answered(429, 4.0)] * 19)
    await world.crew.advance(100)
    assert world.dispatcher.circuit(HOOK) is None


async def test_a_receiver_that_asks_for_time_gets_it_from_all_when_its_circuit_is_open(world):
    """It answers, but takes nothing: the others that wait are not posted one after the other to hear the same."""
    await open_circuit(world)
    world.sender.usual = answered(503, 3600.0)
    await owe_many(world, 50, first=50)
    before = len(world.sender.posts)
    await world.crew.advance(60)
    assert 5 <= len(world.sender.posts) - before <= 16
    assert world.dispatcher.circuit(HOOK).failures == 10
    world.sender.usual = OK
    await world.crew.advance(60)
    assert world.dispatcher.circuit(HOOK) is None
    assert "pending" not in {world.delivery(f"evt_0{number}").state for number in range(80, 100)}


async def test_a_circuit_that_holds_up_nobody_for_an_hour_is_closed(world):
    """Else it would be counted as open for ever, after its last delivery was exhausted."""
    await open_circuit(world)
    world.apply(schedule=RetrySchedule(()))
    await world.crew.advance(60)
    assert {one.state for one in world.store.deliveries.values()} == {"exhausted"}
    await world.crew.advance(3400)
    assert world.dispatcher.open_circuits == 1
    with capture_logs() as lines:
        await world.crew.advance(300)
        assert (world.dispatcher.open_circuits, world.dispatcher.circuit(HOOK)) == (0, None)
    assert [line["reason"] for line in lines] == ["nobody wanted to go there for an hour"]
    await send(world, number=70)
    assert world.delivery("evt_070").attempts == 1


async def test_redelivering_by_hand_probes_at_once(world):
    """Whoever does it says that the receiver is well again."""
    await send(world, url=HOOK, number=99)
    await open_circuit(world)
    await world.crew.advance(120)
    world.sender.usual = OK
    assert await world.dispatcher.redeliver("evt_099")
    await world.crew.run()
    assert (world.delivery("evt_099").state, world.dispatcher.circuit(HOOK)) == ("delivered", None)
    await world.crew.advance(5)
    assert {one.state for one in world.store.deliveries.values()} == {"delivered"}


async def test_redelivering_where_no_circuit_is_open_changes_nothing_else(world):
    """It is attempted at once."""
    await send(world)
    assert await world.dispatcher.redeliver("evt_01")
    await world.crew.run()
    assert len(world.sender.posts) == 2


async def test_a_test_event_that_arrives_closes_the_circuit(world):
    """The receiver has just shown that it works."""
    await open_circuit(world)
    await owe_many(world, 3, first=50)
    world.sender.usual = OK
    attempt = await world.dispatcher.test(HOOK)
    await world.crew.run()
    assert attempt.outcome == "delivered"
    assert {world.delivery(f"evt_0{number}").state for number in (50, 51, 52)} == {"delivered"}


async def test_only_so_many_failing_urls_are_remembered(world, monkeypatch):
    """Whoever makes up URLs that fail fills no memory, and closes nobody's circuit."""
    monkeypatch.setattr(circuits, "MOST_FAILING", 1)
    await open_circuit(world)
    world.apply(schedule=RetrySchedule((9000.0,)))
    for number in range(20):
        await send(world, url=f"{OTHER}?{number}", number=100 + number)
    assert world.dispatcher.circuit(HOOK) is not None
    assert len(world.dispatcher._circuits._failing) == 1


async def test_of_too_many_open_circuits_the_oldest_is_closed_and_says_so(world, monkeypatch):
    """What it held up goes on."""
    monkeypatch.setattr(circuits, "MOST_FAILING", 1)
    await open_circuit(world)
    await owe_many(world, 1, first=50)
    with capture_logs() as lines:
        await open_circuit(world, OTHER, number=60)
    assert "more than 1 circuits are open" in [line.get("reason") for line in lines]
    assert world.delivery("evt_050").attempts > 0


async def test_a_lone_delivery_keeps_to_its_schedule(world):
    """However short its waits are: it is the probe itself."""
    world.apply(schedule=RetrySchedule((3.0,) * 30))
    world.sender.usual = answered(500)
    await send(world)
    await world.crew.advance(100)
    assert world.dispatcher.circuit(HOOK) is not None
    assert times(world) == [3.0 * number for number in range(31)]


async def test_410_is_no_failure_of_the_receiver(world):
    """It ends a delivery for good, and nothing piles up that a circuit could hold."""
    world.sender.usual = answered(410)
    for number in range(40):
        await send(world, number=100 + number)
        await world.crew.advance(2)
    assert world.dispatcher.circuit(HOOK) is None
    assert len(world.sender.posts) == 40


async def test_open_circuits_are_counted(world):
    """Status shows it."""
    assert world.dispatcher.open_circuits == 0
    await open_circuit(world)
    assert world.dispatcher.open_circuits == 1


async def test_a_rate_of_an_endpoint_is_kept(world):
    """Two a second, two at once: ten take four seconds."""
    endpoints = {HOOK: Receiver((world.policy.receivers.usual.keys[0],), rate=2.0, concurrency=5)}
    world.apply(receivers=Receivers(world.policy.receivers.usual, endpoints))
    await owe_many(world, 10)
    await world.crew.advance(10)
    assert times(world)[:2] == [0.0, 0.0]
    assert 3.9 <= times(world)[-1] <= 4.2
    world.dispatcher.readdress(Receivers(world.policy.receivers.usual))
    await owe_many(world, 5, first=50)
    assert len(times(world)) == 15
