"""Two daemons on one PostgreSQL, each with its own connections and threads: whatever they do at the same moment, no
watch is lost, none is told twice, and nobody hears of a deadlock."""

import asyncio
import random
import threading
from collections import Counter

import pytest

from notifier.adapters.stores import deliveries, watches
from notifier.adapters.stores.lessee import SOLE
from tests.contract.stores.building import (
    T0,
    PostgresBackend,
    at,
    completed,
    declaration,
    delivered,
    failed,
    nothing_known,
    registration,
    watch_id,
)
from tests.contract.stores.test_endpoints import endpoint
from tests.postgres_server import shared_server

TASKS = 6
URLS = 2
ROUNDS = 60
STATES = """
    SELECT t.key, t.state, count(w.seq) FILTER (WHERE w.state = 'watching') FROM tasks t
    LEFT JOIN watches w ON w.task_key = t.key GROUP BY t.key"""
BLOCKED = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname LIKE 'test_%'"
UNTOLD = """
    SELECT w.id, w.state FROM watches w WHERE w.state IN ('completed', 'failed', 'abandoned')
    AND (SELECT count(*) FROM deliveries d WHERE d.watch_id = w.id) <> 1"""


@pytest.fixture
async def two(tmp_path):
    """Two stores on one database, and a way to ask it."""
    backend = PostgresBackend(tmp_path)
    stores = [await backend.open(), await backend.open()]
    yield *stores, lambda statement: shared_server().execute(statement, backend.name)
    for store in stores:
        await store.close()
    backend.remove()


def task(number):
    return f"vid_{number}"


async def test_both_register_the_same_watches_at_once(two, announcer):
    """In opposite orders, so that each waits for what the other has: one of them makes each watch, the other finds it;
    both are told the same."""
    one, other, ask = two
    wishes = [registration(n, task(n)) for n in range(300)]
    again = [registration(1000 + n, task(n)) for n in reversed(range(300))]
    ours, theirs = await asyncio.gather(one.register(wishes, T0, announcer), other.register(again, T0, announcer))
    created = [first.created + second.created for first, second in zip(ours, reversed(theirs), strict=True)]
    assert created == [1] * 300
    assert [each.view.watch.id for each in ours] == [each.view.watch.id for each in reversed(theirs)]
    assert ask("SELECT count(*) FROM tasks") == [(300,)]


async def test_single_registrations_of_both_share_transactions_and_collide(two, announcer):
    """Group commit holds many rows at once: what deadlocks is made one by one."""
    one, other, ask = two
    wishes = [one.register([registration(n, task(n))], T0, announcer) for n in range(100)]
    wishes += [other.register([registration(1000 + n, task(n))], T0, announcer) for n in reversed(range(100))]
    results = await asyncio.gather(*wishes)
    assert sum(result.created for (result,) in results) == 100
    assert ask("SELECT count(*) FROM watches") == [(100,)]


async def test_both_declare_the_same_configuration_at_once(two, announcer):
    """As nodes do that start together."""
    one, other, _ = two
    configuration = [declaration(n, task(n)) for n in range(50)]
    same = [declaration(1000 + n, task(n)) for n in range(50)]
    told = await asyncio.gather(
        one.declare(configuration, T0, announcer, nothing_known), other.declare(same, T0, announcer, nothing_known)
    )
    assert sum(len(each.added) for each in told) == 50
    assert sum(each.cancelled for each in told) == 0


async def test_both_register_the_same_endpoint_at_once(two):
    """Whichever comes first has the URL, and both are told so."""
    one, other, _ = two
    for number in range(20):
        url = f"https://app.example.com/{number}"
        kept = await asyncio.gather(
            one.add_endpoint(endpoint(number, url)), other.add_endpoint(endpoint(100 + number, url))
        )
        assert kept[0] == kept[1]


async def test_an_end_and_a_registration_do_not_pass_each_other(two, announcer):
    """A watch that is registered while its task ends is told: with the others, or at once."""
    one, other, ask = two
    for number in range(40):
        (first,) = await one.register([registration(number, task(number))], T0, announcer)
        late = registration(1000 + number, task(number), "https://app.example.com/late")
        _, (second,) = await asyncio.gather(
            one.end(completed(first.task), announcer), other.register([late], T0, announcer)
        )
        assert second.created
    assert ask("SELECT state, count(*) FROM watches GROUP BY state") == [("completed", 80)]
    assert ask(UNTOLD) == []


async def while_it_holds(ask, store, work, rival):
    """Both results, of which the first was not committed before the second one waited for it."""
    held, done = threading.Event(), threading.Event()

    def and_wait(connection):
        result = work(connection)
        held.set()
        done.wait(10)
        return result

    holding = asyncio.create_task(store._writer.write(and_wait))
    await asyncio.to_thread(held.wait, 10)
    waiting = asyncio.create_task(rival)
    try:
        while not waiting.done() and ask(BLOCKED) == []:
            await asyncio.sleep(0.01)
    finally:
        done.set()
    return await asyncio.gather(holding, waiting)


async def test_an_undeclared_watch_takes_nobodys_task_away(two, announcer):
    """While one daemon's new configuration drops the last watch of a task, another one registers it: it is polled."""
    one, other, ask = two
    await one.declare([declaration(1)], T0, announcer, nothing_known)
    late = registration(2, url="https://app.example.com/late")
    await while_it_holds(
        ask,
        other,
        lambda on: watches.register(on, [watches.Wanted([late], T0, announcer)], {}, lessee=SOLE),
        one.declare([], T0, announcer, nothing_known),
    )
    assert ask(STATES) == [(1, "watching", 1)]


async def test_a_redelivery_is_not_cleaned_away(two, announcer):
    """Old watches are deleted while one of their deliveries is made pending again: it stays, or there was none."""
    one, other, ask = two
    made = await one.register([registration(n, task(n)) for n in range(2)], T0, announcer)
    owed = [(await one.end(completed(each.task), announcer))[0] for each in made]
    for each in owed:
        await one.settle(*delivered(each))
    again, cleaned = await while_it_holds(
        ask, other, lambda on: deliveries.redeliver(on, owed[0].id, at(200), SOLE), one.clean(at(100))
    )
    assert again.state == "pending"
    assert cleaned == 1
    assert ask("SELECT id, state FROM deliveries") == [(owed[0].id, "pending")]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_both_do_at_once(two, announcer, seed):
    """Registrations, cancellations, declarations, ends, deadlines and retention, at random and all at the same time."""
    one, other, ask = two
    chance = random.Random(seed)
    numbers = iter(range(1, 100_000))
    known = {}

    async def act(store):
        names = [task(chance.randrange(TASKS)) for _ in range(chance.randint(1, TASKS))]
        urls = [f"https://app.example.com/{chance.randrange(URLS)}" for _ in names]
        match chance.choice(["register"] * 4 + ["cancel", "declare", "end", "end", "expire", "clean", "save"]):
            case "register":
                wanted = [registration(next(numbers), *each) for each in zip(names, urls, strict=True)]
                for result in await store.register(wanted, T0, announcer):
                    if result.task is not None:
                        known[result.task.key] = result.task
            case "declare":
                wanted = [declaration(next(numbers), *each) for each in zip(names, urls, strict=True)]
                for each in (await store.declare(wanted, T0, announcer, nothing_known)).tasks:
                    known[each.key] = each
            case "cancel":
                await store.cancel(watch_id(chance.randint(1, 500)), at(5), nothing_known)
            case "clean":
                await store.clean(at(1000))
            case what if known:
                chosen = chance.choice(list(known.values()))
                if what == "save":
                    await store.save([chosen])
                elif what == "end":
                    await store.end(chance.choice([completed, failed])(chosen), announcer)
                else:
                    await store.expire(chosen, at(chance.choice([10, 100_000])), announcer)

    for _ in range(ROUNDS):
        await asyncio.gather(*(act(store) for store in (one, other) for _ in range(4)))
    for key, state, watchers in ask(STATES):
        assert (watchers > 0) is (state == "watching"), (key, state, watchers)
    assert ask(UNTOLD) == []
    twice = Counter(ask("SELECT task_key, callback_url FROM watches WHERE state <> 'cancelled'"))
    assert [each for each, count in twice.items() if count > 1] == []
