"""What each answer makes of a task."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.answer import (
    Completed,
    Failed,
    Missed,
    Running,
    TaskError,
    Throttled,
    Unauthorized,
    Unavailable,
)
from notifier.domain.task import End, Step, Task, advance, backoff
from tests.thoroughness import examples

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
TASK = Task(1, "videos", "vid_1", 30.0, NOW + timedelta(days=1))
GRACE = 120.0

RUNNING = Running("processing", True, '{"status":"processing"}')
DONE = Completed("completed", ("https://cdn.example/1.mp4",), '{"status":"completed"}')
BARE = Completed("completed", (), '{"status":"completed","video_url":null}')
BROKEN = Failed("failed", TaskError("E1", "too dark"), '{"status":"failed"}')
NOT_FOUND = Missed(False, "HTTP 404", None)
REFUSED = Missed(True, "HTTP 422", '{"message":"no"}')
BAD_GATEWAY = Unavailable("HTTP 502")


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def polled(*answers, task=TASK, every=30.0, grace=GRACE):
    """The last step of a task that is polled `every` so many seconds and gets these answers."""
    step = Step(task)
    for number, answer in enumerate(answers):
        step = advance(step.task, answer, now=at(number * every), not_found_grace=grace)
    return step


def test_every_answer_counts_as_a_poll():
    """Number and time of polls are kept, whatever came."""
    for answer in (RUNNING, DONE, BROKEN, NOT_FOUND, Throttled(None), Unauthorized(401), BAD_GATEWAY):
        task = polled(RUNNING, answer).task
        assert (task.polls, task.last_polled_at) == (2, at(30))


def test_running_goes_on_and_keeps_what_was_said():
    """The status is the provider's own word, the response its last answer."""
    step = polled(RUNNING)
    assert (step.task.status, step.task.response) == ("processing", '{"status":"processing"}')
    assert (step.task.end, step.task.last_error, step.back_off) == (None, None, False)


def test_only_news_is_worth_a_write():
    """A status that is the same as before changes nothing that a restart must know; a new one does."""
    assert polled(RUNNING).changed
    assert not polled(RUNNING, RUNNING).changed
    assert polled(RUNNING, Running("rendering", False)).changed


def test_an_unknown_word_is_running():
    """A word that nobody mapped ends nothing, however often it comes."""
    assert polled(*[Running("archived", False)] * 50).task.end is None


def test_a_status_that_is_missing_is_running():
    """An object without a status is an answer all the same."""
    step = polled(Running(None, False))
    assert (step.task.end, step.task.status, step.changed) == (None, None, False)


def test_success_ends_the_task_with_its_urls():
    """One answer is enough, for it is final."""
    step = polled(RUNNING, DONE)
    assert step.task.end == End("completed", at(30), urls=("https://cdn.example/1.mp4",))
    assert (step.task.status, step.task.response, step.changed) == ("completed", DONE.response, True)


def test_failure_ends_the_task_with_its_error():
    """The provider's own error is kept."""
    step = polled(RUNNING, BROKEN)
    assert step.task.end == End("failed", at(30), error=TaskError("E1", "too dark"))
    assert (step.task.status, step.task.response, step.changed) == ("failed", BROKEN.response, True)


def test_success_without_a_url_is_asked_for_three_more_times():
    """Then it ends without one."""
    for more in range(3):
        step = polled(*[BARE] * (1 + more))
        assert (step.task.end, step.changed, step.back_off) == (None, True, False)
    assert polled(*[BARE] * 4).task.end == End("completed", at(90))


def test_a_url_that_comes_late_ends_the_task_at_once():
    """That is what the extra polls are for."""
    assert polled(BARE, BARE, DONE).task.end == End("completed", at(60), urls=DONE.urls)


@pytest.mark.parametrize(("answer", "reason"), [(NOT_FOUND, "not_found"), (REFUSED, "refused")])
def test_a_task_is_abandoned_after_three_misses_and_the_grace(answer, reason):
    """Three in a row, and the first of them at least `not_found_grace` ago."""
    assert polled(answer, answer, every=1000).task.end is None
    assert polled(answer, answer, answer, every=59.9).task.end is None
    assert polled(answer, answer, answer, every=60).task.end == End("abandoned", at(120), reason=reason)
    assert polled(answer, answer, answer, every=60).changed
    assert polled(answer, answer, answer, answer, every=30).task.end is None
    assert polled(*[answer] * 5, every=30).task.end == End("abandoned", at(120), reason=reason)


def test_without_a_grace_three_misses_are_still_needed():
    """A grace of zero does not make one bad poll final."""
    assert polled(NOT_FOUND, NOT_FOUND, grace=0).task.end is None
    assert polled(NOT_FOUND, NOT_FOUND, NOT_FOUND, grace=0, every=0).task.end is not None


def test_misses_of_both_kinds_make_one_row_and_the_last_gives_the_reason():
    """404 and refusals count together."""
    assert polled(NOT_FOUND, NOT_FOUND, REFUSED, every=60).task.end.reason == "refused"
    assert polled(REFUSED, REFUSED, NOT_FOUND, every=60).task.end.reason == "not_found"


@pytest.mark.parametrize("answer", [RUNNING, BARE, BAD_GATEWAY])
def test_another_answer_breaks_the_row_of_misses(answer):
    """In a row means without anything else between: the count and the time begin again, also after a restart."""
    step = polled(NOT_FOUND, NOT_FOUND, answer, every=60)
    assert (step.task.misses, step.task.missed_since, step.changed) == (0, None, True)
    assert polled(NOT_FOUND, NOT_FOUND, answer, NOT_FOUND, every=60).task.end is None
    assert polled(NOT_FOUND, answer, NOT_FOUND, NOT_FOUND, NOT_FOUND, every=59).task.end is None


@pytest.mark.parametrize("answer", [RUNNING, BAD_GATEWAY])
def test_a_broken_row_is_worth_a_write_although_the_status_is_as_before(answer):
    """Else a restart would go on counting from misses that are forgiven."""
    assert polled(RUNNING, NOT_FOUND, answer).changed
    assert not polled(RUNNING, NOT_FOUND, answer, answer).changed


@pytest.mark.parametrize("answer", [Throttled(5.0), Unauthorized(401)])
def test_an_answer_that_is_not_about_the_task_leaves_the_row_alone(answer):
    """Throttling and a bad key say nothing about the task: they neither count as a miss nor forgive one."""
    step = polled(NOT_FOUND, NOT_FOUND, answer, every=60)
    assert (step.task.misses, step.task.missed_since, step.task.end) == (2, NOW, None)


def test_every_miss_survives_a_restart():
    """Each of the row is worth a write, or a restart would begin it again; none asks for a backoff."""
    for count in (1, 2):
        step = polled(*[NOT_FOUND] * count)
        assert (step.changed, step.back_off, step.task.last_error) == (True, False, "HTTP 404")


def test_a_miss_that_says_something_is_the_last_answer():
    """One that says nothing leaves the answer before it."""
    assert polled(RUNNING, REFUSED).task.response == '{"message":"no"}'
    assert polled(RUNNING, NOT_FOUND).task.response == RUNNING.response
    assert polled(RUNNING, REFUSED).task.status == "processing"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Throttled(None), "the provider is throttling"),
        (Unauthorized(403), "HTTP 403: the provider refuses our key; check its api_key"),
        (BAD_GATEWAY, "HTTP 502"),
    ],
)
def test_trouble_of_the_provider_ends_nothing(answer, error):
    """However long it goes on; what was known of the task stays, and the trouble can be seen."""
    step = polled(RUNNING, *[answer] * 500, every=3600)
    assert (step.task.end, step.task.last_error, step.changed) == (None, error, False)
    assert (step.task.status, step.task.response) == (RUNNING.status, RUNNING.response)


def test_only_an_unusable_answer_makes_the_task_itself_back_off():
    """Throttling and a bad key are the whole provider's matter."""
    assert polled(BAD_GATEWAY).back_off
    assert not polled(Throttled(None)).back_off
    assert not polled(Unauthorized(401)).back_off


def test_setbacks_count_in_a_row():
    """A usable answer of any kind begins the count anew."""
    assert polled(BAD_GATEWAY, BAD_GATEWAY, BAD_GATEWAY).task.setbacks == 3
    for answer in (RUNNING, NOT_FOUND, BARE):
        assert polled(BAD_GATEWAY, BAD_GATEWAY, answer).task.setbacks == 0
    assert polled(BAD_GATEWAY, RUNNING, BAD_GATEWAY).task.setbacks == 1


def test_trouble_is_forgotten_when_the_provider_is_well_again():
    """A good answer clears the last error."""
    assert polled(BAD_GATEWAY, RUNNING).task.last_error is None


answers = st.one_of(
    st.sampled_from([RUNNING, DONE, BARE, BROKEN, NOT_FOUND, REFUSED, BAD_GATEWAY, Unauthorized(401), Throttled(1.0)]),
    st.builds(Running, st.none() | st.text(max_size=8), st.booleans()),
)


@given(st.lists(answers, max_size=12), st.lists(answers, min_size=1, max_size=6), st.floats(0, 500))
@settings(max_examples=examples(30), deadline=None)
def test_an_ended_task_never_changes(first, then, every):
    """Whatever is learned later, a task ends once and says the same for ever."""
    ended = polled(*first, DONE, task=TASK, every=every, grace=0).task
    assert ended.end is not None
    assert polled(*then, task=ended) == Step(ended)


@given(st.lists(answers, max_size=30), st.floats(0, 200))
@settings(max_examples=examples(30), deadline=None)
def test_a_task_ends_only_for_a_reason(sequence, every):
    """By a final status, or by three misses with nothing but silence about the task between them."""
    task = polled(*sequence, every=every).task
    about = [one for one in sequence if not isinstance(one, Throttled | Unauthorized)]
    if task.end is None:
        assert not any(one in (DONE, BROKEN) for one in sequence)
    elif task.end.state == "abandoned":
        row = about[: task.polls]
        assert any(all(isinstance(one, Missed) for one in row[i : i + 3]) for i in range(len(row) - 2))
    else:
        assert task.status == task.end.state


def test_a_row_that_a_restart_broke_in_two_is_still_one():
    """Misses are counted in the task, not in memory beside it."""
    saved = polled(NOT_FOUND, NOT_FOUND).task
    assert advance(saved, NOT_FOUND, now=at(500), not_found_grace=GRACE).task.end is not None


@pytest.mark.parametrize(
    ("interval", "failures", "seconds"),
    [
        (30, 1, 30),
        (30, 2, 60),
        (30, 4, 240),
        (30, 5, 300),
        (30, 100_000, 300),
        (0.01, 2, 0.02),
        (0.01, 60, 300),
        (600, 1, 600),
        (600, 5, 600),
    ],
)
def test_backoff_doubles_from_the_interval_up_to_five_minutes(interval, failures, seconds):
    """A task that is polled less often than that keeps its interval."""
    assert backoff(interval, failures, 0.0) == pytest.approx(seconds)


@given(st.floats(0.01, 100_000), st.integers(1, 10_000), st.floats(-1, 1))
@settings(max_examples=examples(30), deadline=None)
def test_backoff_stays_within_a_fifth_of_its_step(interval, failures, spread):
    """Jitter moves it by up to 20 %, never below 80 % of the interval or above 120 % of the ceiling."""
    wait = backoff(interval, failures, spread)
    assert wait == pytest.approx(backoff(interval, failures, 0.0) * (1 + spread / 5))
    assert 0.8 * interval - 1e-9 <= wait <= 1.2 * max(interval, 300.0) + 1e-9
