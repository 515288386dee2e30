"""Misbehaviour: one spoilt answer, and which poll meets it."""

import json

import pytest

from notifier.demo.simulator.rule import AtRandom, During, Every, Honest, InOrder, parse_misbehaviour, step_at
from notifier.demo.simulator.step import Step, answer, nth

RUNNING = {"id": "vid_1", "object": "video", "status": "processing"}
COMPLETED = {"id": "vid_1", "object": "video", "status": "completed", "video_url": "https://x/1.mp4"}
FAILED = {"id": "vid_1", "object": "video", "status": "failed"}
A, B = Step(status=500), Step(status=404)


def test_without_a_step_the_truth_is_told():
    """The body is the truth as JSON, with 200."""
    told = answer(RUNNING, None)
    assert (told.http_status, json.loads(told.body), told.status) == (200, RUNNING, "processing")
    assert told.headers == {"content-type": "application/json"}


def test_an_error_status_hides_the_truth():
    """A 4xx or 5xx carries an error object instead of the task, and Retry-After when ordered."""
    told = answer(COMPLETED, Step(status=429, retry_after=2))
    assert (told.http_status, told.headers["retry-after"], told.status) == (429, "2", None)
    assert json.loads(told.body) == {"error": {"code": "429", "message": "Simulated answer 429."}}


def test_headers_can_be_added_and_replaced():
    """Header names are matched in any case."""
    headers = answer(RUNNING, Step(status=302, headers={"Location": "/x", "Content-Type": "text/html"})).headers
    assert headers == {"content-type": "text/html", "location": "/x"}


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_may_have_no_body_have_none(status):
    """204 and 304 come without a body."""
    assert answer(RUNNING, Step(status=status)).body == b""


def test_a_body_is_sent_as_it_is():
    """A raw body replaces the JSON and keeps the status 200."""
    told = answer(COMPLETED, Step(body="{broken"))
    assert (told.http_status, told.body, told.status) == (200, b"{broken", None)


def test_fields_are_laid_over_the_truth():
    """A field can be added, changed or, with null, taken away."""
    told = json.loads(answer(RUNNING, Step(fields={"status": "rendering", "object": None, "eta": 3})).body)
    assert told == {"id": "vid_1", "status": "rendering", "eta": 3}


def test_padding_makes_the_answer_large():
    """`pad` characters are added to a true answer."""
    assert len(answer(RUNNING, Step(pad=5000)).body) > 5000


@pytest.mark.parametrize(
    ("truth", "step", "ends"),
    [
        (RUNNING, None, False),
        (COMPLETED, None, True),
        (FAILED, None, True),
        (COMPLETED, Step(), True),
        (COMPLETED, Step(delay=5), True),
        (COMPLETED, Step(fields={"video_url": None}), False),
        (COMPLETED, Step(fields={"id": "another"}), False),
        (FAILED, Step(status=500), False),
        (FAILED, Step(status=201), False),
        (FAILED, Step(body="{broken"), False),
        (FAILED, Step(drip=1), False),
        (FAILED, Step(pad=1024 * 1024), False),
        (RUNNING, Step(fields={"status": "failed"}), True),
    ],
)
def test_only_a_believable_end_ends(truth, step, ends):
    """An answer ends a task when a poller can read it whole, it is ours, final, and a success has its URL."""
    assert answer(truth, step).ends is ends


def test_steps_are_used_up_in_order():
    """Each step meets `repeat` polls, and after the last one nothing goes wrong any more."""
    steps = (Step(status=500, repeat=2), Step(status=404))
    assert [nth(steps, index) for index in range(4)] == [steps[0], steps[0], steps[1], None]


def test_the_empty_step_spoils_nothing():
    """An honest answer in between is no misbehaviour, however often it is repeated."""
    assert not Step(repeat=3).spoils
    assert Step(delay=1).spoils


def test_rule_for_no_poll():
    """The honest rule never gives a step."""
    assert step_at(Honest(), 0, 0.0) is None


def test_rule_in_order():
    """One step a poll, then none."""
    assert [step_at(InOrder((A, B)), index, 0.0) for index in range(3)] == [A, B, None]


def test_rule_every_nth():
    """With `every` 3 the third, sixth … polls meet the step."""
    assert [step_at(Every(3, A), index, 0.0) for index in range(6)] == [None, None, A, None, None, A]


def test_rule_during_a_time():
    """All polls of the window and none before or after it."""
    rule = During(lasting=10, step=A, after=5)
    assert [step_at(rule, 0, elapsed) for elapsed in (4.9, 5, 14.9, 15)] == [None, A, A, None]


def test_rule_at_random_is_repeatable_and_about_as_frequent_as_told():
    """One poll in `one_in` on average, all steps drawn; the same seed draws the same, another another."""
    drawn = [step_at(AtRandom(5, (A, B)), index, 0.0) for index in range(1000)]
    assert 150 < sum(step is not None for step in drawn) < 250
    assert A in drawn
    assert B in drawn
    assert drawn == [step_at(AtRandom(5, (A, B)), index, 0.0) for index in range(1000)]
    assert drawn != [step_at(AtRandom(5, (A, B), seed=1), index, 0.0) for index in range(1000)]


def test_misbehaviour_by_name():
    """The command line names statuses and kinds; 429 tells how long to wait, as real ones do."""
    assert parse_misbehaviour("429, 500,slow,broken,drip") == (
        Step(status=429, retry_after=2),
        Step(status=500),
        Step(delay=5),
        Step(body="{broken"),
        Step(drip=0.5),
    )


@pytest.mark.parametrize("text", ["", "429,,500", "200", "600", "Slow", "٤٢٩", "42"])
def test_unknown_misbehaviour_is_refused_with_what_is_known(text):
    """A word that is no kind of trouble is an error that lists them."""
    with pytest.raises(ValueError, match="HTTP statuses from 300 to 599, slow, drip, broken"):
        parse_misbehaviour(text)
