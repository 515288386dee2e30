"""DeliveryStore: every attempt is kept once, and what is owed is found again."""

import asyncio
from dataclasses import replace

import pytest

from notifier.ports import Waiting
from tests.contract.stores.building import HOOK, T0, Announcer, at, completed, delivered, registration, tried


async def owed(store, count: int = 1):
    """Deliveries of that many ended tasks, due one second after the other."""
    announcer = Announcer()
    wanted = [registration(n, task=f"vid_{n}") for n in range(1, count + 1)]
    registered = await store.register(wanted, T0, announcer)
    ends = [await store.end(completed(result.task, n), announcer) for n, result in enumerate(registered, start=1)]
    return [delivery for end in ends for delivery in end]


async def test_waiting_names_every_pending_delivery_the_earliest_first(store):
    """What was delivered or is exhausted does not wait; what was put off waits at its new place."""
    one, two, three, four, five = await owed(store, 5)
    await store.settle(*tried(one, next_attempt_at=at(50)))
    await store.settle(*delivered(two))
    await store.settle(*tried(three, state="exhausted", reason="schedule", next_attempt_at=None))
    assert list(await store.waiting()) == [
        Waiting(four.id, HOOK, at(4)),
        Waiting(five.id, HOOK, at(5)),
        Waiting(one.id, HOOK, at(50)),
    ]


async def test_an_attempt_and_what_it_made_of_the_delivery_are_kept(backend):
    """Both are there when the store is opened again, every value as it was."""
    store = await backend.open()
    (delivery,) = await owed(store)
    settled, attempt = tried(delivery, deferrals=3)
    assert await store.settle(settled, attempt) == "kept"
    await store.close()
    store = await backend.open()
    assert await store.delivery(delivery.id) == settled
    view = await store.delivery_view(delivery.id)
    assert (view.delivery, view.log) == (settled, (attempt,))
    await store.close()


async def test_an_attempt_is_kept_once(store):
    """The same attempt again, or one that does not follow the last, changes nothing."""
    (delivery,) = await owed(store)
    first, attempt = tried(delivery)
    assert await store.settle(first, attempt) == "kept"
    assert await store.settle(*delivered(delivery)) == "known"
    assert await store.settle(replace(first, attempts=3), attempt) == "lost"
    assert await store.delivery(delivery.id) == first
    assert len((await store.delivery_view(delivery.id)).log) == 1


async def test_of_many_that_settle_one_attempt_one_wins(store):
    """Compare-and-set on the number of attempts."""
    (delivery,) = await owed(store)
    won = await asyncio.gather(*(store.settle(*tried(delivery)) for _ in range(20)))
    assert sorted(won) == ["kept"] + ["known"] * 19
    assert len((await store.delivery_view(delivery.id)).log) == 1


async def test_settling_what_is_gone(store):
    """A delivery that retention has deleted is no error."""
    (delivery,) = await owed(store)
    assert await store.settle(*tried(replace(delivery, id="evt_unknown"))) == "lost"


async def test_a_delivery_that_does_not_exist(store):
    """None, wherever it is asked for."""
    assert await store.delivery("evt_unknown") is None
    assert await store.redeliver("evt_unknown", T0) is None


@pytest.mark.parametrize("state", ["delivered", "exhausted"])
async def test_redelivering_makes_it_pending_again(store, state):
    """The same event with the same body, due now, with a fresh schedule; its attempts go on counting."""
    (delivery,) = await owed(store)
    over, attempt = tried(delivery, state=state, reason="gone" if state == "exhausted" else None, next_attempt_at=None)
    await store.settle(replace(over, failures=1, deferrals=2), attempt)
    again = await store.redeliver(delivery.id, at(500))
    assert again == replace(delivery, attempts=1, next_attempt_at=at(500))
    assert await store.delivery(delivery.id) == again
    assert list(await store.waiting()) == [Waiting(delivery.id, HOOK, at(500))]
    assert await store.settle(*delivered(again)) == "kept"
    assert len((await store.delivery_view(delivery.id)).log) == 2


async def test_a_pending_delivery_is_not_redelivered(store):
    """It is due anyway; nothing of it changes."""
    (delivery,) = await owed(store)
    assert await store.redeliver(delivery.id, at(500)) is None
    assert await store.delivery(delivery.id) == delivery
