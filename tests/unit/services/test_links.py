"""Events link to saved files where receivers can reach the intake."""

from urllib.parse import parse_qs, urlsplit

import pytest

from notifier.domain.answer import Completed
from notifier.domain.link import Links, link_key, verify_link
from tests.unit.services.world import KEY, World

DONE = Completed("completed", ("https://cdn.example/1.mp4",), "{}")
LINKS = Links("https://notifier.example.com", 60.0, (link_key(KEY),))


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
