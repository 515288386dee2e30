"""When the result URLs of a late delivery are too old, and what asking again makes of its event."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from notifier.domain.answer import Completed, Failed, Missed, Running, TaskError, Throttled, Unauthorized, Unavailable
from notifier.domain.delivery import new_delivery
from notifier.domain.event import announce
from notifier.domain.freshness import LEAST_AGE_SECONDS, Freshness, left_stale, renew, rewrite
from notifier.domain.result_file import ResultFile
from tests.unit.domain.test_event import NOW, TASK, WATCH

HOUR = Freshness(3600.0, margin=15.0)
LATER = NOW + timedelta(hours=3)
NEW = Completed("succeeded", ("https://cdn.example/2.mp4",), '{"n":2}', expires_at=LATER + timedelta(hours=1))


def after(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("age", "lost"), [(0, False), (3599.9, False), (3600, True), (1e6, True), (-50, False)])
def test_urls_are_asked_for_again_when_they_are_too_old(age, lost):
    """So long after they were learned; a clock that was set back makes nothing old."""
    assert HOUR.lost(NOW, None, after(age)) == lost


@pytest.mark.parametrize(("left", "lost"), [(15.1, False), (15, True), (0, True), (-1000, True)])
def test_urls_that_expire_within_an_attempt_are_asked_for_again(left, lost):
    """However young they are; what the provider says of them counts more than what is usual."""
    assert HOUR.lost(NOW, after(60 + left), after(60)) == lost


def test_urls_that_are_dead_on_arrival_are_left_alone_for_a_while():
    """They would be no better at the next look."""
    assert not HOUR.lost(NOW, NOW, after(LEAST_AGE_SECONDS - 0.1))
    assert HOUR.lost(NOW, NOW, after(LEAST_AGE_SECONDS))
    assert Freshness(1.0, margin=15.0).lost(NOW, NOW, after(1.0))


def test_an_event_without_urls_is_never_too_old():
    """There is nothing to ask for."""
    assert not HOUR.lost(None, None, after(1e9))


def test_a_renewed_task_has_the_urls_of_the_answer():
    """And what else the answer says of them; the end and the polls stay."""
    task = renew(left_stale(TASK, "then"), NEW, LATER)
    end = replace(TASK.end, urls=NEW.urls, expires_at=NEW.expires_at, refreshed_at=LATER)
    assert task == replace(TASK, status="succeeded", response='{"n":2}', end=end)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Completed("completed", ()), "the provider no longer names a result URL"),
        (Running("queued", known=True), "the provider no longer says that the task is completed, but queued"),
        (Running(None, known=True), "the provider no longer says that the task is completed, but nothing"),
        (Failed("failed", TaskError(None, "x")), "the provider no longer says that the task is completed, but failed"),
        (Missed(refused=False, message="HTTP 404"), "the provider no longer tells of the task: HTTP 404"),
        (Throttled(5.0), "the provider is throttling"),
        (Unauthorized(401), "HTTP 401: the provider refuses our key"),
        (Unavailable("HTTP 502"), "the provider gave no usable answer: HTTP 502"),
    ],
)
def test_any_other_answer_leaves_the_old_urls_and_says_why(answer, why):
    """What was completed stays completed."""
    task = renew(TASK, answer, LATER)
    assert task == replace(TASK, end=replace(TASK.end, refresh_error=why))


def test_a_task_that_goes_on_cannot_be_renewed():
    """That would be a fault of ours."""
    with pytest.raises(ValueError, match="goes on"):
        renew(replace(TASK, end=None), NEW, LATER)


def test_a_body_is_written_anew_from_what_is_known():
    """Same id, type and watch, fresh URLs, and when they were learned."""
    event = announce(TASK, WATCH, "evt_1")
    old = replace(new_delivery(event, watch_id="wch_1", callback_url="https://x", now=NOW), attempts=3, failures=2)
    fresh = rewrite(old, renew(TASK, NEW, LATER), WATCH)
    assert replace(fresh, body=old.body, urls_at=old.urls_at, urls_expire_at=None) == old
    assert (fresh.urls_at, fresh.urls_expire_at) == (LATER, NEW.expires_at)
    data, before = json.loads(fresh.body)["data"], json.loads(old.body)["data"]
    changed = {"urls", "status", "response", "expires_at", "refreshed_at"}
    assert {name for name in before if before[name] != data[name]} == changed
    assert (data["urls"], data["refreshed_at"]) == (["https://cdn.example/2.mp4"], "2026-11-22T16:33:00.123456Z")
    assert "refresh_error" not in data


def test_a_body_that_nothing_has_changed_is_the_same_bytes():
    """Also of an event about saved results, which keeps its type and its files."""
    saved = ResultFile(0, TASK.end.urls[0], "vid_8f2c/wch_1-0", "saved", "file:///0.mp4", 3, "aa", "video/mp4", NOW)
    task = replace(TASK, end=replace(TASK.end, files=(saved,)))
    event = announce(task, WATCH, "evt_2", "result.saved")
    delivery = new_delivery(event, watch_id="wch_1", callback_url="https://x", now=NOW)
    assert rewrite(delivery, task, WATCH) == delivery
    remarked = json.loads(rewrite(delivery, left_stale(task, "why"), WATCH).body)
    assert (remarked["type"], remarked["data"]["refresh_error"]) == ("result.saved", "why")
    assert remarked["data"]["files"] == json.loads(delivery.body)["data"]["files"]
