"""Accepting watches once, rejecting bad ones, reconciling the file's."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from notifier.domain.address import Refusal
from notifier.domain.answer import Completed, Failed, Missed, Running, TaskError
from notifier.domain.description import Description, Question
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.template import parse_template
from notifier.domain.watch import judge_task_id, metadata_text
from notifier.ports import Registered, StoreUnavailableError
from notifier.services import registrar
from notifier.services.registrar import Busy, Invalid, WatchRequest
from tests.fakes import START
from tests.thoroughness import examples
from tests.unit.services.world import HOOK, KEY, LIMITS, RULES

DONE = Completed("completed", ("https://cdn.example/1.mp4",))
NOT_FOUND = Missed(False, "HTTP 404")
OTHER = "https://other.example/hook"


async def one(world, task_id="vid_1", url=HOOK, **more):
    (result,) = await world.registrar.register([WatchRequest(task_id, url, **more)])
    return result


# Accepting


class SlowStore:
    """The world's store, but a registration waits until the test lets it in."""

    def __init__(self, store):
        self.store = store
        self.open = asyncio.Event()

    async def register(self, *asked):
        await self.open.wait()
        return await self.store.register(*asked)


async def test_what_the_store_cannot_keep_up_with_is_refused_at_once(world, monkeypatch):
    """Above a bound of watches on their way into the store nothing is queued; when they are in, there is room again."""
    monkeypatch.setattr(registrar, "MOST_WAITING", 3)
    slow = SlowStore(world.store)
    monkeypatch.setattr(world.registrar, "_store", slow)
    first = asyncio.create_task(world.registrar.register([WatchRequest(f"vid_{n}", HOOK) for n in range(2)]))
    await asyncio.sleep(0)
    for _ in range(2):
        assert await world.registrar.register([WatchRequest("vid_8", HOOK), WatchRequest("vid_9", HOOK)]) == Busy()
    assert await world.registrar.register([WatchRequest("", HOOK)] * 9) == [Invalid("task_id", judge_task_id(""))] * 9
    last = asyncio.create_task(world.registrar.register([WatchRequest("vid_9", HOOK)]))
    await asyncio.sleep(0)
    slow.open.set()
    assert [len(await first), len(await last)] == [2, 1]
    assert {watch.task_id for watch in world.store.watches.values()} == {"vid_0", "vid_1", "vid_9"}
    assert await world.registrar.register([WatchRequest(f"vid_{n}", HOOK) for n in range(3)]) != Busy()


async def test_many_are_accepted_in_portions(world, monkeypatch):
    """Each a transaction, taken up before the next; answers keep their order, and a second try completes a broken
    one."""
    monkeypatch.setattr(registrar, "PORTION", 2)
    followed = []
    monkeypatch.setattr(world.poller, "follow", lambda task: followed.append((task.task_id, len(world.store.watches))))
    requests = [WatchRequest(name, HOOK) for name in ("a", "b", "", "c", "d", "e")]
    results = await world.registrar.register(requests)
    assert world.store.writes == ["register"] * 3
    assert followed == [("a", 2), ("b", 2), ("c", 4), ("d", 4), ("e", 5)]
    assert [one.view.watch.task_id if isinstance(one, Registered) else one.field for one in results] == [
        *("a", "b", "task_id", "c", "d", "e")
    ]


async def test_a_store_that_fails_between_portions_has_kept_the_first(world, monkeypatch):
    """Asking again gives those watches, and makes the others."""
    monkeypatch.setattr(registrar, "PORTION", 1)
    monkeypatch.setattr(world.poller, "follow", lambda _: world.store.fail(1))
    with pytest.raises(StoreUnavailableError):
        await world.registrar.register([WatchRequest("a", HOOK), WatchRequest("b", HOOK)])
    monkeypatch.undo()
    again = await world.registrar.register([WatchRequest("a", HOOK), WatchRequest("b", HOOK)])
    assert [one.created for one in again] == [False, True]


async def test_refusals_are_told_once_a_minute(world, monkeypatch):
    """However many there are."""
    monkeypatch.setattr(registrar, "MOST_WAITING", 0)
    with capture_logs() as lines:
        for _ in range(3):
            await world.registrar.register([WatchRequest("vid_1", HOOK)])
        await world.crew.advance(60)
        await world.registrar.register([WatchRequest("vid_1", HOOK)])
    assert [(line["event"], line["log_level"]) for line in lines] == [("watches.refused", "warning")] * 2


async def test_a_failed_registration_waits_no_more(world, monkeypatch):
    """A store that is down for a while does not use up the room for registrations."""
    monkeypatch.setattr(registrar, "MOST_WAITING", 1)
    for _ in range(3):
        world.store.fail(1)
        with pytest.raises(StoreUnavailableError):
            await one(world)
    assert isinstance(await one(world), Registered)


async def test_an_accepted_watch_is_in_the_store_before_the_answer(world):
    """With the provider's defaults applied."""
    result = await world.accept(metadata={"order": 1042})
    watch = world.store.watches["wch_1"]
    assert (result.created, result.view.watch) == (True, watch)
    assert (watch.provider, watch.task_id, watch.callback_url, watch.state) == ("videos", "vid_1", HOOK, "watching")
    assert (watch.interval, watch.source, watch.metadata) == (None, "intake", '{"order":1042}')
    assert (watch.registered_at, watch.deadline_at) == (START, START + timedelta(days=1))


async def test_what_a_request_says_goes_before_the_defaults(world):
    """Its own interval and deadline."""
    await world.accept(interval=5.0, deadline=0.01)
    assert world.store.watches["wch_1"].interval == 5.0
    assert world.store.watches["wch_1"].deadline_at == START + timedelta(seconds=0.01)
    assert world.timetable.jobs == {1: 5.0}


async def test_the_same_registration_twice_is_one_watch(world):
    """The first one, unchanged; nothing is logged or polled twice."""
    first = await world.watch()
    with capture_logs() as lines:
        second = await world.accept(interval=7.0, metadata={"x": 1})
        await world.crew.run()
    assert (second.created, second.view.watch) == (False, first.view.watch)
    assert (len(world.store.watches), world.provider.times("vid_1")) == (1, [0])
    assert [line for line in lines if line["event"] == "watch.registered"] == []


async def test_a_new_watch_is_one_line(world):
    """With ids and source, without the URL, which may hold secrets."""
    with capture_logs() as lines:
        await world.accept()
    assert lines == [
        {
            "event": "watch.registered",
            "log_level": "info",
            "watch_id": "wch_1",
            "provider": "videos",
            "task_id": "vid_1",
            "source": "intake",
            "state": "watching",
            "event_id": None,
            "by": None,
        }
    ]


async def test_a_batch_is_answered_in_order_and_stored_in_one_transaction(world):
    """Good ones are accepted whatever the bad ones say."""
    requests = [
        WatchRequest("vid_1", HOOK),
        WatchRequest("", HOOK),
        WatchRequest("vid_2", HOOK),
        WatchRequest("vid_1", HOOK),
        WatchRequest("vid_3", HOOK, interval=1.0),
    ]
    results = await world.registrar.register(requests)
    assert [result.created if isinstance(result, Registered) else result.field for result in results] == [
        True,
        "task_id",
        True,
        False,
        "interval",
    ]
    assert [result.view.watch.task_id for result in results if isinstance(result, Registered)] == [
        "vid_1",
        "vid_2",
        "vid_1",
    ]
    assert world.store.writes == ["register"]


async def test_a_batch_of_bad_ones_does_not_reach_the_store(world):
    """There is nothing to store, even while the store is down."""
    world.store.down = True
    assert isinstance(await one(world, task_id=""), Invalid)
    assert await world.registrar.register([]) == []


async def test_each_url_of_a_batch_is_looked_up_once(world):
    """A thousand watches of one receiver are one look-up."""
    await world.registrar.register([WatchRequest(f"vid_{number}", HOOK) for number in range(50)])
    await world.registrar.register([WatchRequest("vid_x", HOOK), WatchRequest("vid_x", OTHER)])
    assert world.guard.checked == {HOOK: 2, OTHER: 1}


async def test_without_the_store_nothing_is_accepted(world):
    """Whoever asked is told by the exception; nothing is polled."""
    world.store.down = True
    with pytest.raises(StoreUnavailableError):
        await one(world)
    assert world.timetable.jobs == {}


# Rejecting


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        ({"task_id": ""}, "task_id", "must have 1 to 512 characters"),
        ({"task_id": "x" * 513}, "task_id", "must have 1 to 512 characters"),
        ({"task_id": ".."}, "task_id", "must not be a path segment that means another path"),
        ({"task_id": "a\nb"}, "task_id", "must not hold control characters or lone surrogates"),
        ({"url": "https://bad.example/"}, "callback_url", "not that one"),
        ({"provider": "vidoes"}, "provider", "'vidoes' is not configured; known: videos"),
        ({"interval": 4.99}, "interval", "must be at least 5s, the min_interval of provider 'videos'"),
        ({"metadata": {"x": "y" * 4096}}, "metadata", "takes 4104 bytes as JSON; at most 4096 are kept"),
        (
            {"metadata": {"x": float("nan")}},
            "metadata",
            "must be plain JSON: finite numbers, whole Unicode characters, not too deep",
        ),
    ],
)
async def test_a_bad_request_names_its_field_and_what_would_be_right(world, wrong, field, message):
    """And leaves nothing behind."""
    world.guard.refused["https://bad.example/"] = Refusal("private", "not that one")
    assert await one(world, **wrong) == Invalid(field, message)
    assert (world.store.writes, world.timetable.jobs) == ([], {})


async def test_the_least_interval_is_allowed(world):
    """The limit itself is within it."""
    assert isinstance(await one(world, interval=5.0), Registered)


async def test_the_only_provider_need_not_be_named(world):
    """Of several, one must be."""
    assert (await one(world)).view.watch.provider == "videos"
    world.configure(videos=LIMITS, images=LIMITS)
    assert await one(world, task_id="vid_2") == Invalid("provider", "name one of: images, videos")
    assert (await one(world, task_id="vid_2", provider="images")).view.watch.provider == "images"


@pytest.mark.parametrize(
    "task_id", ["v", "x" * 512, "a/b", "a b", "é", "...", "%2e", "😀", "a.b", "~", "\xa0", "\ud7ff", "\ue000"]
)
def test_any_printable_text_is_a_task_id(task_id):
    """It is percent-encoded into the URL."""
    assert judge_task_id(task_id) is None


@pytest.mark.parametrize(
    "task_id", ["", "x" * 513, ".", "..", "\x00", "a\x1f", "\x7f", "\x80", "\x9f", "\ud800", "a\udfff"]
)
def test_what_cannot_be_in_a_url_or_a_store_is_no_task_id(task_id):
    """Nothing, too much, another path, control characters, half characters."""
    assert judge_task_id(task_id) is not None


def test_metadata_is_kept_as_it_is():
    """Compact JSON with its own characters and order."""
    assert metadata_text({"é": [1, 2.50, None, True], "a": {"b": ""}}) == '{"é":[1,2.5,null,true],"a":{"b":""}}'


def test_metadata_may_have_4_kib_of_utf_8():
    """Bytes count, not characters."""
    assert metadata_text({"x": "y" * 4088}) == '{"x":"' + "y" * 4088 + '"}'
    assert metadata_text({"x": "é" * 2044}) == '{"x":"' + "é" * 2044 + '"}'
    with pytest.raises(ValueError, match="takes 4098 bytes as JSON; at most 4096 are kept"):
        metadata_text({"x": "é" * 2045})


def _deep(levels):
    nested = {}
    for _ in range(levels):
        nested = {"x": nested}
    return nested


@pytest.mark.parametrize("bad", [{"x": "\ud800"}, {"x": float("inf")}, {"\ud800": 1}, _deep(5000)])
def test_metadata_that_is_no_json_is_refused(bad):
    """What a receiver's parser would choke on never gets in."""
    # How deep JSON may be nested before Python gives up differs between versions; then its size refuses it.
    with pytest.raises(ValueError, match=r"must be plain JSON|takes 30002 bytes"):
        metadata_text(bad)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=6), values, max_size=4))
@settings(max_examples=examples(30), deadline=None)
def test_metadata_comes_back_as_it_went_in_or_is_refused(metadata):
    """No value changes silently."""
    try:
        text = metadata_text(metadata)
    except ValueError:
        return
    assert len(text.encode("utf-8")) <= 4096
    assert json.loads(text) == metadata


# A task that is known already


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(DONE, "task.completed"), (Failed("failed", TaskError(None, "too dark")), "task.failed")],
    ids=["completed", "failed"],
)
async def test_a_watch_of_a_task_known_to_have_ended_is_told_at_once(world, answer, kind):
    """Without another poll, with the time when the end was learned and the task's own count of polls."""
    world.provider.script("vid_1", Running("processing", known=True), answer)
    await world.watch("vid_1")
    await world.crew.advance(500)
    result = await world.watch("vid_1", OTHER)
    assert (result.created, result.view.watch.state) == (True, kind.removeprefix("task."))
    first, second = world.bodies()
    assert (second["type"], second["timestamp"]) == (kind, first["timestamp"])
    assert second["data"]["polls"] == 2
    assert second["data"]["registered_at"] == "2026-11-22T13:41:20.000000Z"
    assert second["data"]["watch_id"] == "wch_2"
    assert world.provider.times("vid_1") == [0, 30]
    assert world.meter.events == [kind, kind]


async def test_an_ended_watch_that_is_registered_again_is_told_nothing(world):
    """It is the same watch, and it has been told."""
    await world.told("vid_1", DONE)
    result = await world.watch("vid_1")
    assert (result.created, result.view.watch.state, len(world.sender.posts)) == (False, "completed", 1)
    assert world.provider.times("vid_1") == [0]


async def test_a_new_watch_of_an_abandoned_task_polls_it_afresh(world):
    """We gave up, the provider may not have."""
    world.provider.script("vid_1", *[NOT_FOUND] * 5, DONE)
    await world.watch("vid_1")
    await world.crew.advance(150)
    await world.watch("vid_1", OTHER)
    assert [(post.url, body["type"]) for post, body in zip(world.sender.posts, world.bodies(), strict=True)] == [
        (HOOK, "task.abandoned"),
        (OTHER, "task.completed"),
    ]
    assert world.bodies()[1]["data"]["polls"] == 1


async def test_an_unwanted_event_told_at_once_is_not_sent(world):
    """The endpoint's `events` hold here too."""
    await world.told("vid_1", DONE)
    picky = Receiver((KEY,), events=frozenset({"task.failed"}))
    world.apply(receivers=Receivers(Receiver((KEY,)), {OTHER: picky}))
    result = await world.watch("vid_1", OTHER)
    assert (result.view.watch.state, result.owed, len(world.sender.posts)) == ("completed", (), 1)


async def test_a_second_watch_can_make_polls_more_frequent(world):
    """Two watches of one task poll at the smaller interval; the larger one takes over when the other leaves."""
    await world.watch("vid_1", interval=30.0)
    await world.watch("vid_1", OTHER, interval=10.0)
    assert world.timetable.jobs == {1: 10.0}
    await world.registrar.cancel("wch_2")
    assert world.timetable.jobs == {1: 30.0}


# Cancelling


async def test_a_cancelled_watch_gets_no_event_and_its_task_no_poll(world):
    """When nobody else watches it."""
    await world.watch()
    with capture_logs() as lines:
        assert await world.registrar.cancel("wch_1")
    assert [(line["event"], line["watch_id"]) for line in lines] == [("watch.cancelled", "wch_1")]
    world.provider.script("vid_1", DONE)
    await world.crew.advance(300)
    assert (world.provider.times("vid_1"), world.sender.posts) == ([0], [])


async def test_cancelling_what_ended_or_never_was_changes_nothing(world):
    """True for the one, False for the other, and no line for either."""
    await world.told("vid_1", DONE)
    await world.watch("vid_2")
    with capture_logs() as lines:
        assert await world.registrar.cancel("wch_1")
        assert not await world.registrar.cancel("wch_9")
    assert (lines, world.store.watches["wch_1"].state) == ([], "completed")
    assert list(world.timetable.jobs) == [2]


async def test_after_a_cancel_the_same_registration_is_a_new_watch(world):
    """With a new id, polled at once."""
    await world.watch()
    await world.registrar.cancel("wch_1")
    result = await world.watch()
    assert (result.created, result.view.watch.id) == (True, "wch_2")
    assert world.provider.times("vid_1") == [0, 0]


# Variables


def judge_region(given):
    """A provider with two variables: where its tasks are, and what they belong to."""
    yield from ((name, "is not known") for name in given.keys() - {"region", "path"})
    if "path" not in given:
        yield "path", "is missing"


@pytest.fixture
def regional(world):
    """A world whose only provider wants a path and assumes a region."""
    rules = replace(RULES, judge_variables=judge_region)
    world.registrar.configure({"videos": rules}, world.guard)
    return world


@pytest.mark.parametrize(
    ("variables", "wrong"),
    [
        (None, Invalid("vars", "is missing", "path")),
        ({"region": "eu"}, Invalid("vars", "is missing", "path")),
        ({"path": "a", "colour": "red"}, Invalid("vars", "is not known", "colour")),
    ],
)
async def test_variables_are_judged_by_the_provider_s_rules(regional, variables, wrong):
    """What is missing, unknown or unfit is named, and nothing is registered."""
    assert await one(regional, variables=variables) == wrong
    assert regional.store.watches == {}


async def test_a_task_id_that_no_request_can_carry_is_refused(world):
    """Else it would be watched in vain until its deadline."""
    description = Description("https://api.example", Question(parse_template("/{+task_id}", "path")))
    world.registrar.configure({"videos": replace(RULES, judge_task_id=description.judge_task_id)}, world.guard)
    assert (await one(world, "operations/1")).created
    refused = await one(world, "operations/../1")
    assert isinstance(refused, Invalid)
    assert (refused.field, "lead to another path" in refused.message) == ("task_id", True)


async def test_a_provider_without_variables_refuses_any(world):
    """Somebody took it for another provider, or misspelt a word of the API."""
    refused = await one(world, variables={"region": "eu"})
    assert refused == Invalid("vars", "is no variable of this provider, which has none", "region")


async def test_what_a_watch_gives_is_a_part_of_what_is_watched(regional):
    """In any order; another value is another task, polled by itself with its own variables."""
    first = await one(regional, variables={"path": "a", "region": "us"})
    same = await one(regional, variables={"region": "us", "path": "a"})
    other = await one(regional, variables={"path": "a"})
    assert (first.created, same.created, other.created) == (True, False, True)
    assert first.view.watch.variables == '{"path":"a","region":"us"}'
    assert other.view.task_key != first.view.task_key
    await regional.crew.run()
    assert regional.provider.variables == [{"path": "a", "region": "us"}, {"path": "a"}]


async def test_declared_watches_have_variables_too(regional):
    """A change of them is another watch, and the one that was is cancelled."""
    await declare(regional, WatchRequest("vid_1", HOOK, variables={"path": "a"}))
    declared = await declare(regional, WatchRequest("vid_1", HOOK, variables={"path": "b"}))
    assert (len(declared.added), declared.changed, declared.cancelled) == (1, 0, 1)
    assert regional.store.watches["wch_2"].variables == '{"path":"b"}'


# The file's watches


async def declare(world, *requests):
    declared = await world.registrar.declare(requests)
    await world.crew.run()
    return declared


async def test_declared_watches_are_added_once(world):
    """At start and at every reload again."""
    request = WatchRequest("vid_1", HOOK, provider="videos", interval=45.0, metadata={"order": 1042})
    with capture_logs() as lines:
        first = await declare(world, request)
        second = await declare(world, request)
    assert [(len(one.added), one.changed, one.cancelled) for one in (first, second)] == [(1, 0, 0), (0, 0, 0)]
    registered = [(line["watch_id"], line["source"]) for line in lines if line["event"] == "watch.registered"]
    assert registered == [("wch_1", "config")]
    watch = world.store.watches["wch_1"]
    assert (watch.source, watch.interval, watch.metadata) == ("config", 45.0, '{"order":1042}')
    assert world.provider.times("vid_1") == [0]


async def test_a_declared_watch_of_the_only_provider_need_not_name_it(world):
    """As at the intake."""
    await declare(world, WatchRequest("vid_1", HOOK))
    watch = world.store.watches["wch_1"]
    assert (watch.provider, watch.metadata, watch.deadline_at) == ("videos", "{}", START + timedelta(days=1))


async def test_a_removed_watch_is_cancelled_and_a_changed_one_changed(world):
    """The task of the one is polled no more, that of the other at its new interval."""
    await declare(world, WatchRequest("vid_1", HOOK), WatchRequest("vid_2", HOOK))
    declared = await declare(world, WatchRequest("vid_2", HOOK, interval=10.0, metadata={"a": "é"}))
    assert (declared.added, declared.changed, declared.cancelled) == ((), 1, 1)
    assert world.timetable.jobs == {2: 10.0}
    assert world.store.watches["wch_2"].metadata == '{"a":"é"}'


async def test_what_polls_taught_stays_when_nobody_watches_any_more(world):
    """Polls that changed nothing were not written; the cancelled watch still shows them all."""
    await world.watch()
    await world.crew.advance(95)
    polled = world.task()
    await world.registrar.cancel("wch_1")
    saved = world.store.tasks[1]
    assert (saved.polls, saved.last_polled_at) == (polled.polls, polled.last_polled_at)
    assert saved.polls == 4


async def test_a_watch_of_the_intake_is_not_cancelled_by_the_file(world):
    """It keeps the source that registered it first, also when the file names it for a while."""
    await world.watch()
    await declare(world, WatchRequest("vid_1", HOOK))
    await declare(world)
    assert (world.store.watches["wch_1"].state, world.store.watches["wch_1"].source) == ("watching", "intake")
    assert world.timetable.jobs == {1: 30.0}


async def test_a_declared_watch_that_ended_is_not_told_again(world):
    """However often the file is read."""
    world.provider.script("vid_1", DONE)
    await declare(world, WatchRequest("vid_1", HOOK))
    await declare(world, WatchRequest("vid_1", HOOK))
    assert (len(world.sender.posts), world.provider.times("vid_1")) == (1, [0])


async def test_a_declared_watch_of_a_task_that_ended_is_told_at_once(world):
    """As one of the intake."""
    await world.told("vid_1", DONE)
    await declare(world, WatchRequest("vid_1", OTHER))
    assert [post.url for post in world.sender.posts] == [HOOK, OTHER]
