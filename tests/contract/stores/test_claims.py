"""Deliveries of nodes that share a PostgreSQL: each is one node's or nobody's, and no write changes another's."""

import asyncio
import itertools
import random
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import bindparam, event, text
from sqlalchemy.exc import OperationalError

from notifier.adapters.stores import claims, tasks
from notifier.adapters.stores.lessee import OneOfMany
from notifier.adapters.stores.postgres import new_engine
from notifier.domain.delivery import Attempt
from notifier.domain.saving import with_file
from notifier.ports import StoreUnavailableError, Waiting
from tests.contract.stores.building import (
    HOOK,
    Announcer,
    PostgresBackend,
    completed,
    delivered,
    registration,
)
from tests.contract.stores.nodes import bury, open_node
from tests.contract.stores.test_results import Holding, ended, saved
from tests.fake_pool import FakeTenure
from tests.fakes import START
from tests.postgres_server import shared_server

OTHER = "https://other.example/hook"
PAST = datetime(2020, 1, 1, tzinfo=UTC)
"""For a database everywhere."""


@pytest.fixture
def backend(tmp_path):
    backend = PostgresBackend(tmp_path)
    yield backend
    backend.remove()


@pytest.fixture
def url(backend):
    return shared_server().url(backend.name)


@pytest.fixture
async def nodes(url):
    """Two that have room, and one that has none."""
    opened = [await open_node(url, f"node_{n}", room=n != 3) for n in (1, 2, 3)]
    yield opened
    for node in opened:
        await node.close()


async def owed(store, count: int = 1, first: int = 1, to: str = HOOK, at=PAST):
    """Deliveries of that many ended tasks, due `at`, each a moment after the one before."""
    announcer, deliveries = Announcer(), []
    wanted = [registration(n, task=f"vid_{n}", url=to) for n in range(first, first + count)]
    for number, one in enumerate(await store.register(wanted, START, announcer)):
        task = completed(one.task)
        ended = replace(task, end=replace(task.end, at=at + timedelta(microseconds=number)))
        deliveries += await store.end(ended, announcer)
    return deliveries


def tried_until(delivery, seconds: float):
    """One failed attempt, the next one due so many seconds after it."""
    now = START
    settled = replace(delivery, attempts=delivery.attempts + 1, next_attempt_at=now + timedelta(seconds=seconds))
    return settled, Attempt(now, "failed", 500, "HTTP 500", 0.0, "")


async def test_what_is_owed_is_its_nodes_and_nobody_else_claims_it(nodes):
    """The first attempt needs no further transaction."""
    one, two, _ = nodes
    (delivery,) = await owed(one)
    assert delivery.ours
    assert list(await two.claim(100, ())) == []
    assert await one.settle(*delivered(delivery)) == "freed"


async def test_a_node_without_room_owes_what_others_may_claim(nodes):
    """The earliest due first, each once."""
    one, two, full = nodes
    deliveries = await owed(full, 3)
    assert not any(delivery.ours for delivery in deliveries)
    claimed = list(await one.claim(2, ()))
    assert claimed == [Waiting(each.id, HOOK, each.next_attempt_at) for each in deliveries[:2]]
    assert [each.id for each in await two.claim(100, ())] == [deliveries[2].id]
    assert list(await two.claim(100, ())) == []


async def test_crowded_urls_are_left_out(nodes):
    """Whoever has more than enough for a receiver claims for others."""
    one, _, full = nodes
    await owed(full, 2)
    (other,) = await owed(full, 1, first=3, to=OTHER)
    assert [each.id for each in await one.claim(100, {HOOK})] == [other.id]


async def test_what_is_not_due_soon_is_not_claimed(nodes):
    """On the database's clock; two seconds before it is."""
    one, _, full = nodes
    ((now,),) = shared_server().execute("SELECT clock_timestamp()")
    await owed(full, 1, at=now + timedelta(seconds=30))
    (soon,) = await owed(full, 1, first=2, at=now + timedelta(seconds=1))
    assert [each.id for each in await one.claim(100, ())] == [soon.id]


async def test_of_nodes_that_claim_at_once_none_takes_what_another_took(nodes):
    """Together they take everything."""
    one, two, full = nodes
    deliveries = await owed(full, 200)
    claims = await asyncio.gather(*(node.claim(30, ()) for _ in range(10) for node in (one, two)))
    claims += [await one.claim(200, ())]
    taken = [each.id for claim in claims for each in claim]
    assert sorted(taken) == sorted(delivery.id for delivery in deliveries)


@pytest.mark.parametrize(("seconds", "settlement", "claimed"), [(59, "kept", 0), (61, "freed", 1)])
async def test_a_late_retry_is_whoevers_is_free(nodes, url, seconds, settlement, claimed):
    """One within a minute stays with the node that made the attempt."""
    one, two, _ = nodes
    (delivery,) = await owed(one)
    assert await one.settle(*tried_until(delivery, seconds)) == settlement
    assert len(await two.claim(10, ())) == claimed


async def test_a_node_that_slept_settles_nothing_that_others_took_over(nodes, url):
    """Its lease was given to nobody, then to another: neither its attempt counts, nor what it made of the body."""
    one, two, _ = nodes
    (delivery,) = await owed(one)
    bury(url, "node_1")
    assert await two.free_orphans() == 1
    assert await one.settle(*delivered(delivery)) == "lost"
    assert [each.id for each in await two.claim(10, ())] == [delivery.id]
    assert await one.settle(*delivered(delivery)) == "lost"
    task = (await one.subject(delivery.id)).task
    assert not await one.rewrite(replace(delivery, body=b"{}"), task)
    assert await two.delivery(delivery.id) == delivery
    assert await two.settle(*delivered(delivery)) == "freed"
    assert len((await two.delivery_view(delivery.id)).log) == 1


async def test_an_attempt_whose_answer_was_lost_is_known_as_ours(nodes):
    """Asked again, the store says that it was kept, as long as the delivery is still this node's."""
    one, two, _ = nodes
    (delivery,) = await owed(one)
    tried = tried_until(delivery, 5)
    assert await one.settle(*tried) == "kept"
    assert await one.settle(*tried) == "known"
    assert await two.settle(*tried) == "lost"


async def test_what_a_dead_node_was_to_attempt_is_nobodys(nodes, url):
    """Whatever is pending: a node that was killed gives up nothing by itself."""
    one, two, _ = nodes
    deliveries = await owed(one, 3)
    await one.settle(*delivered(deliveries[0]))
    assert await two.free_orphans() == 0
    bury(url, "node_1")
    assert await two.free_orphans() == 2
    assert {each.id for each in await two.claim(10, ())} == {each.id for each in deliveries[1:]}


async def test_strays_are_ours_and_due_for_long(nodes):
    """Whoever does not know of them is told."""
    one, two, _ = nodes
    ((now,),) = shared_server().execute("SELECT clock_timestamp()")
    (old,) = await owed(one, 1)
    await owed(one, 1, first=2, at=now - timedelta(seconds=5))
    assert list(await one.strays()) == [Waiting(old.id, HOOK, PAST)]
    assert list(await two.strays()) == []


async def test_what_a_node_gives_up_is_claimed_by_others(nodes):
    """But for what it has under way, and never what is another's."""
    one, two, full = nodes
    moving, *waiting = await owed(one, 3)
    (others,) = await owed(two, 1, first=4)
    assert await one.give_up({moving.id}) == 2
    assert {each.id for each in await two.claim(10, ())} == {each.id for each in waiting}
    assert await one.settle(*delivered(moving)) == "freed"
    assert await two.settle(*delivered(others)) == "freed"
    assert [await full.give_up(()), await two.give_up(()), await one.give_up(())] == [0, 2, 0]


async def test_more_than_a_statement_has_parameters_may_be_under_way(nodes):
    """65,535 is the most: an outage leaves as many attempts unsaved as there were."""
    one, _, _ = nodes
    (delivery,) = await owed(one)
    under_way = {delivery.id, *(f"evt_{number}" for number in range(70_000))}
    assert await one.give_up(under_way) == 0


async def test_a_redelivery_is_the_nodes_that_was_asked(nodes):
    """Any node can be asked, also for what another attempted; without room it is nobody's."""
    one, two, full = nodes
    first, second = await owed(one, 2)
    await one.settle(*delivered(first))
    await one.settle(*delivered(second))
    again = await two.redeliver(first.id, PAST)
    assert again.ours
    assert await two.settle(*delivered(again)) == "freed"
    assert not (await full.redeliver(second.id, PAST)).ours
    assert [each.id for each in await one.claim(10, ())] == [second.id]


async def test_a_node_that_has_not_joined_owes_for_others(nodes, url):
    """It names nobody, and claims nothing."""
    one, _, full = nodes
    full.lessee = OneOfMany(FakeTenure(None), lambda _: True)
    assert await full.give_up(()) == 0
    (delivery,) = await owed(full)
    assert not delivery.ours
    assert (list(await full.claim(10, ())), list(await full.strays())) == ([], [])
    assert len(await one.claim(10, ())) == 1


async def test_what_is_held_is_nobodys_until_it_is_released(nodes, url):
    """It goes with its task; then it is the node's that released it, or without room whoever's is free."""
    one, two, full = nodes
    holding = Holding()
    _, (first, second), key = await ended(one, holding, registration(1), registration(2, url=OTHER))
    leased = "SELECT count(*) FROM deliveries WHERE leased_by IS NOT NULL"
    assert shared_server().execute(leased, url.rpartition("/")[2]) == [(0,)]
    assert list(await two.claim(10, ())) == []
    released = await one.release(first.id, PAST, holding.retell)
    assert released.ours
    assert await one.settle(*delivered(released)) == "freed"
    task = await full.result(key)
    told = await full.keep(with_file(task, saved(task.end.files[0])), (0,), PAST, holding.retell)
    assert [(each.id == second.id, each.ours) for each in told] == [(False, False), (True, False)]
    assert {each.id for each in await two.claim(10, ())} == {each.id for each in told}


async def test_nothing_is_lost_or_done_twice_whoever_dies_when(url):
    """Nodes owe, claim, attempt and die in the middle, again and again: in the end each delivery was settled once."""
    dice, nodes, names = random.Random(7), {}, (f"node_{n}" for n in itertools.count(1))

    async def born():
        name = next(names)
        nodes[name] = await open_node(url, name, room=dice.random() < 0.5)

    async def act(node, count):
        with suppress(StoreUnavailableError):
            for one in list(await node.claim(count, ())) + list(await node.strays()):
                known = await node.delivery(one.id)
                if known.state == "pending" and dice.random() < 0.8:
                    await node.settle(*(delivered(known) if dice.random() < 0.5 else tried_until(known, 90)))

    everything, made = set(), itertools.count(1)
    for _ in range(3):
        await born()
    for _ in range(12):
        number = next(made)
        owing = nodes[dice.choice(sorted(nodes))]
        everything |= {each.id for each in await owed(owing, 5, first=5 * number)}
        acts = asyncio.gather(*(act(node, dice.randrange(1, 9)) for node in nodes.values()))
        victim = dice.choice(sorted(nodes))
        bury(url, victim)
        dead = nodes.pop(victim)
        await asyncio.gather(acts, dead.close())
        await born()
        await nodes[max(nodes)].free_orphans()
    execute = partial(shared_server().execute, database=url.rpartition("/")[2])
    survivor, *others = nodes.values()
    for other in others:
        await other.close()
    execute("DELETE FROM nodes WHERE id <> '" + survivor.lessee.node + "'")
    execute("UPDATE deliveries SET next_attempt_at = 0 WHERE state = 'pending'")
    await survivor.free_orphans()
    taken = {each.id for each in [*await survivor.claim(1000, ()), *await survivor.strays()]}
    for one in taken:
        assert await survivor.settle(*delivered(await survivor.delivery(one))) == "freed"
    states = dict(execute("SELECT id, state FROM deliveries"))
    assert states == dict.fromkeys(everything, "delivered")
    twice = "SELECT delivery_id FROM attempts WHERE outcome = 'delivered' GROUP BY 1 HAVING count(*) > 1"
    assert execute(twice) == []
    await survivor.close()


@pytest.mark.parametrize(
    ("statement", "params", "searched"),
    [
        (claims._FREE, {"most": 10, "crowded": [HOOK]}, "ix_deliveries_free"),
        (claims._STRAYS, {"node": "node_1"}, "ix_deliveries_leased_by"),
        (claims._ORPHANS, {}, "ix_deliveries_leased_by"),
        (claims._GIVE_UP, {"node": "node_1", "but": ["evt_1"]}, "ix_deliveries_leased_by"),
        (tasks._TOUCHED, {"microseconds": 10**6}, "ix_tasks_touched_at"),
    ],
)
async def test_what_is_asked_every_few_seconds_is_found_by_an_index(nodes, url, statement, params, searched):
    """By its condition: a full store must not be looked through for what is not there."""
    engine = new_engine(url, size=1, begin="BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")

    def explained(connection, cursor, text, *others):
        return text if text.startswith("BEGIN") else f"EXPLAIN {text}", others[0]

    event.listen(engine, "before_cursor_execute", explained, retval=True)
    with engine.begin() as connection:
        result = connection.execute(statement, params)
        plan = " ".join(row[0] for row in result.cursor.fetchall())
    engine.dispose()
    assert searched in plan, plan
    assert "Index Cond" in plan, plan


async def test_however_many_receivers_are_in_trouble(nodes):
    """A statement takes 65,535 parameters, and an outage of the network opens the circuit of every URL."""
    one, _, full = nodes
    (delivery,) = await owed(full)
    crowded = {f"https://app.example.com/{number}" for number in range(70_000)}
    assert list(await one.claim(10, crowded | {HOOK})) == []
    assert [each.id for each in await one.claim(10, crowded)] == [delivery.id]


async def test_however_many_tasks_are_told_of_at_once(nodes):
    """A configuration may declare more watches than a statement takes parameters."""
    one, _, _ = nodes
    ((registered,),) = [await one.register([registration(1)], START, Announcer())]
    before = await one.touched(60)
    keys = range(registered.view.task_key, registered.view.task_key + 70_000)
    await one._writer.write(lambda on: one.herald.tasks(on, keys))
    assert (await one.touched(60)).keys() == before.keys() == {registered.view.task_key}
    assert (await one.touched(60)) != before


async def test_a_statement_that_cannot_be_sent_is_no_outage(nodes):
    """It would be tried again for ever, and an operator would look for a server that is there."""
    one, _, _ = nodes
    many = text("SELECT 1 WHERE 1 IN :keys").bindparams(bindparam("keys", expanding=True))
    with pytest.raises(OperationalError, match="number of parameters"):
        await one._writer.write(lambda on: on.execute(many, {"keys": range(70_000)}))
    await one.ping()
