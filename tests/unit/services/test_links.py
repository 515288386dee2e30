"""Events link to saved files where receivers can reach the intake."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from notifier.domain.answer import Completed
from notifier.domain.freshness import Freshness
from notifier.domain.link import Links, link_key, verify_link
from tests.unit.services.mail import DOWN
from tests.unit.services.world import HOOK, KEY, World

DONE = Completed("completed", ("https://cdn.example/1.mp4",), "{}")
LINKS = Links("https://notifier.example.com", 60.0, (link_key(KEY),))


MONTH = 30 * 86_400.0


def expires(body):
    """When the link in an event ends (a Unix time)."""
    return int(parse_qs(urlsplit(body["data"]["files"][0]["link"]).query)["expires"][0])


@pytest.fixture
async def world():
    world = World()
    world.archive()
    yield world
    await world.crew.aclose()


async def test_the_event_that_waited_for_its_files_has_links(world):
    """Made when it is released, not when it was held: their time begins with it. Its id and the secret of webhooks
    decide nothing else."""
    world.apply(links=LINKS)
    world.files.hold()
    await world.told("vid_1", DONE)
    await world.crew.advance(30)
    released = world.clock.now()
    world.files.release()
    await world.crew.run()
    (body,) = world.bodies()
    link = urlsplit(body["data"]["files"][0]["link"])
    query = parse_qs(link.query)
    assert link.path == "/v1/watches/wch_1/files/0"
    assert int(query["expires"][0]) == int(released.timestamp()) + 60
    proof = (query["expires"][0], query["signature"][0])
    assert verify_link(LINKS.keys, "wch_1", "0", *proof, now=released) == "valid"


async def test_without_a_public_url_there_are_no_links(world):
    """Nobody would know where they lead."""
    await world.told("vid_1", DONE)
    await world.crew.run()
    assert "link" not in world.bodies()[0]["data"]["files"][0]


async def test_an_event_with_fresh_urls_keeps_its_links(world):
    """They are made anew with its body."""
    world.apply(links=LINKS, freshness=Freshness(3600.0, margin=15.0))
    await world.told("vid_1", DONE, DONE)
    await world.crew.advance(7200)
    assert await world.dispatcher.redeliver("evt_1")
    await world.crew.run()
    first, second = world.bodies()
    assert expires(second) == expires(first) + 7200
    assert second["data"]["refreshed_at"] is not None


async def test_no_dead_link_is_delivered_again(world):
    """A link that ended, or may end before the attempt is over, is made anew; its provider is not asked for that, and
    the store keeps what was sent."""
    world.apply(links=LINKS)
    await world.told("vid_1", DONE)
    await world.crew.advance(MONTH)
    assert await world.dispatcher.redeliver("evt_1")
    await world.crew.run()
    await world.crew.advance(60 - 15)
    assert await world.dispatcher.redeliver("evt_1")
    await world.crew.run()
    first, second, third = world.bodies()
    assert (expires(second), expires(third)) == (expires(first) + MONTH, expires(first) + MONTH + 45)
    assert len(world.provider.asked) == 1
    assert world.delivery().body == world.sender.posts[-1].body


async def test_a_young_link_is_delivered_again_as_it_was(world):
    """The same bytes, whatever became of other events."""
    world.apply(links=LINKS)
    await world.told("vid_1", DONE)
    await world.crew.advance(44)
    assert await world.dispatcher.redeliver("evt_1")
    await world.crew.run()
    first, second = world.sender.posts
    assert first.body == second.body


async def test_a_retry_has_links_that_live(world):
    """A schedule may be longer than a link's life."""
    world.apply(links=LINKS)
    world.sender.script(HOOK, DOWN, DOWN, DOWN)
    await world.told("vid_1", DONE)
    for _ in range(200):
        await world.crew.advance(1)
    assert len(world.sender.posts) == 4
    left = [expires(body) - post.at.timestamp() for body, post in zip(world.bodies(), world.sender.posts, strict=True)]
    assert min(left) > 15


async def test_links_of_results_that_have_no_urls_are_made_anew(world):
    """There is nothing to ask the provider for: it offers its results for download only."""
    world.apply(links=LINKS, freshness=Freshness(3600.0, margin=15.0))
    done = Completed("completed", (), "{}", downloads=("https://api.example/v1/content",), final=True)
    await world.told("vid_1", done)
    await world.crew.advance(MONTH)
    assert await world.dispatcher.redeliver("evt_1")
    await world.crew.run()
    first, second = world.bodies()
    assert expires(second) == expires(first) + MONTH
    assert len(world.provider.asked) == 1


async def test_links_that_are_shorter_than_an_attempt_ask_nobody(world):
    """They are made anew before each attempt, once."""
    world.apply(links=replace(LINKS, lifetime=10.0), freshness=Freshness(3600.0, margin=15.0))
    await world.told("vid_1", DONE)
    await world.crew.advance(20)
    assert len(world.sender.posts) == 1
    assert len(world.provider.asked) == 1
