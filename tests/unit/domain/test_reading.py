"""One poll's answer: HTTP status first, then the JSON body."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.domain.answer import (
    MAX_ANSWER_BYTES,
    OUTCOMES,
    Completed,
    Failed,
    Missed,
    Running,
    TaskError,
    Throttled,
    Unauthorized,
    Unavailable,
    clean_text,
    outcome_name,
)
from notifier.domain.description import Description, ErrorPaths, Question
from notifier.domain.expression import compile_expression
from notifier.domain.reading import HttpAnswer, parse_document, read
from notifier.domain.template import parse_template

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)


DESCRIPTION = Description(
    base_url="https://api.example",
    poll=Question(parse_template("/v1/{task_id}", "path")),
    id=(compile_expression("id"),),
    status=(compile_expression("status"),),
    running=frozenset({"processing"}),
    completed=frozenset({"completed"}),
    failed=frozenset({"failed"}),
    urls=(compile_expression("url || 'https://cdn.example/1.mp4'"),),
    error=ErrorPaths(message=(compile_expression("why"),)),
)


def answer(http_status=200, body=b"{}", *, retry_after=None, truncated=False, task_id="vid_1"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    headers = {} if retry_after is None else {"retry-after": retry_after}
    heard = HttpAnswer(http_status, headers, body, truncated)
    return read(DESCRIPTION, heard, {"task_id": task_id}, now=NOW).answer


def test_the_body_of_a_2xx_says_what_the_task_does():
    """A final word ends, any other word is running; the answer's own text is handed on."""
    assert answer(body={"status": "processing"}) == Running("processing", True, '{"status": "processing"}')
    assert answer(body={"status": "paused"}) == Running("paused", False, '{"status": "paused"}')
    assert answer(body={"status": "failed", "why": "too dark"}).error == TaskError(None, "too dark")
    assert answer(http_status=202, body={"status": "completed"}).urls == ("https://cdn.example/1.mp4",)
    assert answer(http_status=299, body={"status": "completed"}).status == "completed"


@pytest.mark.parametrize(
    ("http_status", "expected"),
    [
        (199, Unavailable("HTTP 199")),
        (300, Unavailable("HTTP 300: redirects are not followed; check base_url")),
        (301, Unavailable("HTTP 301: redirects are not followed; check base_url")),
        (399, Unavailable("HTTP 399: redirects are not followed; check base_url")),
        (400, Missed(True, "HTTP 400", "{}")),
        (401, Unauthorized(401)),
        (402, Missed(True, "HTTP 402", "{}")),
        (403, Unauthorized(403)),
        (404, Missed(False, "HTTP 404", "{}")),
        (410, Missed(True, "HTTP 410", "{}")),
        (422, Missed(True, "HTTP 422", "{}")),
        (429, Throttled(None)),
        (499, Missed(True, "HTTP 499", "{}")),
        (500, Unavailable("HTTP 500")),
        (503, Unavailable("HTTP 503")),
        (599, Unavailable("HTTP 599")),
        (999, Unavailable("HTTP 999")),
    ],
)
def test_without_a_2xx_the_status_alone_decides(http_status, expected):
    """The outcome table of the README, row by row."""
    assert answer(http_status) == expected


def test_a_final_word_counts_only_in_a_2xx():
    """An error page that happens to say `completed` ends nothing."""
    for http_status in (302, 404, 429, 500):
        assert not isinstance(answer(http_status, {"status": "completed"}), Completed)


@pytest.mark.parametrize("http_status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("999999", 3600.0),
        ("Sun, 22 Nov 2026 13:34:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 13:00:00 GMT", 1.0),
    ],
)
def test_retry_after_pauses_between_a_second_and_an_hour(http_status, retry_after, seconds):
    """429, and 503 that says when to come back, throttle for as long as they say, within bounds."""
    assert answer(http_status, retry_after=retry_after) == Throttled(seconds)


def test_an_unreadable_retry_after_counts_as_none():
    """429 then backs off by itself, and 503 is an ordinary failure."""
    assert answer(429, retry_after="soon") == Throttled(None)
    assert answer(503, retry_after="soon") == Unavailable("HTTP 503")


def test_retry_after_means_nothing_with_other_statuses():
    """Only 429 and 503 throttle."""
    assert answer(500, retry_after="7") == Unavailable("HTTP 500")
    assert answer(404, retry_after="7") == Missed(False, "HTTP 404", "{}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"oops",
        b"[]",
        b"null",
        b'"completed"',
        b"\xff\xfe",
        b'{"status": "completed"',
        b'{"n": NaN}',
        b'{"n": -Infinity}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_json_object_is_unavailable(body):
    """Not JSON (RFC 8259, so no NaN either) or not an object: nobody knows what the task does."""
    assert answer(body=body) == Unavailable("the answer is not a JSON object")


def test_a_byte_order_mark_is_no_obstacle():
    """Some servers write one; it is not passed on."""
    assert answer(body=b'\xef\xbb\xbf {"status": "processing"}\n') == Running(
        "processing", True, '{"status": "processing"}'
    )


def test_an_answer_that_went_on_too_long_is_unavailable():
    """Over 1 MiB nothing is believed, even if what was read is whole JSON."""
    assert MAX_ANSWER_BYTES == 1_048_576
    assert answer(body={"status": "completed"}, truncated=True) == Unavailable("the answer is larger than 1 MiB")


@pytest.mark.parametrize("named", [{"id": "vid_2"}, {"id": 7}, {"id": ["vid_1"]}, {"id": ""}])
def test_an_answer_about_another_task_is_unavailable(named):
    """An id that is not ours ends nothing, whatever else it says."""
    meant = answer(body={"status": "completed", **named})
    assert meant == Unavailable("the answer is about another task: its id is not ours")


@pytest.mark.parametrize(("named", "task_id"), [({}, "7"), ({"id": None}, "7"), ({"id": 7}, "7"), ({"id": "7"}, "7")])
def test_an_answer_without_an_id_or_with_ours_is_ours(named, task_id):
    """An id may be missing, or come as a number."""
    assert answer(body={"status": "completed", **named}, task_id=task_id).status == "completed"


def test_the_answer_is_passed_on_as_it_came_up_to_64_kib():
    """Byte for byte, spaces and escapes included; over 64 KiB it is left out."""
    body = b'{ "status":"completed" ,"x":"\\u00e9\xc3\xa9"}'
    assert answer(body=body).response == body.decode()
    filler = 64 * 1024 - len(b'{"status":"completed","x":""}')
    largest = b'{"status":"completed","x":"' + b"x" * filler + b'"}'
    assert len(answer(body=largest).response) == 64 * 1024
    assert answer(body=largest + b" ").response is None
    assert answer(body=largest + b" ").status == "completed"


def test_a_refusal_is_passed_on_only_when_it_is_json():
    """What a 4xx says goes into the event if it can be part of one."""
    assert answer(404, {"message": "unknown"}).response == '{"message": "unknown"}'
    assert answer(404, b"<html>").response is None
    assert answer(404, {"message": "unknown"}, truncated=True).response is None


def test_each_outcome_has_one_name():
    """The closed set of words that logs and metrics use."""
    answers = [
        Running(None, True),
        Completed("done", ()),
        Failed("failed", TaskError(None, "")),
        Missed(False, ""),
        Missed(True, ""),
        Throttled(None),
        Unauthorized(401),
        Unavailable(""),
    ]
    names = "running completed failed not_found refused throttled unauthorized unavailable"
    assert [outcome_name(one) for one in answers] == names.split() == list(OUTCOMES)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("done", "done"),
        ("", ""),
        (7, "7"),
        (1.5, "1.5"),
        (True, None),
        (None, None),
        (["done"], None),
        ({"a": 1}, None),
        ("a\x00b", "ab"),
        ("a\ud800b", "a?b"),
        ("x" * 3000, "x" * 2048),
    ],
)
def test_what_a_provider_says_becomes_text_that_can_be_stored(value, text):
    """Scalars only, whole characters without NUL, cut at 2,048."""
    assert clean_text(value) == text


bodies = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "status"]), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
)


@given(st.integers(100, 999), bodies, st.one_of(st.none(), st.text(max_size=12)), st.booleans())
@example(200, b'{"id": ' + b"[" * 900 + b"]" * 900 + b"}", None, False)
@example(200, b'{"id": ' + b"9" * 5000 + b"}", None, False)
@example(200, b'{"status": 1e999}', None, False)
@settings(max_examples=50, deadline=None)
def test_no_answer_is_an_accident(http_status, body, retry_after, truncated):
    """Whatever bytes come, they mean something, and a task ends only by a 2xx with a final word."""
    meant = answer(http_status, body, retry_after=retry_after, truncated=truncated)
    assert outcome_name(meant)
    if isinstance(meant, Completed | Failed):
        assert 200 <= http_status < 300
        assert not truncated
        assert json.loads(body)["status"] in ("completed", "failed")


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=50, deadline=None)
def test_reading_bytes_never_raises(body):
    """It is a JSON object, an array or nothing."""
    assert isinstance(parse_document(HttpAnswer(200, {}, body)), dict | list | None)
