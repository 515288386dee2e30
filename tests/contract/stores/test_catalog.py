"""Catalog: lists for people, newest first, page by page."""

from dataclasses import replace

import pytest

from notifier.adapters.stores import paging
from notifier.domain.prefix import parse_prefix
from notifier.domain.result_file import ResultFile
from notifier.ports import Counts, Page, Results, WatchPage
from tests.contract.stores.building import (
    T0,
    Announcer,
    at,
    completed,
    delivered,
    nothing_known,
    registration,
    tried,
    watch_id,
)


async def fill(store, count: int):
    """`count` watches; every third is completed (and its delivery pending), every fifth of provider `images`."""
    announcer = Announcer()
    wanted = [
        registration(n, task=f"vid_{n}", provider="images" if n % 5 == 0 else "videos") for n in range(1, count + 1)
    ]
    registered = await store.register(wanted, T0, announcer)
    owed = []
    for n, result in enumerate(registered, start=1):
        if n % 3 == 0:
            owed += await store.end(completed(result.task, n), announcer)
    return owed


async def pages(list_page, limit: int):
    """Follow the cursors to the end."""
    page, found = await list_page(Page(limit)), []
    while True:
        found.append(page)
        if page.next_before is None:
            return found
        page = await list_page(Page(limit, page.next_before))


def ids(page):
    return [view.watch.id for view in page.watches]


async def test_watches_come_newest_first_in_pages(store):
    """Each watch on exactly one page; the last page has no cursor, also when it is full."""
    await fill(store, 6)
    found = await pages(store.watches, 3)
    assert [ids(page) for page in found] == [[watch_id(n) for n in (6, 5, 4)], [watch_id(n) for n in (3, 2, 1)]]


async def test_what_comes_meanwhile_moves_no_page(store):
    """A watch registered between two pages neither repeats nor hides another."""
    await fill(store, 4)
    first = await store.watches(Page(2))
    await store.register([registration(9, task="vid_9")], at(1), Announcer())
    second = await store.watches(Page(2, first.next_before))
    assert ids(first) + ids(second) == [watch_id(n) for n in (4, 3, 2, 1)]


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"state": "completed"}, [12, 9, 6, 3]),
        ({"provider": "images"}, [10, 5]),
        ({"task_id": "vid_7"}, [7]),
        ({"state": "watching", "provider": "images"}, [10, 5]),
        ({"state": "completed", "task_id": "vid_7"}, []),
        ({"provider": "unknown"}, []),
    ],
)
async def test_watches_are_filtered(store, filters, numbers):
    """By state, provider and task id, and by all of them together."""
    await fill(store, 12)
    found = await pages(lambda page: store.watches(page, **filters), 3)
    assert [each for page in found for each in ids(page)] == [watch_id(n) for n in numbers]


async def test_a_listed_watch_is_the_single_one(store):
    """A list shows each watch as it is shown alone, with its delivery."""
    await fill(store, 3)
    for view in (await store.watches(Page())).watches:
        assert view == await store.watch(view.watch.id)
    assert await store.watch("wch_unknown") is None


async def test_a_watch_shows_how_its_delivery_goes(store):
    """State, attempts and the next attempt are the delivery's as last saved."""
    (delivery,) = await fill(store, 3)
    await store.settle(*tried(delivery))
    brief = (await store.watch(watch_id(3))).delivery
    assert (brief.id, brief.state, brief.attempts, brief.next_attempt_at) == (delivery.id, "pending", 1, at(100))


async def test_deliveries_come_newest_first_in_pages(store):
    """Like watches."""
    owed = await fill(store, 12)
    found = await pages(store.deliveries, 3)
    assert [len(page.deliveries) for page in found] == [3, 1]
    listed = [view.delivery.id for page in found for view in page.deliveries]
    assert listed == [delivery.id for delivery in reversed(owed)]


async def test_deliveries_are_filtered(store):
    """By state and by watch."""
    owed = await fill(store, 9)
    await store.settle(*delivered(owed[1]))
    by_state = await store.deliveries(Page(), state="delivered")
    assert [view.delivery.id for view in by_state.deliveries] == [owed[1].id]
    by_watch = await store.deliveries(Page(), watch_id=owed[2].watch_id)
    assert [view.delivery.id for view in by_watch.deliveries] == [owed[2].id]
    assert (await store.deliveries(Page(), state="delivered", watch_id=owed[2].watch_id)).deliveries == ()


async def test_a_listed_delivery_has_neither_body_nor_log(store):
    """Bodies may be large: a list does not read them. All else is as in the single one."""
    (delivery,) = await fill(store, 3)
    settled, attempt = tried(delivery)
    await store.settle(settled, attempt)
    (listed,) = (await store.deliveries(Page())).deliveries
    assert (listed.delivery, listed.log) == (replace(settled, body=b""), ())


async def test_the_latest_fifty_attempts_are_shown(store):
    """Oldest first; older ones are left out."""
    (delivery,) = await fill(store, 3)
    for _ in range(53):
        delivery, attempt = tried(delivery)
        assert await store.settle(delivery, attempt)
    view = await store.delivery_view(delivery.id)
    assert [attempt.response for attempt in view.log] == [f"answer {number}" for number in range(4, 54)]
    assert view.delivery == delivery
    assert await store.delivery_view("evt_unknown") is None


async def test_counts_name_every_state(store):
    """Also those in which there is nothing."""
    nothing = {"watching": 0, "completed": 0, "failed": 0, "abandoned": 0, "cancelled": 0}
    assert await store.counts() == Counts(nothing, {"pending": 0, "delivered": 0, "exhausted": 0})
    owed = await fill(store, 9)
    await store.settle(*delivered(owed[0]))
    await store.cancel(watch_id(1), at(5), nothing_known)
    counts = await store.counts()
    assert counts.watches == nothing | {"watching": 5, "completed": 3, "cancelled": 1}
    assert counts.deliveries == {"pending": 2, "delivered": 1, "exhausted": 0}


# What a limited caller sees

MINE = (parse_prefix("https://mine.example.com/hooks/"), parse_prefix("https://also.example.com"))
URLS = (
    "https://mine.example.com/hooks/a",
    "HTTPS://Mine.Example.com:443/hooks/b",
    "https://also.example.com?x=1",
    "https://mine.example.com/other",
    "https://mine.example.com/hooks/../other",
    "https://mine.example.com.evil.net/hooks/a",
    "https://theirs.example.com/hooks/a",
)
"""The first three are under `MINE`, the others are not."""


async def mixed(store, count: int):
    """`count` watches that go to these URLs in turn; each has ended."""
    announcer = Announcer()
    wanted = [registration(n, task=f"vid_{n}", url=URLS[n % len(URLS)]) for n in range(1, count + 1)]
    for n, result in enumerate(await store.register(wanted, T0, announcer), start=1):
        await store.end(completed(result.task, n), announcer)
    return [n for n in range(count, 0, -1) if n % len(URLS) < 3]


async def picked(list_page, limit: int, **filters):
    """Every page of a limited caller, to the end."""
    page, found = await list_page(Page(limit, under=MINE), **filters), []
    while True:
        found.append(page)
        if page.next_before is None:
            return found
        page = await list_page(Page(limit, page.next_before, MINE), **filters)


@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_a_list_can_be_kept_to_some_receivers(store, limit):
    """Exactly those whose URL is covered, newest first, each on one page, however the URLs are spelt."""
    expected = [watch_id(n) for n in await mixed(store, 23)]
    assert [one for page in await picked(store.watches, limit) for one in ids(page)] == expected
    deliveries = [one.delivery for page in await picked(store.deliveries, limit) for one in page.deliveries]
    assert [one.watch_id for one in deliveries] == expected
    assert [one for page in await picked(store.watches, limit, state="completed") for one in ids(page)] == expected
    assert await picked(store.watches, limit, state="failed") == [WatchPage((), None)]


async def test_full_pages_of_some_receivers_have_no_empty_one_behind_them(store):
    """The cursor is there only when there is more."""
    expected = await mixed(store, 14)
    assert [len(page.watches) for page in await picked(store.watches, 3)] == [3] * (len(expected) // 3)


@pytest.mark.parametrize("bound", ["SPAN", "MOST_JUDGED"])
async def test_one_page_looks_at_a_bounded_number_of_rows(store, monkeypatch, bound):
    """A page may be short or empty then, and the next one goes on where it stopped: nothing is missed or told twice."""
    expected = [watch_id(n) for n in await mixed(store, 23)]
    monkeypatch.setattr(paging, bound, 4)
    found = await picked(store.watches, 3)
    assert [one for page in found for one in ids(page)] == expected
    assert any(len(page.watches) < 3 and page.next_before is not None for page in found)
    if bound == "SPAN":
        (page,) = await picked(store.watches, 3, task_id="vid_1")  # found by its name, however far back it is
        assert ids(page) == [watch_id(1)]


@pytest.mark.parametrize("under", [(), MINE])
async def test_a_cursor_of_0_is_at_the_end(store, under):
    """Below it there is nothing, for anybody; it does not mean the beginning."""
    await mixed(store, 7)
    assert await store.watches(Page(3, 0, under)) == WatchPage((), None)


async def test_an_empty_store_has_one_empty_page_for_everybody(store):
    """Without a cursor."""
    assert await picked(store.watches, 3) == [WatchPage((), None)]


async def test_results_of_a_task(store):
    """Its URLs and its files in their order; none of either while it goes on, and none of another's."""
    announcer = Announcer()
    first, second = await store.register([registration(1, "vid_1"), registration(2, "vid_2")], T0, announcer)
    assert await store.results(first.view.task_key) == Results()
    done = completed(first.task)
    files = tuple(ResultFile(n, f"https://cdn.example.com/{n}.mp4", f"x-{n}", next_try_at=T0) for n in (1, 0))
    await store.end(replace(done, end=replace(done.end, files=files)), announcer)
    found = await store.results(first.view.task_key)
    assert found.urls == done.end.urls
    assert [(file.n, file.state) for file in found.files] == [(0, "pending"), (1, "pending")]
    assert await store.results(second.view.task_key) == Results()
    assert await store.results(10**9) == Results()
