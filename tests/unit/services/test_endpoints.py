"""Endpoints: whose secrets sign for which URL, at every moment."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from notifier.domain.address import Refusal
from notifier.domain.answer import Completed, Failed, TaskError
from notifier.domain.endpoint import Change, Terms, declared
from notifier.domain.headers import MOST_HEADERS
from notifier.domain.prefix import parse_prefix
from notifier.domain.receiver import Receiver
from notifier.domain.signature import HmacKey, Valid, new_private_key, new_secret, parse_secret, verify
from notifier.ports import Page, StoreUnavailableError
from notifier.services import endpoints
from notifier.services.endpoints import Accepted, Declared, Deleted, Full, Taken, Unknown, Wrong
from tests.fake_peers import FakeGuard
from tests.unit.services.mail import DOWN, OTHER, send
from tests.unit.services.world import HOOK, KEY

OURS, THEIRS = new_secret(b"a" * 32), new_secret(b"b" * 32)
DONE = Completed("completed", ("https://cdn.example/1.mp4",))


def signs(post, secret):
    key = parse_secret(secret) if isinstance(secret, str) else secret
    headers, stamp = post.headers, post.headers["webhook-timestamp"]
    verdict = verify([key], headers["webhook-id"], stamp, headers["webhook-signature"], post.body, now=int(stamp))
    return verdict == Valid()


async def register(world, url=HOOK, **terms):
    result = await world.endpoints.create(url, Terms(**{"secrets": (OURS,), **terms}))
    assert isinstance(result, Accepted), result
    return result.endpoint


def configure(world, *endpoints):
    world.endpoints.configure([declared(url, terms) for url, terms in endpoints], Receiver((KEY,)), world.guard)


async def posted(world, url=HOOK, number=1):
    await send(world, url=url, number=number)
    return world.sender.posts[-1]


# Registering


async def test_each_integrators_secret_signs_for_its_own_url_only(world):
    """Neither for the other's nor for anybody else's, and the global one for no registered URL."""
    await register(world, HOOK, secrets=(OURS,), headers={"X-Env": "a"})
    await register(world, OTHER, secrets=(THEIRS,))
    elsewhere = "https://elsewhere.example/"
    signers = {}
    for number, url in enumerate((HOOK, OTHER, elsewhere), 1):
        post = await posted(world, url, number)
        signers[url] = [name for name, key in (("ours", OURS), ("theirs", THEIRS), ("global", KEY)) if signs(post, key)]
    assert signers == {HOOK: ["ours"], OTHER: ["theirs"], elsewhere: ["global"]}
    assert [post.headers.get("X-Env") for post in world.sender.posts] == ["a", None, None]


async def test_a_secret_is_made_when_none_is_given(world):
    """32 random bytes, told once; it signs."""
    result = await world.endpoints.create(HOOK, Terms())
    assert result.secret == new_secret(b"\x01" * 32) == result.endpoint.terms.secrets[0]
    assert signs(await posted(world), result.secret)
    assert (await world.endpoints.create(OTHER, Terms((OURS,)))).secret is None


async def test_a_url_is_registered_once(world):
    """Who comes second hears under which id, whether the first is in the store or in the file."""
    first = await register(world)
    assert await world.endpoints.create(HOOK, Terms()) == Taken(first.id)
    configure(world, (OTHER, Terms((THEIRS,))))
    assert await world.endpoints.create(OTHER, Terms()) == Taken(declared(OTHER, Terms()).id)
    assert world.store.writes == ["add_endpoint"]


class SlowGuard(FakeGuard):
    """Takes its time, as a look-up does."""

    async def check(self, url):
        await asyncio.sleep(0)
        return await super().check(url)


async def test_two_who_register_one_url_at_the_same_moment(world):
    """The store decides; the loser's secret signs nothing."""
    world.endpoints.configure([], Receiver((KEY,)), SlowGuard())
    results = await asyncio.gather(*(world.endpoints.create(HOOK, Terms((one,))) for one in (OURS, THEIRS)))
    assert [type(result) for result in results] == [Accepted, Taken]
    assert signs(await posted(world), OURS)
    assert world.endpoints.secrets() == {OURS}


async def test_the_url_is_judged_as_a_watchs(world):
    """By the same guard; nothing is kept."""
    world.guard.refused[HOOK] = Refusal("private", "10.0.0.1 is private")
    assert await world.endpoints.create(HOOK, Terms()) == Wrong("url", "10.0.0.1 is private")
    assert world.store.writes == []


async def test_a_store_that_takes_nothing_changes_nothing(world):
    """Neither a registration nor a change nor a deletion is half done."""
    endpoint = await register(world)
    world.store.down = True
    for call in (
        world.endpoints.create(OTHER, Terms((THEIRS,))),
        world.endpoints.change(endpoint.id, Change(secrets=(THEIRS,))),
        world.endpoints.delete(endpoint.id),
    ):
        with pytest.raises(StoreUnavailableError):
            await call
    assert world.endpoints.show(endpoint.id) == endpoint
    assert world.endpoints.page(Page()).endpoints == (endpoint,)
    world.store.down = False
    assert signs(await posted(world), OURS)


async def test_what_is_registered_is_known_after_a_restart(world):
    """With its number, so that the next one gets a later one."""
    endpoint = await register(world)
    world.build()
    await world.endpoints.load()
    assert world.endpoints.show(endpoint.id) == endpoint
    assert signs(await posted(world), OURS)
    assert (await register(world, OTHER)).number > endpoint.number


# Changing


async def test_a_change_holds_from_the_next_attempt_on(world):
    """A delivery that waits for its second attempt is signed and addressed anew."""
    endpoint = await register(world, headers={"X-Env": "old"})
    await send(world, DOWN)
    change = Change(secrets=(THEIRS, OURS), headers={"X-Env": "new"})
    result = await world.endpoints.change(endpoint.id, change)
    assert (result.secret, result.endpoint.updated_at) == (None, world.clock.now())
    await world.crew.advance(10)
    first, second = world.sender.to(HOOK)
    assert (signs(first, OURS), signs(first, THEIRS), first.headers["X-Env"]) == (True, False, "old")
    assert (signs(second, OURS), signs(second, THEIRS), second.headers["X-Env"]) == (True, True, "new")


async def test_rotating_makes_a_secret_and_tells_it_once(world):
    """Receivers with the old one and with the new one both verify."""
    endpoint = await register(world, secrets=(OURS, THEIRS))
    result = await world.endpoints.change(endpoint.id, Change(rotate=True))
    assert result.endpoint.terms.secrets == (result.secret, OURS)
    post = await posted(world)
    assert [signs(post, secret) for secret in (result.secret, OURS, THEIRS)] == [True, True, False]


async def test_headers_cannot_grow_without_end(world):
    """The limit holds for what there would be after the change."""
    endpoint = await register(world, headers={f"X-{number}": "1" for number in range(MOST_HEADERS)})
    refused = await world.endpoints.change(endpoint.id, Change(headers={"X-More": "1"}))
    assert refused == Wrong("headers", f"has {MOST_HEADERS + 1} headers (at most {MOST_HEADERS})")
    swapped = await world.endpoints.change(endpoint.id, Change(headers={"X-More": "1", "X-0": None}))
    assert isinstance(swapped, Accepted)


async def test_changes_at_the_same_moment_do_not_pass_the_limit_together(world):
    """What one of them has added counts for the next, before anybody has heard of it."""
    endpoint = await register(world)
    stored = replace(endpoint, terms=replace(endpoint.terms, headers={f"X-{n}": "1" for n in range(MOST_HEADERS)}))
    world.store.registered[endpoint.id] = stored
    refused = await world.endpoints.change(endpoint.id, Change(headers={"X-More": "1"}))
    assert refused == Wrong("headers", f"has {MOST_HEADERS + 1} headers (at most {MOST_HEADERS})")
    assert world.store.registered[endpoint.id] == stored


async def test_what_is_deleted_signs_no_more(world):
    """What is pending goes on under the global secrets, and the URL is free."""
    endpoint = await register(world)
    await send(world, DOWN)
    assert await world.endpoints.delete(endpoint.id) == Deleted()
    await world.crew.advance(10)
    _, second = world.sender.to(HOOK)
    assert (signs(second, OURS), signs(second, KEY)) == (False, True)
    assert world.endpoints.show(endpoint.id) is None
    await register(world, secrets=(THEIRS,))


async def test_what_is_not_there_is_neither_changed_nor_deleted(world):
    """Nor what somebody else has deleted from the store meanwhile."""
    endpoint = await register(world)
    world.store.registered.clear()
    for endpoint_id in ("ep_nope", endpoint.id):
        assert await world.endpoints.change(endpoint_id, Change(rate=1.0)) == Unknown()
        assert await world.endpoints.delete(endpoint_id) == Unknown()


async def test_an_event_that_an_endpoint_does_not_list_leaves_no_delivery(world):
    """As the events are when the task ends."""
    endpoint = await register(world, events=("task.failed",))
    await world.told("vid_1", DONE)
    await world.told("vid_2", Failed("failed", TaskError(None, "no"), None))
    assert [body["type"] for body in world.bodies()] == ["task.failed"]
    await world.endpoints.change(endpoint.id, Change(events=("task.completed",)))
    await world.told("vid_3", DONE)
    assert [body["type"] for body in world.bodies()] == ["task.failed", "task.completed"]
    assert len(world.store.deliveries) == 2


async def test_limits_reach_the_dispatcher(world):
    """With the receivers, at once."""
    endpoint = await register(world, rate=2.0, concurrency=3)
    assert (world.endpoints.receivers.at(HOOK).rate, world.endpoints.receivers.at(HOOK).concurrency) == (2.0, 3)
    await world.endpoints.change(endpoint.id, Change(rate=None))
    assert (world.endpoints.receivers.at(HOOK).rate, world.endpoints.receivers.at(HOOK).concurrency) == (None, 3)


# The configuration's


async def test_the_configuration_comes_before_what_was_registered(world):
    """Said once at each start and reload; when it goes from the file, the registered one is back."""
    endpoint = await register(world, secrets=(OURS,))
    with capture_logs() as lines:
        configure(world, (HOOK, Terms((THEIRS,))), (OTHER, Terms((THEIRS,))))
        await world.endpoints.change(endpoint.id, Change(rate=1.0))
    shadowed = [line for line in lines if line["event"] == "endpoint.shadowed"]
    assert [(line["endpoint_id"], line["url"]) for line in shadowed] == [(endpoint.id, HOOK)]
    post = await posted(world)
    assert (signs(post, OURS), signs(post, THEIRS)) == (False, True)
    configure(world)
    post = await posted(world, number=2)
    assert (signs(post, OURS), signs(post, THEIRS)) == (True, False)


async def test_the_configurations_are_changed_there(world):
    """Neither changed nor deleted through the intake, but shown."""
    configure(world, (HOOK, Terms((THEIRS,))))
    (endpoint,) = world.endpoints.page(Page()).endpoints
    assert await world.endpoints.change(endpoint.id, Change(rotate=True)) == Declared()
    assert await world.endpoints.delete(endpoint.id) == Declared()
    assert world.endpoints.show(endpoint.id) == endpoint
    assert endpoint.source == "config"


async def test_a_reload_brings_other_global_secrets_and_another_guard(world):
    """For every URL that is no endpoint's."""
    guard, key = FakeGuard(), HmacKey(b"n" * 32)
    guard.refused[OTHER] = Refusal("private", "no more")
    await register(world)
    world.endpoints.configure([], Receiver((key,)), guard)
    assert await world.endpoints.create(OTHER, Terms()) == Wrong("url", "no more")
    assert signs(await posted(world, OTHER), key)
    assert signs(await posted(world, HOOK, number=2), OURS)


# Lists


def urls(page):
    return [endpoint.url for endpoint in page.endpoints]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
async def test_the_configurations_come_first_then_the_newest(world, limit):
    """Each on exactly one page; the last page has no cursor, also when it is full."""
    configure(world, ("https://c/1", Terms((OURS,))), ("https://c/2", Terms((OURS,))))
    for number in range(3):
        await register(world, f"https://i/{number}")
    pages = [world.endpoints.page(Page(limit))]
    while pages[-1].next_before is not None:
        pages.append(world.endpoints.page(Page(limit, pages[-1].next_before)))
    assert [len(page.endpoints) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-5 // limit)
    found = [url for page in pages for url in urls(page)]
    assert found == ["https://c/1", "https://c/2", "https://i/2", "https://i/1", "https://i/0"]


async def test_what_comes_and_goes_meanwhile_moves_no_page(world):
    """An endpoint registered or deleted between two pages neither repeats nor hides another."""
    kept = [await register(world, f"https://i/{number}") for number in range(4)]
    first = world.endpoints.page(Page(2))
    await world.endpoints.delete(kept[2].id)
    await register(world, "https://i/9")
    assert urls(world.endpoints.page(Page(2, first.next_before))) == ["https://i/1", "https://i/0"]


async def test_log_lines_say_what_happened_and_hold_no_secret(world):
    """Id and URL without its query; a rotation is named."""
    with capture_logs() as lines:
        endpoint = await register(world, HOOK + "?token=planted", headers={"Authorization": "pass-1"})
        await world.endpoints.change(endpoint.id, Change(rate=1.0))
        await world.endpoints.change(endpoint.id, Change(rotate=True))
        await world.endpoints.delete(endpoint.id)
    assert [(line["event"], line["endpoint_id"], line["url"]) for line in lines] == [
        (f"endpoint.{what}", endpoint.id, HOOK) for what in ("registered", "changed", "changed", "deleted")
    ]
    assert [line.get("rotated") for line in lines] == [None, None, True, None]
    assert not any(secret in str(lines) for secret in ("whsec_", "pass-1", "planted"))


async def test_secrets_are_known_for_the_log_to_hide(world):
    """Those of every registered endpoint, new ones before they can be used."""
    endpoint = await register(world, secrets=(OURS,))
    heard = []
    world.endpoints._tell = lambda receivers: heard.append(world.endpoints.secrets())
    result = await world.endpoints.change(endpoint.id, Change(rotate=True))
    assert heard == [{OURS, result.secret}]
    assert replace(result, secret=None).endpoint == world.endpoints.show(endpoint.id)


async def test_there_are_not_endlessly_many(world, monkeypatch):
    """Nor when several are registered at the same moment; a deletion makes room."""
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 2)
    first = await register(world)
    tried = await asyncio.gather(*(world.endpoints.create(f"https://i/{number}", Terms()) for number in range(3)))
    assert [type(result) for result in tried] == [Accepted, Full, Full]
    await world.endpoints.delete(first.id)
    assert isinstance(await world.endpoints.create(HOOK, Terms()), Accepted)


async def test_one_page_judges_a_bounded_number_of_endpoints(world, monkeypatch):
    """A limited caller's page may be short or empty; following the cursor finds each of its endpoints once."""
    monkeypatch.setattr(endpoints, "MOST_JUDGED", 2)
    for number in range(7):
        await register(world, f"https://{'mine' if number in (0, 5) else 'theirs'}.example/{number}")
    under = (parse_prefix("https://mine.example/"),)
    pages = [world.endpoints.page(Page(3, None, under))]
    while pages[-1].next_before is not None:
        pages.append(world.endpoints.page(Page(3, pages[-1].next_before, under)))
    assert [len(page.endpoints) for page in pages] == [1, 0, 0, 1]
    assert [url for page in pages for url in urls(page)] == ["https://mine.example/5", "https://mine.example/0"]


async def test_public_keys_are_gathered_once_for_each_change(world):
    """Asking costs nothing; a rotation is seen at once."""
    endpoint = await register(world, secrets=(new_private_key(b"k" * 32),))
    known = world.endpoints.public_keys()
    assert len(known) == 1
    assert world.endpoints.public_keys() is known
    await world.endpoints.change(endpoint.id, Change(rotate=True))
    assert len(world.endpoints.public_keys()) == 2


# Other nodes


async def test_what_another_node_registered_signs_after_it_was_read(world):
    """Likewise what it changed, and what it deleted no longer does. What is as it was is told to nobody."""
    kept = await register(world)
    other = replace(kept, id="ep_9", url=OTHER, terms=Terms(secrets=(THEIRS,)), number=9)
    world.store.registered["ep_9"] = other
    await world.endpoints.reread()
    assert signs(await posted(world, OTHER), THEIRS)
    world.store.registered["ep_9"] = replace(other, terms=Terms(secrets=(OURS,)))
    del world.store.registered[kept.id]
    await world.endpoints.reread()
    assert signs(await posted(world, OTHER, 2), OURS)
    assert signs(await posted(world, HOOK, 3), KEY)
    assert (world.endpoints.show(kept.id), await world.endpoints.delete(kept.id)) == (None, Unknown())
    receivers = world.endpoints.receivers
    await world.endpoints.reread()
    assert world.endpoints.receivers is receivers


async def test_what_is_registered_here_while_the_store_is_read_stays(world):
    """What was read is older, so it is read again."""
    read = world.store.endpoints

    async def read_slowly():
        stored = await read()
        world.store.endpoints = read
        await register(world)
        return stored

    world.store.endpoints = read_slowly
    await world.endpoints.reread()
    assert signs(await posted(world), OURS)
