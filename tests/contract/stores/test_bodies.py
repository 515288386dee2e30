"""BodyStore: what a delivery is about is found, and a body that is written anew is kept before it is sent."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import insert

from notifier.adapters.stores.schema import files
from notifier.domain.answer import Completed
from notifier.domain.freshness import left_stale, renew, rewrite
from tests.contract.stores.building import (
    T0,
    Announcer,
    at,
    completed,
    delivered,
    failed,
    given_up,
    registration,
    tried,
)

NEW = Completed("succeeded", ("https://cdn.example/2.mp4",), '{"n":2}', expires_at=at(9999), downloads=("/2/content",))


async def owed(store, end=completed):
    announcer = Announcer()
    (result,) = await store.register([registration()], T0, announcer)
    (delivery,) = await store.end(end(result.task), announcer)
    return delivery


async def test_the_subject_of_a_delivery_is_its_ended_task_and_its_watch(store):
    """As they were when its event was made: from them its body can be made again, byte for byte."""
    for end in (completed, failed):
        announcer = Announcer()
        (result,) = await store.register([registration(ord(end.__name__[0]), task=end.__name__)], T0, announcer)
        (delivery,) = await store.end(end(result.task), announcer)
        subject = await store.subject(delivery.id)
        assert (subject.task.task_id, subject.watch.id) == (end.__name__, delivery.watch_id)
        assert rewrite(delivery, subject.task, subject.watch) == delivery


async def test_a_subject_has_its_files(store):
    """In their order."""
    delivery = await owed(store)
    subject = await store.subject(delivery.id)
    plain = {"task_key": subject.task.key, "state": "pending", "tries": 0, "created_at": T0, "name": "x"}
    rows = [{**plain, "n": n, "url": f"https://{n}"} for n in (1, 0)]
    await store._writer.write(lambda on: on.execute(insert(files), rows))
    subject = await store.subject(delivery.id)
    assert [(file.n, file.url) for file in subject.task.end.files] == [(0, "https://0"), (1, "https://1")]


async def test_a_delivery_without_a_subject(store):
    """It is gone, or its task was given up, which may be polled again."""
    assert await store.subject("evt_unknown") is None
    assert await store.subject((await owed(store, given_up)).id) is None


async def test_a_body_is_written_anew_and_what_was_learned_is_kept(backend):
    """Both are there when the store is opened again; other watches of the task have the new URLs too."""
    store = await backend.open()
    delivery = await owed(store)
    subject = await store.subject(delivery.id)
    task = renew(subject.task, NEW, at(5000))
    fresh = replace(rewrite(delivery, task, subject.watch), links_expire_at=at(9000))
    assert await store.rewrite(fresh, task)
    await store.close()
    store = await backend.open()
    assert await store.delivery(delivery.id) == fresh
    assert (await store.subject(delivery.id)).task == task
    announcer = Announcer()
    (other,) = await store.register([registration(2, url="https://other.example/hook")], at(6000), announcer)
    assert other.owed[0].urls_at == at(5000)
    await store.close()


async def test_a_remark_changes_the_body_alone(store):
    """Why there is no fresh URL is one delivery's, and no knowledge of the task."""
    delivery = await owed(store)
    subject = await store.subject(delivery.id)
    task = left_stale(subject.task, "why")
    assert await store.rewrite(rewrite(delivery, task, subject.watch), task)
    assert b'"refresh_error":"why"' in (await store.delivery(delivery.id)).body
    assert await store.subject(delivery.id) == subject


async def test_what_was_learned_earlier_replaces_nothing_newer(store):
    """Two deliveries of a task may be refreshed at the same time; the latest answer stays."""
    delivery = await owed(store)
    subject = await store.subject(delivery.id)
    newer = renew(subject.task, NEW, at(5000))
    older = renew(subject.task, replace(NEW, urls=("https://cdn.example/old",)), at(5000) - timedelta(seconds=1))
    assert await store.rewrite(rewrite(delivery, newer, subject.watch), newer)
    assert await store.rewrite(rewrite(delivery, older, subject.watch), older)
    assert (await store.subject(delivery.id)).task == newer


async def test_only_what_is_pending_and_was_not_attempted_meanwhile_is_rewritten(store):
    """Compare-and-set on the number of attempts; of what was delivered the body stays that of the last attempt."""
    delivery = await owed(store)
    task = (await store.subject(delivery.id)).task
    settled, attempt = tried(delivery)
    await store.settle(settled, attempt)
    assert not await store.rewrite(replace(delivery, body=b"{}"), task)
    assert await store.rewrite(replace(settled, body=b"{}"), task)
    over, attempt = delivered(settled)
    await store.settle(over, attempt)
    assert not await store.rewrite(replace(over, body=b"[]"), task)
    assert not await store.rewrite(replace(settled, id="evt_unknown"), task)
    assert (await store.delivery(delivery.id)).body == b"{}"


async def test_an_attempt_and_a_rewriting_do_not_both_win(store):
    """Whichever comes first."""
    delivery = await owed(store)
    task = (await store.subject(delivery.id)).task
    asked = [store.settle(*tried(delivery)), store.rewrite(replace(delivery, body=b"{}"), task)]
    settled, rewritten = await asyncio.gather(*asked)
    kept = await store.delivery(delivery.id)
    assert (settled, rewritten, kept.attempts, kept.body) == ("kept", False, 1, delivery.body)
