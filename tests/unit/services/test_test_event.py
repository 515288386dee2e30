"""Trying a receiver out."""


import pytest

from notifier.domain.address import Refusal
from notifier.domain.signature import Valid, verify
from notifier.services.trials import MOST_TRIALS, Crowded
from tests.unit.services.mail import DOWN, HUNG, answered, owe_many, send
from tests.unit.services.world import HOOK, KEY, World


async def test_a_test_event_goes_through_the_same_signer_and_is_not_kept(world):
    """Once, whatever comes of it; no lane, no log, no delivery."""
    attempt = await world.dispatcher.test(HOOK)
    (post,) = world.sender.posts
    assert (attempt.outcome, attempt.http_status, attempt.error) == ("delivered", 204, None)
    assert world.bodies()[0]["type"] == "notifier.test"
    stamp = post.headers["webhook-timestamp"]
    verdict = verify([KEY], "evt_1", stamp, post.headers["webhook-signature"], post.body, now=int(stamp))
    assert verdict == Valid()
    assert (world.store.deliveries, world.store.writes, world.alarms.rung) == ({}, [], [])


@pytest.mark.parametrize(
    ("receipt", "error"),
    [
        (DOWN, "connection refused"),
        (answered(500), "HTTP 500"),
        (answered(410), "HTTP 410"),
        (answered(302), "HTTP 302; redirects are not followed"),
        (answered(429, 7.0), "HTTP 429"),
    ],
)
async def test_a_test_event_that_fails_says_how_and_is_not_retried(world, receipt, error):
    """Its outcome is delivered or failed, nothing between."""
    world.sender.script(HOOK, receipt)
    attempt = await world.dispatcher.test(HOOK)
    assert (attempt.outcome, attempt.error, attempt.duration) == ("failed", error, 0.1)
    await world.crew.advance(1000)
    assert len(world.sender.posts) == 1


async def test_a_test_event_to_a_forbidden_url_is_refused(world):
    """By the same guard as watches; nothing goes out."""
    refusal = world.guard.refused[HOOK] = Refusal("private", "10.0.0.1 is private")
    assert await world.dispatcher.test(HOOK) == refusal
    assert world.sender.posts == []


async def test_a_reload_brings_the_guard_and_the_sender_of_the_new_settings(world):
    """Both come with the policy."""
    other = World()
    other.guard.refused[HOOK] = Refusal("private", "no more")
    world.dispatcher.configure(world.policy, other.sender, other.guard)
    await send(world)
    assert (len(world.sender.posts), len(other.sender.posts)) == (0, 1)
    assert isinstance(await world.dispatcher.test(HOOK), Refusal)




async def test_only_so_many_test_events_are_in_flight(world):
    """They stand in no lane: a few to one host, some in all; the others are told to come again."""
    world.sender.hold()
    world.apply(per_host=2)
    for host in range(20):
        for _ in range(3):
            world.crew.spawn(_try(world, f"https://host-{host}.example/"))
    await world.crew.run()
    assert world.sender.in_flight == MOST_TRIALS
    assert await world.dispatcher.test("https://host-0.example/other") == Crowded()
    world.sender.release()
    await world.crew.run()
    assert (await world.dispatcher.test(HOOK)).outcome == "delivered"
    assert not world.dispatcher._trials._in_flight


async def _try(world, url):
    await world.dispatcher.test(url)


async def test_a_test_event_teaches_which_hosts_hang(world):
    """As an attempt does."""
    world.sender.script(HOOK, HUNG)
    await world.dispatcher.test(HOOK)
    world.sender.hold()
    await owe_many(world, 20)
    assert world.sender.in_flight == 1
