"""Deliveries among many nodes: each is attempted by the node whose it is, and what is nobody's by whoever is free."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.domain.delivery import Answered, RetrySchedule
from notifier.ports import Waiting
from notifier.services.claims import MOST_AT_ONCE, Claims
from notifier.services.custody import MOST_AT_ONE_URL, MOST_MOVING, SOON_AT_ONE_HOST, Custody, Vacancy
from tests.fake_pool import FakeTenure, SharedStore
from tests.fakes import FakeClock
from tests.unit.services.mail import DOWN, HUNG, OK, OTHER, times
from tests.unit.services.world import HOOK, POLICY, World


class Node(World):
    """One node of several. `tenure` and `store` are told what the others do."""

    tenure: FakeTenure
    store: SharedStore

    def __init__(self, policy=POLICY) -> None:
        clock, tenure = FakeClock(), FakeTenure()
        super().__init__(
            policy=policy, store=SharedStore(tenure, clock), clock=clock, tenure=tenure, custody=Custody()
        )
        self.claims = Claims(pool=self.store, dispatcher=self.dispatcher, tenure=tenure)

    async def owes(self, node: str | None = "node_1", url: str = HOOK, number: int = 1):
        return self.store.owed_by(await self.owed(url, number=number), node)

    async def sends(self, *receipts, url: str = HOOK, number: int = 1) -> None:
        """Its own delivery, to a receiver that says this."""
        self.sender.script(url, *receipts)
        self.dispatcher.accept([await self.owes("node_1", url, number)])
        await self.crew.run()

    async def seconds(self, count: int) -> None:
        """Time passes as the daemon spends it: claims each second, a recovery each ten."""
        for second in range(1, count + 1):
            await self.crew.advance(1)
            await self.claims.claim()
            if second % 10 == 0:
                await self.claims.recover()
            await self.crew.run()


@pytest.fixture
async def node():
    node = Node()
    yield node
    await node.crew.aclose()


async def test_what_is_nobodys_is_claimed_and_attempted(node):
    """Within a second; what is another node's is left to it."""
    await node.owes(None)
    await node.owes("node_2", OTHER, 2)
    await node.seconds(12)
    assert (times(node), times(node, OTHER)) == ([1], [])
    assert node.delivery("evt_01").state == "delivered"


async def test_what_is_owed_without_room_waits_for_whoever_is_free(node):
    """It was written down as nobody's, so it is not attempted here but claimed; the event is counted once."""
    node.dispatcher.accept([await node.owes(None)])
    await node.crew.run()
    assert times(node) == []
    await node.seconds(1)
    assert (times(node), node.meter.events) == ([1], ["task.completed"])


async def test_what_is_due_in_a_moment_is_claimed_before_and_starts_on_time(node):
    """Even if this node's clock is behind: two seconds after the claim at the latest."""
    delivery = await node.owes(None)
    node.store.deliveries["evt_01"] = replace(delivery, next_attempt_at=node.clock.now() + timedelta(seconds=2.5))
    await node.seconds(1)
    assert times(node) == []
    await node.seconds(2)
    assert times(node) == [2.5]
    node.dispatcher.take([Waiting("evt_02", OTHER, node.clock.now() + timedelta(hours=1))])
    node.store.owed_by(await node.owed(OTHER, number=2), "node_1")
    await node.crew.advance(2)
    assert times(node, OTHER) == [5]


async def test_a_retry_soon_is_kept_and_a_late_one_is_given_up(node):
    """Then whoever is free claims it, here this node again."""
    node.apply(schedule=RetrySchedule((60.0, 61.0)))
    await node.sends(DOWN, DOWN, OK)
    assert node.store.leases == {"evt_01": "node_1"}
    assert "evt_01" in node.custody
    await node.crew.advance(60)
    assert node.store.leases == {}
    assert "evt_01" not in node.custody
    await node.seconds(62)
    assert times(node)[2] == pytest.approx(121)
    assert node.delivery("evt_01").state == "delivered"


async def test_what_is_settled_takes_no_room_any_more(node):
    """Delivered, exhausted or gone."""
    node.apply(schedule=RetrySchedule(()))
    await node.sends(OK)
    await node.sends(DOWN, number=2)
    await node.sends(Answered(410, None, "", 0.1), number=3)
    assert node.dispatcher.vacancy().room == MOST_MOVING


async def test_what_is_gone_or_was_settled_elsewhere_is_forgotten(node):
    """When its turn comes the store says so."""
    node.dispatcher.take([Waiting("evt_99", HOOK, node.clock.now())])
    await node.crew.run()
    assert (times(node), node.dispatcher.vacancy().room) == ([], MOST_MOVING)


async def test_an_attempt_that_is_not_ours_any_more_is_not_repeated(node):
    """Another node took over while the receiver thought: it makes the next attempt."""
    node.sender.hold()
    await node.sends(DOWN)
    node.store.leases["evt_01"] = "node_2"
    node.sender.release()
    await node.seconds(100)
    assert (len(times(node)), node.delivery("evt_01").attempts) == (1, 0)
    assert node.dispatcher.vacancy().room == MOST_MOVING


async def test_an_answer_that_was_lost_leaves_the_next_attempt_to_us(node):
    """The attempt had been kept; asked again, the store knows it as ours."""
    node.sender.script(HOOK, DOWN)
    delivery = await node.owes()
    node.dispatcher.accept([delivery])
    settle = SharedStore.settle

    async def settle_and_fail(settled, attempt):
        await settle(node.store, settled, attempt)
        del node.store.settle
        node.store.fail(1)
        return await settle(node.store, settled, attempt)

    node.store.settle = settle_and_fail
    await node.crew.advance(6)
    assert (times(node), node.delivery("evt_01").state) == ([0, 5], "delivered")
    assert len(node.store.logs["evt_01"]) == 2


# While a lease does not hold


async def test_nothing_is_attempted_or_claimed_while_the_lease_does_not_hold(node):
    """It waits in memory; when the database answers again, it goes on by itself. That is no fault of ours."""
    node.tenure.holding = False
    await node.owes(None, OTHER, 2)
    await node.sends()
    await node.seconds(11)
    assert (times(node), times(node, OTHER), node.store.claims) == ([], [], [])
    assert node.alarms.rung == []  # however many wait, one call for later is enough
    assert not node.dispatcher.stuck()
    node.tenure.holding = True
    await node.seconds(2)
    assert (len(times(node)), len(times(node, OTHER))) == (1, 1)


async def test_a_store_that_answers_after_the_lease_has_lapsed_starts_no_attempt(node):
    """The lease held when the turn began; the delivery is looked at again in a second."""
    await node.owes()
    read = node.store.delivery

    async def lapse(delivery_id):
        node.tenure.holding = False
        return await read(delivery_id)

    node.store.delivery = lapse
    node.dispatcher.take([Waiting("evt_01", HOOK, node.clock.now())])
    await node.crew.run()
    assert times(node) == []
    node.store.delivery = read
    node.tenure.holding = True
    await node.crew.advance(1)
    assert times(node) == [1]


async def test_a_node_that_has_not_joined_claims_nothing(node):
    """And whoever was buried while it claimed keeps nothing of that: it is another life's."""
    node.tenure.node = None
    await node.owes(None)
    await node.seconds(10)
    assert node.store.claims == []
    node.tenure.node = "node_1"
    claim, strays = node.store.claim, node.store.strays

    async def buried(*asked):
        claimed = await (claim(*asked) if asked else strays())
        node.tenure.node = "node_3"
        return claimed

    node.store.claim, node.store.strays = buried, buried
    await node.claims.claim()
    node.tenure.node = "node_1"
    await node.crew.advance(20)
    await node.claims.recover()
    await node.crew.run()
    assert times(node) == []


# Buried


async def test_a_buried_node_forgets_every_delivery(node):
    """Those in line, those with an alarm, and attempts that were not saved: others make them, and settle them."""
    await node.sends(DOWN)
    node.store.fail(1)
    await node.sends(DOWN, url=OTHER, number=2)
    node.apply(per_host=1)
    node.sender.hold()
    third = "https://third.example/hook"
    node.dispatcher.accept([await node.owes("node_1", third, 3), await node.owes("node_1", third, 4)])
    await node.crew.run()
    node.dispatcher.disown()
    node.store.leases = dict.fromkeys(node.store.leases, "node_2")
    node.sender.release()
    await node.crew.advance(200)
    assert [len(times(node, url)) for url in (HOOK, OTHER, third)] == [1, 1, 1]
    assert node.store.logs.keys() == {"evt_01"}


async def test_a_node_that_joins_again_attempts_what_it_claims_again(node):
    """Although it was in line, in another life."""
    node.tenure.holding = False
    await node.sends()
    node.dispatcher.disown()
    node.store.leases.clear()
    node.tenure.node, node.tenure.holding = "node_3", True
    await node.seconds(2)
    assert (len(times(node)), node.delivery("evt_01").state) == (1, "delivered")


async def test_an_attempt_of_another_life_that_cannot_be_saved_is_not_kept(node):
    """Whoever took over attempts it again."""
    node.sender.hold()
    await node.sends(DOWN)
    node.dispatcher.disown()
    node.store.down = True
    node.sender.release()
    await node.crew.run()
    node.store.down = False
    await node.crew.advance(100)
    assert (len(times(node)), node.store.logs) == (1, {})


async def test_fresh_urls_of_another_life_are_not_sent(node):
    """The delivery was being made anew when this node was buried."""
    await node.owes()
    late = node.delivery("evt_01")
    node.dispatcher._tray.keep_refreshed(late)
    node.dispatcher.due("evt_01", HOOK)
    assert node.dispatcher._tray.refreshed("evt_01") is None


# What memory cannot know


async def test_a_delivery_that_is_ours_without_our_knowing_is_found(node):
    """The answer to the write that made it ours was lost; ten seconds later it is attempted."""
    await node.owes()
    await node.seconds(20)
    assert len(times(node)) == 1


async def test_strays_that_are_known_are_not_disturbed(node):
    """They wait in a lane of their own, or have their alarms."""
    node.sender.hold()
    await node.sends()
    await node.seconds(20)
    assert node.dispatcher._lanes.busy == 1
    node.sender.release()
    await node.seconds(20)
    assert len(times(node)) == 1


async def test_deliveries_of_a_node_that_is_gone_are_nobodys(node):
    """Its lease was written after it was buried, perhaps: ten seconds later somebody attempts it."""
    await node.owes("node_dead")
    await node.seconds(11)
    assert times(node) == [11]


async def test_a_database_that_is_away_is_asked_again(node):
    """Neither a claim nor a recovery fails."""
    await node.owes(None)
    node.store.down = True
    await node.seconds(10)
    node.store.down = False
    await node.seconds(1)
    assert times(node) == [11]


# The stop


async def stops(node) -> None:
    node.dispatcher.close()
    await node.claims.give_up()
    await node.crew.run()


async def test_what_waits_at_the_stop_is_for_others(node):
    """For its turn or for another attempt; the attempt in flight is finished and counts."""
    node.apply(per_host=1)
    await node.sends(DOWN, url=OTHER, number=3)
    node.sender.hold()
    await node.sends()
    await node.sends(number=2)
    await node.owes("node_2", "https://third.example/", 4)
    await stops(node)
    assert node.store.leases == {"evt_01": "node_1", "evt_04": "node_2"}
    node.sender.release()
    await node.crew.run()
    assert (len(times(node)), node.delivery("evt_01").state) == (1, "delivered")


async def test_an_attempt_that_fails_during_the_stop_leaves_the_next_one_to_others(node):
    """It is soon, so this node would have made it: now it gives the delivery up with the next look."""
    node.sender.hold()
    await node.sends(DOWN)
    await stops(node)
    node.sender.release()
    await node.crew.run()
    assert (node.store.leases, node.delivery("evt_01").attempts) == ({"evt_01": "node_1"}, 1)
    await stops(node)
    assert node.store.leases == {}


async def test_what_is_not_saved_at_the_stop_is_not_given_up(node):
    """Others would make the same attempt again, and it could not be saved any more."""
    node.store.fail(1)
    await node.sends()
    await stops(node)
    assert node.store.leases == {"evt_01": "node_1"}
    await node.dispatcher.flush()
    assert node.delivery("evt_01").state == "delivered"


async def test_a_stop_without_the_database_gives_up_nothing(node):
    """It is no fault, and tried again."""
    await node.sends(DOWN)
    node.store.down = True
    await stops(node)
    assert node.store.leases == {"evt_01": "node_1"}
    node.store.down = False
    await stops(node)
    assert node.store.leases == {}


# Room


async def test_no_more_is_claimed_than_there_is_room_for(node):
    """A node whose memory is full leaves the rest to others."""
    node.tenure.holding = False
    for number in range(MOST_MOVING):
        node.custody.keep(f"evt_{number}", f"https://{number}.example/")
    node.tenure.holding = True
    assert not node.custody.takes(HOOK)
    await node.claims.claim()
    assert node.store.claims == []
    node.custody.drop("evt_0")
    node.custody.drop("evt_0")
    await node.claims.claim()
    node.custody.clear()
    await node.claims.claim()
    assert node.store.claims == [(1, set()), (MOST_AT_ONCE, set())]


async def test_a_crowded_receiver_takes_no_room_from_others(node):
    """So much as it has waiting here is enough; the rest stays in the store."""
    for number in range(MOST_AT_ONE_URL):
        assert node.custody.takes(HOOK)
        node.custody.keep(f"evt_{number}", HOOK)
        node.custody.keep(f"evt_{number}", HOOK)
    assert not node.custody.takes(HOOK)
    assert node.custody.takes(OTHER)
    vacancy = node.dispatcher.vacancy()
    assert (vacancy.room, set(vacancy.crowded)) == (MOST_MOVING, {HOOK})
    node.custody.keep("evt_more", HOOK)
    node.custody.drop("evt_more")
    node.custody.drop("evt_0")
    assert node.dispatcher.vacancy() == Vacancy(MOST_MOVING - SOON_AT_ONE_HOST, frozenset())


async def test_a_slow_host_with_several_urls_takes_no_room_from_others(node):
    """None of its URLs is crowded, and together they have more waiting than there is room for: it is counted for as
    many as may go to it soon, so what others are owed starts at once, whether it is claimed or owed here."""
    for number in range(MOST_MOVING + 300):
        node.custody.keep(f"evt_slow_{number}", f"https://slow.example/{number % 12}")
    assert node.custody.takes(OTHER)
    await node.owes(None, OTHER)
    await node.seconds(1)
    assert times(node, OTHER) == [1]


async def test_where_many_hosts_are_behind_room_is_for_those_that_are_not(node):
    """A full node takes no more for URLs that have as much as can go soon; they count again when some went."""
    behind = [f"https://{number}.example/" for number in range(MOST_MOVING // SOON_AT_ONE_HOST)]
    for number in range(MOST_MOVING):
        node.custody.keep(f"evt_{number}", behind[number % len(behind)])
    assert not node.custody.takes(OTHER)
    assert node.dispatcher.vacancy() == Vacancy(MOST_MOVING, frozenset(behind))
    assert [node.custody.takes(url) for url in (OTHER, behind[0])] == [True, False]
    node.custody.drop("evt_0")
    assert node.dispatcher.vacancy() == Vacancy(1, frozenset())
    assert node.custody.takes(behind[0])


async def test_a_host_makes_room_when_little_of_it_is_left(node):
    """Before, the next one of its own moves up. How many go soon follows from how many may go at once."""
    node.apply(per_host=1)
    node.dispatcher.vacancy()
    for number in range(3 * (MOST_MOVING // 2)):
        node.custody.keep(f"evt_{number}", f"https://{number % (MOST_MOVING // 2)}.example/{number % 2}")
    assert not node.custody.takes(OTHER)
    node.custody.drop("evt_0")
    assert not node.custody.takes(OTHER)
    node.custody.drop(f"evt_{MOST_MOVING // 2}")
    assert node.custody.takes(OTHER)


async def test_one_delivery_is_enough_for_a_receiver_that_is_left_alone(node):
    """It is the probe; others that nobody has yet stay where they are."""
    node.apply(schedule=RetrySchedule((5.0,) * 30))
    await node.sends(*[HUNG] * 30)
    await node.seconds(90)
    assert node.dispatcher.circuit(HOOK) is not None
    assert set(node.dispatcher.vacancy().crowded) == {HOOK}


async def test_a_daemon_alone_has_everything_and_claims_nothing():
    """Its custody knows of no room, and forgets nothing."""
    world = World()
    assert world.dispatcher.vacancy().room == 0
    world.dispatcher.accept([await world.owed()])
    world.dispatcher.disown()
    await world.crew.run()
    assert len(times(world)) == 1
