"""ResultStore: files that are kept with an end, what is held for them, and what is owed when they are settled."""

import asyncio
import json
from dataclasses import replace

import pytest

from notifier.domain.answer import Completed
from notifier.domain.delivery import new_delivery
from notifier.domain.event import announce
from notifier.domain.saving import (
    SWITCHED_OFF,
    kept,
    missed,
    news_of,
    planned,
    renewed,
    switched_off,
    with_file,
    with_files,
)
from notifier.domain.shard import shard_of
from notifier.ports import Outdated, Waiting
from tests.contract.stores.building import (
    T0,
    Announcer,
    at,
    completed,
    delivered,
    failed,
    registration,
    watch_id,
)

OTHER = "https://other.example.com/hook"
WAIT = 600.0
ALL = range(10)
"""The number of every file."""


class Holding(Announcer):
    """Holds what waits for files, and tells of them again, as the daemon does."""

    def __init__(self, *, hold: float | None = WAIT) -> None:
        super().__init__()
        self.hold = hold

    def __call__(self, task, watch):
        event = super().__call__(task, watch)
        waits = event is not None and self.hold and any(file.state == "pending" for file in task.end.files)
        return replace(event, held_until=at(60 + self.hold)) if waits else event

    def retell(self, task, watch, held):
        if held is not None:
            return announce(task, watch, held)
        kind = news_of(task.end)
        return None if kind in self.unwanted else announce(task, watch, f"{watch.id.replace('wch', 'evt')}news", kind)


@pytest.fixture
def holding():
    return Holding()


async def ended(store, announcer, *wanted, urls=("https://cdn.example.com/v.mp4",)):
    """A task that completed with these URLs, as it was planned; and what is owed for it."""
    (*_, last) = await store.register(wanted or [registration(1)], T0, announcer)
    task = completed(last.task)
    task = planned(replace(task, end=replace(task.end, urls=urls)))
    return await store.result(last.task.key), await store.end(task, announcer), last.task.key


def saved(file, seconds=70.0):
    location = f"file:///results/{file.name}.mp4"
    return kept(file, location=location, size=9, sha256="ab", content_type="video/mp4", now=at(seconds))


def files_in(delivery):
    return json.loads(delivery.body)["data"]["files"]


async def test_an_end_keeps_its_files_with_what_is_held_for_them(backend, holding):
    """One transaction; named after the first watch; due at once; a restart finds all of it."""
    store = await backend.open()
    before, owed, key = await ended(store, holding, registration(1), registration(2, url=OTHER), urls=("a:", "b:"))
    assert before is None
    assert [delivery.held_until for delivery in owed] == [at(660)] * 2
    await store.close()
    store = await backend.open()
    task = await store.result(key)
    assert [(file.n, file.url, file.name) for file in task.end.files] == [
        (0, "a:", f"videos/vid_1/{watch_id(1)}-0"),
        (1, "b:", f"videos/vid_1/{watch_id(1)}-1"),
    ]
    unsettled = await store.unsettled()
    assert unsettled.tasks == {key: at(60)}
    assert list(unsettled.held) == [Waiting(one.id, one.callback_url, at(660)) for one in owed]
    assert list(await store.waiting()) == []
    assert [await store.delivery(one.id) for one in owed] == list(owed)
    assert (await store.counts()).files_pending == 2
    await store.close()


async def test_what_is_unsettled_belongs_to_the_shards_of_its_tasks(store, holding):
    """Whoever takes over a shard asks for that alone."""
    _, _, key = await ended(store, holding, urls=("a:",))
    whole = await store.unsettled()
    assert await store.unsettled({shard_of(key), shard_of(key + 1)}) == whole
    others = await store.unsettled({shard_of(key + 1)})
    assert (others.tasks, list(others.held)) == ({}, [])


async def test_an_end_that_is_none_keeps_no_files(store, holding):
    """Nobody watches the task any more: nothing is to be saved."""
    (result,) = await store.register([registration(1)], T0, holding)
    await store.end(failed(result.task), holding)
    assert list(await store.end(planned(completed(result.task)), holding)) == []
    assert (await store.unsettled()).tasks == {}
    assert (await store.result(result.task.key)).end.state == "failed"


async def test_a_task_that_goes_on_or_is_gone_has_no_result(store, holding):
    """There is nothing to save of either."""
    (result,) = await store.register([registration(1)], T0, holding)
    assert await store.result(result.task.key) is None
    assert await store.result(result.task.key + 1) is None
    assert list(await store.keep(planned(completed(result.task)), ALL, at(61), holding.retell)) == []


async def test_a_failed_try_is_kept_and_tells_nobody(store, holding):
    """What a restart must know: the error, how many tries, and when the next one is."""
    _, _, key = await ended(store, holding)
    task = await store.result(key)
    tried = with_file(task, missed(task.end.files[0], "HTTP 500", now=at(61), give_up=False, wait=5.0))
    assert list(await store.keep(tried, ALL, at(61), holding.retell)) == []
    assert await store.result(key) == tried
    assert (await store.unsettled()).tasks == {key: at(66)}


async def test_only_what_changed_is_written(store, holding):
    """Of a thousand files a try costs one row; where none changed, nothing happens."""
    _, _, key = await ended(store, holding, urls=("a:", "b:"))
    task = await store.result(key)
    tried = with_files(task, tuple(missed(file, "x", now=at(61), give_up=True, wait=5.0) for file in task.end.files))
    assert list(await store.keep(tried, (), at(61), holding.retell)) == []
    assert await store.result(key) == task
    assert list(await store.keep(tried, (1,), at(61), holding.retell)) == []
    assert (await store.result(key)).end.files == (task.end.files[0], tried.end.files[1])
    assert len(await store.keep(tried, (0,), at(61), holding.retell)) == 1


async def test_the_next_try_is_the_earliest_of_the_files(store, holding):
    """A task is visited when the first of its files is due."""
    _, _, key = await ended(store, holding, urls=("a:", "b:"))
    task = await store.result(key)
    for file, wait in zip(task.end.files, (50.0, 20.0), strict=True):
        task = with_file(task, missed(file, "x", now=at(61), give_up=False, wait=wait))
    await store.keep(task, ALL, at(61), holding.retell)
    assert (await store.unsettled()).tasks == {key: at(81)}


async def test_the_last_file_releases_what_was_held(store, holding):
    """One transaction: the same ids, bodies made anew with the files, due now; nothing is held any more."""
    _, owed, key = await ended(store, holding, registration(1), registration(2, url=OTHER), urls=("a:", "b:"))
    task = await store.result(key)
    task = with_file(task, saved(task.end.files[0]))
    assert list(await store.keep(task, ALL, at(70), holding.retell)) == []
    task = with_file(task, saved(task.end.files[1]))
    released = await store.keep(task, ALL, at(71), holding.retell)
    assert [one.id for one in released] == [one.id for one in owed]
    for one in released:
        assert (one.held_until, one.next_attempt_at, one.state, one.type) == (None, at(71), "pending", "task.completed")
        assert [file["location"] for file in files_in(one)] == [file.location for file in task.end.files]
        assert await store.delivery(one.id) == one
    assert {one.id for one in await store.waiting()} == {one.id for one in owed}
    assert (await store.unsettled()).tasks == {}
    assert (await store.unsettled()).held == []
    assert list(await store.keep(task, ALL, at(72), holding.retell)) == []


async def test_whoever_was_told_before_is_owed_the_news(store, holding):
    """A second event with an id of its own, which leaves the first one and what the watch shows alone."""
    _, (first,), key = await ended(store, holding)
    assert (await store.release(first.id, at(660), holding.retell)).held_until is None
    await store.settle(*delivered(await store.delivery(first.id)))
    task = await store.result(key)
    (news,) = await store.keep(with_file(task, saved(task.end.files[0])), ALL, at(700), holding.retell)
    assert (news.type, news.watch_id, news.state, news.next_attempt_at) == (
        "result.saved", watch_id(1), "pending", at(700)
    )
    assert news.id != first.id
    assert (await store.watch(watch_id(1))).delivery.id == first.id
    assert {one.id for one in await store.waiting()} == {news.id}
    assert json.loads(news.body)["data"]["files"][0]["sha256"] == "ab"


async def test_who_wants_no_news_is_owed_none(store, holding):
    """Its endpoint's `events` decide."""
    holding.unwanted = {"result.unsaved"}
    holding.hold = None
    _, _, key = await ended(store, holding)
    assert list(await store.keep(switched_off(await store.result(key)), ALL, at(70), holding.retell)) == []
    assert (await store.result(key)).end.files[0].error == SWITCHED_OFF


async def test_of_many_who_settle_one_wins(store, holding):
    """Compare-and-set: a file that is settled stays so, and what is owed for it is owed once."""
    _, _, key = await ended(store, holding)
    task = await store.result(key)
    good, bad = with_file(task, saved(task.end.files[0])), switched_off(task)
    told = await asyncio.gather(*(store.keep(one, ALL, at(70), holding.retell) for one in (good, bad, good, bad)))
    assert [len(one) for one in told] == [1, 0, 0, 0]
    assert (await store.result(key)).end.files[0].state == "saved"


async def test_releases_and_settling_race_for_one_event(store, holding):
    """The wait is over at the moment when the file is saved: the event goes out once; if that was without the file,
    news follows."""
    _, (owed,), key = await ended(store, holding)
    task = await store.result(key)
    settled, released = await asyncio.gather(
        store.keep(with_file(task, saved(task.end.files[0])), ALL, at(660), holding.retell),
        store.release(owed.id, at(660), holding.retell),
    )
    assert ([one.type for one in settled], released) == (["task.completed"], None)
    assert await store.release(owed.id, at(661), holding.retell) is None


async def test_a_release_says_what_is_known(store, holding):
    """The file is pending; its last error is told."""
    _, (owed,), key = await ended(store, holding)
    task = await store.result(key)
    await store.keep(
        with_file(task, missed(task.end.files[0], "HTTP 500", now=at(61), give_up=False, wait=5.0)), ALL, at(61),
        holding.retell,
    )
    released = await store.release(owed.id, at(660), holding.retell)
    assert (released.id, released.next_attempt_at, files_in(released)[0]["error"]) == (owed.id, at(660), "HTTP 500")
    assert (await store.unsettled()).held == []
    assert (await store.unsettled()).tasks == {key: at(66)}
    assert await store.release("evt_unknown", at(660), holding.retell) is None


async def test_a_late_watch_gets_the_files_as_they_are(store, holding):
    """Held while they are pending, told at once when they are settled."""
    _, _, key = await ended(store, holding)
    (late,) = await store.register([registration(2, url=OTHER)], at(100), holding)
    assert late.owed[0].held_until is not None
    task = await store.result(key)
    assert len(await store.keep(with_file(task, saved(task.end.files[0])), ALL, at(110), holding.retell)) == 2
    (later,) = await store.register([registration(3, url=OTHER + "/3")], at(120), holding)
    assert later.owed[0].held_until is None
    assert files_in(later.owed[0])[0]["sha256"] == "ab"


async def test_fresh_urls_are_kept_with_the_file(store, holding):
    """For the event and for whoever asks later; older ones never replace newer ones."""
    _, _, key = await ended(store, holding)
    task = await store.result(key)
    answer = Completed("completed", ("https://cdn.example.com/fresh.mp4",), '{"n":2}', expires_at=at(500))
    fresh = renewed(task, answer, at(80))
    await store.keep(fresh, ALL, at(80), holding.retell)
    assert await store.result(key) == fresh
    older = renewed(fresh, Completed("completed", ("https://cdn.example.com/old.mp4",), "{}"), at(75))
    await store.keep(older, ALL, at(81), holding.retell)
    assert (await store.result(key)).end.urls == ("https://cdn.example.com/fresh.mp4",)


async def test_a_held_delivery_is_not_redelivered_nor_new(store, holding):
    """It is pending: there is nothing to send again."""
    _, (owed,), _ = await ended(store, holding)
    assert await store.redeliver(owed.id, at(61)) is None
    assert owed == new_delivery(
        replace(holding.events[watch_id(1)], held_until=at(660)), watch_id=watch_id(1), callback_url=owed.callback_url,
        now=at(60),
    )


# Retention


async def test_files_grow_old_one_by_one(store, holding):
    """The oldest first; a deleted one is shown as gone, and is not found again."""
    keys = []
    for number in (1, 2):
        _, _, key = await ended(store, holding, registration(number, task=f"vid_{number}"))
        task = await store.result(key)
        await store.keep(with_file(task, saved(task.end.files[0], 100 - number)), ALL, at(100), holding.retell)
        keys.append(key)
    assert list(await store.outdated(at(98), 10)) == []
    first, second = await store.outdated(at(100), 10)
    assert (first.task_key, second.task_key, first.n) == (keys[1], keys[0], 0)
    assert list(await store.outdated(at(100), 1)) == [first]
    await store.forget(first, "its time was over")
    assert list(await store.outdated(at(100), 10)) == [second]
    (gone,) = (await store.result(first.task_key)).end.files
    assert (gone.state, gone.location, gone.error) == ("deleted", None, "its time was over")
    await store.forget(first, "again")
    assert (await store.result(first.task_key)).end.files == (gone,)


async def test_outdated_files_are_listed_portion_by_portion(store, holding):
    """Whoever left some of them goes on behind the last, also among those of one moment."""
    for number in (1, 2, 3):
        _, _, key = await ended(store, holding, registration(number, task=f"vid_{number}"), urls=("a:", "b:"))
        task = await store.result(key)
        files = tuple(saved(file, 70 if number < 3 else 60) for file in task.end.files)
        await store.keep(with_files(task, files), ALL, at(100), holding.retell)
    everything = list(await store.outdated(at(100), 10))
    assert [(one.saved_at, one.n) for one in everything] == [(at(s), n) for s in (60, 70, 70) for n in (0, 1)]
    for number, one in enumerate(everything):
        assert list(await store.outdated(at(100), 10, one)) == everything[number + 1 :]
        assert list(await store.outdated(at(100), 1, one)) == everything[number + 1 : number + 2]


@pytest.mark.parametrize("keep_files", [True, False])
async def test_files_outlive_their_task_where_they_are_to_be_deleted_later(store, holding, keep_files):
    """With a retention of their own, saved ones are known until then; afterwards nothing is left."""
    _, _, key = await ended(store, holding)
    task = await store.result(key)
    (owed,) = await store.keep(with_file(task, saved(task.end.files[0])), ALL, at(100), holding.retell)
    await store.settle(*delivered(owed))
    assert await store.clean(at(1000), keep_files=keep_files) == 1
    assert await store.result(key) is None
    gone = Outdated(key, 0, f"file:///results/videos/vid_1/{watch_id(1)}-0.mp4", at(70))
    assert list(await store.outdated(at(1000), 10)) == ([gone] if keep_files else [])
    await store.forget(gone, "over")
    assert list(await store.outdated(at(1000), 10)) == []
    assert (await store.counts()).files_pending == 0


async def test_what_waits_for_files_is_not_forgotten(store, holding):
    """Whoever was told at once is still owed the news, however old the end is."""
    holding.hold = None
    _, (owed,), key = await ended(store, holding)
    await store.settle(*delivered(owed))
    assert await store.clean(at(10**6)) == 0
    task = await store.result(key)
    (news,) = await store.keep(switched_off(task), ALL, at(10**6), holding.retell)
    assert news.type == "result.unsaved"
    assert await store.clean(at(10**6)) == 0
    await store.settle(*delivered(news))
    assert await store.clean(at(10**6)) == 1
