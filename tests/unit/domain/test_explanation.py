"""Why an answer means what it does, and what comes of it."""

from datetime import UTC, datetime

import pytest

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
from notifier.domain.description import Description, ErrorPaths, Question, Rule, SecondLook
from notifier.domain.explanation import decided_by, decided_by_result, findings, rule_text, what_follows
from notifier.domain.expression import compile_expression
from notifier.domain.http_answer import HttpAnswer
from notifier.domain.reading import Reading, read, read_result
from notifier.domain.template import parse_template

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
CODE = compile_expression("code && code != `0`")
DESCRIPTION = Description(
    base_url="https://api.acme.example",
    poll=Question(parse_template("/v1/jobs/{task_id}", "path")),
    status=(compile_expression("state"), compile_expression("data.state")),
    running=frozenset({"queued"}),
    completed=frozenset({"done"}),
    failed=frozenset({"broken"}),
    id=(compile_expression("id"),),
    urls=(compile_expression("url"),),
    error=ErrorPaths(message=(compile_expression("error"),)),
    rules=(Rule("running", http=((202, 202), (500, 599))), Rule("unavailable", when=CODE)),
    result=SecondLook(path=parse_template("/r", "path"), rules=(Rule("failed", http=((422, 422),)),)),
)
VALUES = {"task_id": "a"}


def why(body, status=200):
    heard = HttpAnswer(status, {}, body.encode())
    return decided_by(read(DESCRIPTION, heard, VALUES, now=NOW), status, DESCRIPTION)


@pytest.mark.parametrize(
    ("body", "status", "because"),
    [
        ("", 202, "rules[0]: {http: [202, 5xx], outcome: running}"),
        ('{"code": 5}', 200, "rules[1]: {when: 'code && code != `0`', outcome: unavailable}"),
        ("{}", 404, "HTTP 404 in the table of all providers, as no rule fits"),
        ("no JSON", 200, "the answer is not a JSON object"),
        ('{"id": "b", "state": "done"}', 200, "the answer is about another task: its id is not ours"),
        ("{}", 200, "status ('state', 'data.state') finds no word, which is running"),
        ('{"state": "Queued"}', 200, "the status word 'Queued' is one of running"),
        ('{"state": "whirling"}', 200, "the status word 'whirling' is in none of the lists, which is running"),
        ('{"state": "DONE"}', 200, "the status word 'DONE' is one of completed"),
        ('{"state": "broken"}', 200, "the status word 'broken' is one of failed"),
        (
            '{"state": "done", "error": "e"}',
            200,
            "the status word 'done' is one of completed, but the answer says what went wrong (error)",
        ),
    ],
)
def test_what_decided_is_named(body, status, because):
    """The rule with its index, the table, what was wrong with the body, or the word and the list that it is in."""
    assert why(body, status) == because


@pytest.mark.parametrize(
    ("body", "status", "because"),
    [
        ("{}", 422, "rules[0]: {http: [422], outcome: failed}"),
        ("{}", 500, "HTTP 500 in the table of all providers, as no rule fits"),
        ('{"error": "e"}', 200, "the answer says what went wrong (error), so that the success is a failure"),
        ('{"url": "https://a.example/"}', 200, "the task had completed, and here is its result"),
    ],
)
def test_a_second_answer_has_rules_of_its_own(body, status, because):
    """And no status word."""
    reading = read_result(DESCRIPTION, Completed("done", ()), HttpAnswer(status, {}, body.encode()), VALUES, now=NOW)
    assert decided_by_result(reading, status, DESCRIPTION) == because


def test_what_needs_no_rule_and_no_word_is_told_all_the_same():
    """Nothing here raises, whatever a reading holds."""
    plain = Description("https://a.example", DESCRIPTION.poll)
    assert decided_by(Reading(Throttled(None)), 200, plain) == "no rule fits"
    assert decided_by(Reading(Running(None, known=False)), 200, plain).startswith("status (nothing is described)")
    assert decided_by_result(Reading(Completed("done", ())), 200, plain).startswith("the task had completed")
    assert rule_text(Rule("refused", ((400, 499),), CODE)).startswith("{http: [4xx], when: 'code")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Running("queued", True, None, 0.25, 5.0, "m1"), "status=queued progress=25% ask again=in 5 s model=m1"),
        (Running(None, False), ""),
        (
            Completed("done", ("https://a/", "https://b/"), None, NOW),
            "status=done url=https://a/ url=https://b/ expires=2026-11-22T13:33:00.000000Z",
        ),
        (Completed("done", (), downloads=("https://a/content",)), "status=done download=https://a/content"),
        (Failed("broken", TaskError("nsfw", "refused")), "status=broken error code=nsfw error=refused"),
        (Failed("broken", TaskError(None, "refused")), "status=broken error=refused"),
        (Missed(True, "HTTP 400"), "error=HTTP 400"),
        (Unavailable("HTTP 500"), "error=HTTP 500"),
        (Throttled(7.0), "retry after=7 s"),
        (Throttled(None), ""),
        (Unauthorized(401), ""),
    ],
)
def test_findings_are_what_an_answer_says_beside_its_meaning(answer, found):
    """Each under its name; what was not found is left out."""
    assert " ".join(f"{name}={value}" for name, value in findings(answer)) == found


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (Running("queued", True), "the task is polled again at its interval (30s)"),
        (Running("queued", True, ask_again=7.0), "the task is polled again after 7s, as the answer says"),
        (Running("queued", True, ask_again=1.0), "the task is polled again after 5s, as the answer says"),
        (Completed("done", ("https://a/",)), "the task ends; its watches are told with task.completed"),
        (Completed("done", (), final=True), "the task ends; its watches are told with task.completed"),
        (Completed("done", ()), "it is polled 3 more times for a URL, at its interval (30s); then the task ends with"),
        (Failed("broken", TaskError(None, "e")), "the task ends; its watches are told with task.failed"),
        (Missed(False, "HTTP 404"), "the task is polled again at its interval; after 3 such answers in a row, the fir"),
        (Throttled(None), "no task of this provider is polled for a while: again after 30s, then after pauses that d"),
        (Throttled(7.0), "no task of this provider is polled for 7 s, as it says; no task ends by it"),
        (Unauthorized(401), "check the key and auth: no task of this provider is polled but after 30s, then after pau"),
        (Unavailable("HTTP 500"), "the task is polled again after 30s, then after pauses that double up to 5m; it doe"),
    ],
)
def test_what_follows_is_what_the_daemon_does(answer, then):
    """As the README's table of outcomes has it."""
    assert what_follows(answer, interval=30.0, min_interval=5.0, not_found_grace=120.0).startswith(then)


def test_a_missed_task_ends_with_the_reason_of_its_answers():
    """After the grace."""
    limits = {"interval": 30.0, "min_interval": 5.0, "not_found_grace": 120.0}
    told = [what_follows(Missed(refused, ""), **limits) for refused in (False, True)]
    assert [text.rpartition("at least ")[2] for text in told] == [
        "2m ago, it ends (task.abandoned, reason not_found)",
        "2m ago, it ends (task.abandoned, reason refused)",
    ]
