"""One poll's answer: HTTP status first, then the JSON body."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from notifier.domain.description import (
    Description,
    ErrorPaths,
    ExpiresAfter,
    ExpiresAt,
    HintHeader,
    HintSeconds,
    Question,
    Rule,
    SecondLook,
)
from notifier.domain.expression import compile_expression
from notifier.domain.extract import NO_REASON
from notifier.domain.http_answer import HttpAnswer, parse_document
from notifier.domain.reading import read, read_result
from notifier.domain.template import parse_template
from tests.thoroughness import examples

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


@pytest.mark.parametrize("named", [{"id": "vid_2"}, {"id": 7}, {"id": ["vid_1"]}, {"id": " "}])
def test_an_answer_about_another_task_is_unavailable(named):
    """An id that is not ours ends nothing, whatever else it says."""
    meant = answer(body={"status": "completed", **named})
    assert meant == Unavailable("the answer is about another task: its id is not ours")


@pytest.mark.parametrize("named", [{}, {"id": None}, {"id": ""}, {"id": 7}, {"id": "7"}])
def test_an_answer_without_an_id_or_with_ours_is_ours(named):
    """An id may be missing or empty, or come as a number."""
    assert answer(body={"status": "completed", **named}, task_id="7").status == "completed"


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
@settings(max_examples=examples(50), deadline=None)
def test_no_answer_is_an_accident(http_status, body, retry_after, truncated):
    """Whatever bytes come, they mean something, and a task ends only by a 2xx with a final word."""
    meant = answer(http_status, body, retry_after=retry_after, truncated=truncated)
    assert outcome_name(meant)
    if isinstance(meant, Completed | Failed):
        assert 200 <= http_status < 300
        assert not truncated
        assert json.loads(body)["status"] in ("completed", "failed")


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=examples(50), deadline=None)
def test_reading_bytes_never_raises(body):
    """It is a JSON object, an array or nothing."""
    assert isinstance(parse_document(HttpAnswer(200, {}, body)), dict | list | None)


def paths(*texts):
    return tuple(compile_expression(text) for text in texts)


def reading(description, http_status=200, body=None, *, headers=None, truncated=False):
    raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    return read(description, HttpAnswer(http_status, headers or {}, raw, truncated), VALUES, now=NOW)


NO_ERROR, DARK = TaskError(None, NO_REASON), TaskError(None, "dark")
VALUES = {"task_id": "vid_1", "vars.region": "eu"}
RULED = replace(
    DESCRIPTION,
    rules=(
        Rule("running", http=((202, 202),)),
        Rule("not_found", when=compile_expression("code == `5`")),
        Rule("refused", when=compile_expression("code == `6`")),
        Rule("throttled", http=((400, 499),), when=compile_expression("code == `7`")),
        Rule("unauthorized", when=compile_expression("code == `8`")),
        Rule("unavailable", when=compile_expression("code == `9`")),
        Rule("completed", when=compile_expression("code == `10`")),
        Rule("failed", when=compile_expression("code == `11`")),
        Rule("completed", http=((500, 599),), when=compile_expression("code == `12`")),
        Rule("completed", http=((201, 201),)),
    ),
)


@pytest.mark.parametrize(
    ("http_status", "body", "rule", "expected"),
    [
        (202, {"status": "completed"}, 0, Running("completed", True, '{"status": "completed"}')),
        (202, b"\x00binary", 0, Running(None, True)),
        (200, {"code": 5}, 1, Missed(False, "HTTP 200, and a rule for such answers", '{"code": 5}')),
        (200, {"code": 6, "why": "gone"}, 2, Missed(True, "HTTP 200: gone", '{"code": 6, "why": "gone"}')),
        (429, {"code": 7}, 3, Throttled(None)),
        (200, {"code": 7}, None, Running(None, False, '{"code": 7}')),
        (429, {"code": 8}, 4, Unauthorized(429)),
        (200, {"code": 9, "why": "x" * 999}, 5, Unavailable("HTTP 200: " + "x" * 200)),
        (200, {"code": 10}, 6, Completed("completed", ("https://cdn.example/1.mp4",), '{"code": 10}')),
        (200, {"code": 10, "why": "dark"}, 6, Failed("completed", DARK, '{"code": 10, "why": "dark"}')),
        (500, {"code": 10}, None, Unavailable("HTTP 500")),
        (200, {"code": 11, "status": "odd"}, 7, Failed("odd", NO_ERROR, '{"code": 11, "status": "odd"}')),
        (404, {"code": 11}, None, Missed(False, "HTTP 404", '{"code": 11}')),
        (500, {"code": 12}, 8, Completed("completed", ("https://cdn.example/1.mp4",), '{"code": 12}')),
        (200, {"code": 10, "id": "other"}, 6, Unavailable("the answer is about another task: its id is not ours")),
        (200, {"code": 11, "id": "other"}, 7, Unavailable("the answer is about another task: its id is not ours")),
        (200, b"\x00\x01", None, Unavailable("the answer is not a JSON object")),
    ],
)
def test_the_first_rule_that_fits_decides(http_status, body, rule, expected):
    """Before the HTTP status and the words; what ends a task without naming the status needs a 2xx, and our id."""
    found = reading(RULED, http_status, body)
    assert (found.rule, found.answer) == (rule, expected)


BYTES = Completed("completed", ())
PORTAL = b"<html>Welcome to our WLAN"


@pytest.mark.parametrize(
    ("http_status", "kind", "body", "truncated", "expected"),
    [
        (400, "text/html", PORTAL, False, Missed(True, "HTTP 400")),
        (400, "application/json", b"", False, Missed(True, "HTTP 400")),
        (400, "application/json", b'{"status": "x"', False, Missed(True, "HTTP 400")),
        (400, "application/json", b'{"why": "dark"}', False, Failed("failed", DARK, '{"why": "dark"}')),
        (200, "text/html", PORTAL, False, Unavailable("the answer is not a JSON object")),
        (200, None, b"\x00\x01", False, Unavailable("the answer is not a JSON object")),
        (200, "Video/MP4", b"\x00\x01", False, BYTES),
        (200, "application/octet-stream", b"\x00\x01", False, BYTES),
        (200, "application/json", b'{"video": "AAAA', True, BYTES),
        (204, None, b"", False, BYTES),
    ],
)
def test_only_what_an_api_answers_ends_a_task_by_a_rule(http_status, kind, body, truncated, expected):
    """A JSON document, a file by its content type, or what is too large for a status report: no page of a proxy."""
    rules = (
        Rule("failed", http=((400, 499),)),
        Rule("completed", http=((200, 204),), when=compile_expression("@ == `null`")),
    )
    headers = {} if kind is None else {"content-type": kind}
    found = reading(replace(DESCRIPTION, rules=rules, urls=()), http_status, body, headers=headers, truncated=truncated)
    assert found.answer == expected


def test_a_rule_may_tell_how_long_a_pause_is():
    """By Retry-After, as a 429 does."""
    assert reading(RULED, 400, {"code": 7}, headers={"retry-after": "9"}).answer == Throttled(9.0)


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_a_condition_is_true_as_in_jmespath(value):
    """Where 0 is true."""
    ruled = replace(DESCRIPTION, rules=(Rule("unavailable", when=compile_expression("x")),))
    assert reading(ruled, 200, {"x": value}).rule is None
    assert reading(ruled, 200, {"x": 0}).rule == 0


def test_an_array_counts_when_a_word_is_found_in_it():
    """Some APIs answer with a list; for all others one is no answer."""
    listed = replace(DESCRIPTION, status=paths("[0].status"), id=paths("[0].id"))
    assert reading(listed, 200, [{"status": "processing"}]).answer.status == "processing"
    assert reading(listed, 200, []).answer == Unavailable("the answer is not a JSON object")
    assert isinstance(reading(listed, 200, [{"id": "vid_2", "status": "completed"}]).answer, Unavailable)


RICH = replace(
    DESCRIPTION,
    progress=paths("progress"),
    model=paths("model"),
    hint=HintSeconds(paths("again")),
    expires=ExpiresAt(paths("until")),
    download=parse_template("/v1/{task_id}/{answer.file}/content", "path", answer=True),
    urls=paths("url"),
)


def test_what_a_running_answer_tells_beside_its_status_is_kept():
    """Progress, what runs it, and when to ask again: between a second and an hour."""
    body = {"status": "processing", "progress": "40%", "model": "m-1", "again": 7}
    found = reading(RICH, 200, body).answer
    assert (found.progress, found.model, found.ask_again) == (0.4, "m-1", 7.0)
    assert reading(RICH, 200, {**body, "again": 0}).answer.ask_again == 1.0
    assert reading(RICH, 200, {**body, "again": 1e9}).answer.ask_again == 3600.0
    assert reading(RICH, 200, {**body, "again": "soon"}).answer.ask_again is None


@pytest.mark.parametrize(("header", "seconds"), [("12", 12.0), ("Sun, 22 Nov 2026 13:34:00 GMT", 60.0), ("x", None)])
def test_a_header_may_say_when_to_ask_again(header, seconds):
    """In seconds or as a date."""
    hinted = replace(DESCRIPTION, hint=HintHeader("x-next"))
    assert reading(hinted, 200, {"status": "processing"}, headers={"x-next": header}).answer.ask_again == seconds


def test_a_success_says_until_when_its_urls_live():
    """By the answer's own time, or so long after it."""
    body = {"status": "completed", "url": "https://a/", "until": "2026-11-23T00:00:00Z"}
    assert reading(RICH, 200, body).answer.expires_at == datetime(2026, 11, 23, tzinfo=UTC)
    after = replace(RICH, expires=ExpiresAfter(60.0))
    assert reading(after, 200, body).answer.expires_at == NOW + timedelta(minutes=1)
    assert reading(DESCRIPTION, 200, body).answer.expires_at is None


def test_a_success_without_a_url_may_be_fetched_with_our_key():
    """Then it is final; where the answer lacks what the path needs, the URL may still come."""
    fetched = reading(RICH, 200, {"status": "completed", "file": "f/1"}).answer
    assert (fetched.downloads, fetched.final) == (("https://api.example/v1/vid_1/f%2F1/content",), True)
    assert reading(RICH, 200, {"status": "completed"}).answer == Completed("completed", (), '{"status": "completed"}')
    named = reading(RICH, 200, {"status": "completed", "file": "f", "url": "https://a/"}).answer
    assert (named.urls, named.downloads, named.final) == (("https://a/",), (), False)


def test_an_api_without_urls_ends_at_its_first_success():
    """Nothing is waited for that never comes."""
    assert reading(replace(DESCRIPTION, urls=None), 200, {"status": "completed"}).answer.final


def test_an_error_inside_a_success_is_a_failure():
    """Whatever its status word says."""
    found = reading(DESCRIPTION, 200, {"status": "completed", "why": "moderated"}).answer
    assert (type(found), found.status, found.error.message) == (Failed, "completed", "moderated")


def test_a_success_that_names_no_error_is_one():
    """Many APIs say in words that there is none."""
    found = reading(DESCRIPTION, 200, {"status": "completed", "why": "Success", "video_url": "https://a/"}).answer
    assert isinstance(found, Completed)


SUCCESS = Completed("done", (), "{}", expires_at=NOW, model="m-1")


def second(look, http_status=200, body=None, **more):
    raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    described = replace(RICH, result=look, download=None)
    heard = HttpAnswer(http_status, more.get("headers", {}), raw, more.get("truncated", False))
    return read_result(described, SUCCESS, heard, VALUES, now=NOW).answer


LOOK = SecondLook(path=parse_template("/r", "path"), urls=paths("files"), rules=(
    Rule("failed", http=((422, 422),)), Rule("completed", http=((204, 204),)),
))


@pytest.mark.parametrize(
    ("http_status", "body", "expected"),
    [
        (200, {"files": ["https://a/1"]}, replace(SUCCESS, urls=("https://a/1",), response='{"files": ["https://a/1"]}')),
        (200, {"files": [], "id": "a file's"}, replace(SUCCESS, response='{"files": [], "id": "a file\'s"}')),
        (200, {"why": "dark"}, Failed("done", DARK, '{"why": "dark"}')),
        (422, {"why": "dark"}, Failed("failed", DARK, '{"why": "dark"}')),
        (204, b"", replace(SUCCESS, response=None)),
        (200, b"", Unavailable("the answer is not a JSON object")),
        (404, {}, Unavailable("HTTP 404 for the result of a completed task")),
        (400, {}, Unavailable("HTTP 400 for the result of a completed task")),
        (401, {}, Unauthorized(401)),
        (429, {}, Throttled(None)),
        (500, {}, Unavailable("HTTP 500")),
        (302, {}, Unavailable("HTTP 302: redirects are not followed; check base_url")),
    ],
)
def test_a_second_answer_completes_a_success_or_ends_nothing(http_status, body, expected):
    """Its URLs and its text take the place of the first's; a result that cannot be had now is asked for again."""
    assert second(LOOK, http_status, body) == expected


def test_a_second_answer_is_read_as_the_first_where_nothing_else_is_said():
    """With the same expressions, and its own word for what runs it and until when."""
    look = SecondLook(url=paths("u"))
    body = {"url": "https://a/2", "until": 1_795_000_000, "model": "m-2"}
    found = second(look, 200, body)
    assert (found.urls, found.model) == (("https://a/2",), "m-2")
    assert found.expires_at == datetime.fromtimestamp(1_795_000_000, UTC)
    assert second(look, 200, {"url": "https://a/2"}, truncated=True) == Unavailable("the answer is larger than 1 MiB")
    own = SecondLook(url=paths("u"), error=ErrorPaths(message=paths("detail")))
    assert second(own, 200, {"why": "dark", "detail": ""}).urls == ()
