"""What each attempt makes of a delivery."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.delivery import (
    Answered,
    Attempt,
    RetrySchedule,
    Unanswered,
    new_delivery,
    redeliver,
    settle,
)
from notifier.domain.event import Event
from tests.thoroughness import examples

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
HOOK = "https://app.example.com/hook"
FRESH = new_delivery(Event("evt_1", "task.completed", b"{}"), watch_id="wch_1", callback_url=HOOK, now=NOW)
SCHEDULE = RetrySchedule((5.0, 30.0))
DOWN = Unanswered("connection refused", 0.25)


def answered(http_status, retry_after=None):
    return Answered(http_status, retry_after, "body", 0.25)


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def tried(*receipts, delivery=FRESH, schedule=SCHEDULE, spread=0.0):
    """The delivery after attempts that end at its start, one after the other, and the log's last line."""
    attempt = None
    for receipt in receipts:
        delivery, attempt = settle(delivery, receipt, ended_at=NOW, schedule=schedule, spread=spread)
    return delivery, attempt


def test_a_delivery_is_due_at_once_under_its_events_id():
    """One id for both, and the body that every attempt sends."""
    assert (FRESH.id, FRESH.type, FRESH.body, FRESH.watch_id) == ("evt_1", "task.completed", b"{}", "wch_1")
    assert (FRESH.state, FRESH.next_attempt_at, FRESH.created_at, FRESH.attempts) == ("pending", NOW, NOW, 0)


@pytest.mark.parametrize("http_status", [200, 201, 204, 299])
def test_a_2xx_delivers(http_status):
    """And that is the end of it."""
    delivery, attempt = tried(DOWN, answered(http_status))
    assert (delivery.state, delivery.next_attempt_at, delivery.reason) == ("delivered", None, None)
    assert (delivery.attempts, delivery.failures) == (2, 1)
    assert attempt == Attempt(at(-0.25), "delivered", http_status, None, 0.25, "body")


@pytest.mark.parametrize("receipt", [*map(answered, (199, 300, 400, 401, 404, 409, 429, 500, 503, 599)), DOWN])
def test_everything_else_is_retried_by_the_schedule(receipt):
    """Client errors too: a receiver that is being deployed answers 404."""
    delivery, attempt = tried(receipt)
    assert (delivery.state, delivery.next_attempt_at, delivery.failures) == ("pending", at(5), 1)
    assert attempt.outcome == "failed"


@pytest.mark.parametrize("http_status", [300, 301, 307, 399])
def test_a_redirect_is_a_failure_and_says_so(http_status):
    """Nothing is posted where it points."""
    _, attempt = tried(answered(http_status))
    assert attempt.error == f"HTTP {http_status}; redirects are not followed"


@pytest.mark.parametrize("http_status", [299 - 100, 400])
def test_other_failures_name_their_status_only(http_status):
    """The hint about redirects is for redirects."""
    assert tried(answered(http_status))[1].error == f"HTTP {http_status}"


def test_the_log_keeps_what_happened():
    """Begin, outcome, status or error, duration and the start of the answer."""
    assert tried(answered(500))[1] == Attempt(at(-0.25), "failed", 500, "HTTP 500", 0.25, "body")
    assert tried(DOWN)[1] == Attempt(at(-0.25), "failed", None, "connection refused", 0.25, None)


def test_n_waits_make_one_attempt_more():
    """After the last one the delivery is exhausted, and nothing is due."""
    delivery, _ = tried(DOWN, DOWN)
    assert (delivery.state, delivery.next_attempt_at) == ("pending", at(30))
    delivery, attempt = tried(DOWN, DOWN, DOWN)
    assert (delivery.state, delivery.reason, delivery.next_attempt_at) == ("exhausted", "schedule", None)
    assert (delivery.attempts, delivery.failures, attempt.outcome) == (3, 3, "failed")


def test_without_waits_there_is_one_attempt():
    """An empty schedule is a schedule."""
    assert tried(DOWN, schedule=RetrySchedule(()))[0].state == "exhausted"


def test_a_shorter_schedule_ends_what_is_beyond_it():
    """After a reload a delivery can be further on than the new schedule goes."""
    far = replace(FRESH, attempts=9, failures=9)
    assert tried(DOWN, delivery=far)[0].reason == "schedule"


@pytest.mark.parametrize(("spread", "seconds"), [(-1.0, 4.0), (0.0, 5.0), (0.5, 5.5), (1.0, 6.0)])
def test_jitter_moves_a_wait_by_up_to_a_fifth(spread, seconds):
    """±20 %, counted from the end of the attempt."""
    assert tried(DOWN, spread=spread)[0].next_attempt_at == at(seconds)


def test_410_ends_it_at_once():
    """The receiver is gone, and says so; a Retry-After changes nothing about that."""
    for receipt in (answered(410), answered(410, 5.0)):
        delivery, attempt = tried(receipt)
        assert (delivery.state, delivery.reason, delivery.next_attempt_at) == ("exhausted", "gone", None)
        assert (attempt.outcome, attempt.error, delivery.attempts) == ("failed", "HTTP 410", 1)


@pytest.mark.parametrize("http_status", [429, 503])
@pytest.mark.parametrize(
    ("told", "seconds"), [(7.0, 7.0), (0.0, 1.0), (0.5, 1.0), (86_400.0, 86_400.0), (1e12, 86_400.0)]
)
def test_retry_after_is_obeyed_without_using_up_the_schedule(http_status, told, seconds):
    """As told, without jitter: at least a second, at most a day."""
    delivery, attempt = tried(answered(http_status, told), spread=1.0)
    assert (delivery.state, delivery.next_attempt_at) == ("pending", at(seconds))
    assert (delivery.attempts, delivery.failures, delivery.deferrals) == (1, 0, 1)
    assert (attempt.outcome, attempt.http_status, attempt.error) == ("deferred", http_status, f"HTTP {http_status}")


@pytest.mark.parametrize("http_status", [302, 413, 500, 502])
def test_retry_after_means_nothing_with_other_statuses(http_status):
    """Only 429 and 503 may postpone."""
    delivery, _ = tried(answered(http_status, 77.0))
    assert (delivery.next_attempt_at, delivery.failures, delivery.deferrals) == (at(5), 1, 0)


def test_a_receiver_may_postpone_twenty_times():
    """From then on its Retry-After is an ordinary failure, so that nothing is owed for ever."""
    delivery, attempt = tried(*[answered(429, 7.0)] * 20)
    assert (delivery.deferrals, delivery.failures, attempt.outcome) == (20, 0, "deferred")
    delivery, attempt = tried(*[answered(429, 7.0)] * 21)
    assert (delivery.deferrals, delivery.failures, attempt.outcome) == (20, 1, "failed")
    assert delivery.next_attempt_at == at(5)


def test_postponing_does_not_have_to_come_in_a_row():
    """Deferrals and failures are counted apart."""
    delivery, _ = tried(DOWN, answered(429, 7.0), DOWN, answered(503, 7.0))
    assert (delivery.attempts, delivery.failures, delivery.deferrals) == (4, 2, 2)


@pytest.mark.parametrize("receipt", [answered(204), answered(410)])
def test_a_settled_delivery_can_be_sent_again(receipt):
    """Same id, same body, a fresh schedule, due now; the attempts go on counting."""
    settled, _ = tried(answered(429, 7.0), DOWN, receipt)
    again = redeliver(settled, now=at(1000))
    assert again == replace(FRESH, attempts=3, next_attempt_at=at(1000))
    assert tried(DOWN, delivery=again)[0].next_attempt_at == at(5)


def test_a_pending_delivery_is_not_sent_again():
    """It is being sent already."""
    assert redeliver(FRESH, now=NOW) is None
    assert redeliver(tried(DOWN)[0], now=NOW) is None


receipts = st.one_of(
    st.builds(answered, st.integers(100, 999), st.none() | st.floats(0, 1e12)),
    st.builds(answered, st.sampled_from([429, 503]), st.floats(0, 100)),
    st.just(DOWN),
)


@given(st.lists(st.floats(0.01, 1e6), max_size=5), st.lists(receipts, min_size=27, max_size=40), st.floats(-1, 1))
@settings(max_examples=examples(25), deadline=None)
def test_a_delivery_ends_within_its_schedule_and_no_retry_is_early(waits, said, spread):
    """Whatever a receiver says: at most 1 + n attempts and 20 deferrals, each as late as the schedule or it asked."""
    delivery, now, schedule = FRESH, NOW, RetrySchedule(tuple(waits))
    for receipt in said:
        before = delivery
        delivery, attempt = settle(before, receipt, ended_at=now, schedule=schedule, spread=spread)
        if delivery.state != "pending":
            break
        wait = (delivery.next_attempt_at - now).total_seconds()
        if attempt.outcome == "deferred":
            assert wait == pytest.approx(min(max(receipt.retry_after, 1.0), 86_400.0), abs=1e-5)
        else:
            assert wait >= 0.8 * waits[before.failures] - 1e-5
            assert wait <= 1.2 * waits[before.failures] + 1e-5
        now = delivery.next_attempt_at
    assert delivery.state != "pending"
    assert delivery.attempts <= 1 + len(waits) + 20
    assert delivery.next_attempt_at is None
