"""What expressions find in an answer, as values that can be kept."""

from datetime import UTC, datetime

import pytest

from notifier.domain import extract
from notifier.domain.answer import TaskError
from notifier.domain.description import ErrorPaths
from notifier.domain.expression import compile_expression
from notifier.domain.extract import (
    MAX_TEXTS,
    MAX_URLS,
    NO_REASON,
    error_at,
    error_in_success,
    moment_at,
    number_at,
    placeholders,
    progress_at,
    reason_at,
    urls_at,
    word_at,
)

BASE = "https://api.example/v1"


def paths(*texts):
    return tuple(compile_expression(text) for text in texts)


X = paths("x")
TWO = ("https://a/1", "https://a/2")


def nested(value, depth):
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"x": "Done"}, "Done"),
        ({"x": 2}, "2"),
        ({"x": 2.0}, "2"),
        ({"x": 2.5}, "2.5"),
        ({"x": -0.0}, "0"),
        ({"x": float("inf")}, "inf"),
        ({"x": True}, None),
        ({"x": False}, None),
        ({"x": None, "y": "b"}, "b"),
        ({"x": {}}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_word_is_text_or_a_number(document, word):
    """The first that is not null; a truth, an object and a list are no words."""
    assert word_at(paths("x", "y"), document) == word


def test_an_expression_makes_a_word_of_a_truth():
    """For APIs that say `done: true`."""
    assert word_at(paths("to_string(x)"), {"x": True}) == "true"


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ("https://a/1", ("https://a/1",)),
        ("HTTP://a/1", ("HTTP://a/1",)),
        (["https://a/1", ["https://a/2", ["https://a/1", None, 7, {"u": "https://a/3"}]]], TWO),
        ("/files/1?x=y", ("https://api.example/files/1?x=y",)),
        ("//cdn.example/1", ("https://cdn.example/1",)),
        ("//[/1", ()),
        ("files/1", ()),
        ("data:text/plain,x", ()),
        ("ftp://a/1", ()),
        (" https://a/1\n", ("https://a/1",)),
        ("\t/files/1 ", ("https://api.example/files/1",)),
        ("", ()),
        ({}, ()),
        ([f"https://a/{n}" for n in range(MAX_URLS + 9)], tuple(f"https://a/{n}" for n in range(MAX_URLS))),
        (nested("https://a/1", 99), ("https://a/1",)),
        (nested("https://a/1", 500), ()),
    ],
)
def test_urls_are_http_ones_each_once(value, urls):
    """Out of texts and lists of lists; one that begins with a slash belongs to base_url, other texts are no URLs."""
    assert urls_at(X, {"x": value}, BASE) == urls


class Long:
    """Finds more texts than there is memory for, and counts those that were taken."""

    def __init__(self, form):
        self.form, self.taken = form, 0

    def find(self, _):
        return Texts(self)


class Texts(list):
    def __init__(self, owner):
        super().__init__()
        self.owner = owner

    def __iter__(self):
        for number in range(10**9):
            self.owner.taken += 1
            yield self.owner.form.format(number)


def joined(monkeypatch):
    """Every reference that is resolved from now on."""
    seen, join = [], extract.urljoin
    monkeypatch.setattr(extract, "urljoin", lambda base, url: (seen.append(url), join(base, url))[1])
    return seen


@pytest.mark.parametrize(
    ("form", "urls", "resolved"),
    [("/{}", MAX_URLS, MAX_URLS), ("/x/../{}", MAX_URLS, MAX_URLS), ("/{}/..", 1, MAX_TEXTS), ("/same", 1, 1)],
)
def test_no_answer_keeps_us_busy_with_its_urls(monkeypatch, form, urls, resolved):
    """Only so many texts are looked at, none twice, and none once there are enough URLs."""
    seen, long = joined(monkeypatch), Long(form)
    assert len(urls_at((long,), None, BASE)) == urls
    assert (len(seen), long.taken) == (resolved, MAX_TEXTS)


def test_the_first_expression_that_finds_a_url_decides():
    """The others are for other forms of the answer."""
    assert urls_at(paths("a", "b", "c"), {"a": "none yet", "b": "https://b/", "c": "https://c/"}, BASE) == ("https://b/",)


ERROR = ErrorPaths(code=paths("error.code"), message=paths("error.message", "error"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, None),
        ("", None),
        (" ", None),
        (False, None),
        (0, None),
        ({}, None),
        ({"code": 0, "message": ""}, None),
        ({"code": None, "details": [{}, [], ""]}, None),
        ("dark", TaskError(None, "dark")),
        (7, TaskError(None, "7")),
        (True, TaskError(None, NO_REASON)),
        ({"code": 7, "message": "dark"}, TaskError("7", "dark")),
        ({"code": "E"}, TaskError("E", '{"code": "E"}')),
        ({"message": {"en": "dark"}}, TaskError(None, '{"message": {"en": "dark"}}')),
        (["dark"], TaskError(None, '["dark"]')),
        (nested("dark", 120), None),
        (nested(["dark"], 60), TaskError(None, "[" * 61 + '"dark"' + "]" * 61)),
    ],
)
def test_an_error_is_there_when_it_says_something(error, expected):
    """A text or number, or else what there is as JSON; many APIs send an empty one with a success."""
    assert error_at(ERROR, {"error": error}) == expected


@pytest.mark.parametrize("none", [None, "", " ", False, 0, 0.0, "0", 200, "200", "None", "null", "OK", " Success ",
                                  "No Error", {}, [], {"code": 0, "message": "success"}, ["ok", {"a": None}]])
def test_a_success_may_say_that_there_is_no_error(none):
    """As code and as message, in an object too; of a task that failed, it is what the provider said."""
    assert error_in_success(ERROR, {"error": none}) is None
    assert error_in_success(ERROR, {"error": {"code": none, "message": none}}) is None
    assert error_in_success(ErrorPaths(code=X), {"x": none}) is None
    assert reason_at(ERROR, {"error": {"code": 200, "message": "ok"}}) == TaskError("200", "ok")


@pytest.mark.parametrize("error", ["dark", 201, 1, True, "2000", "not ok", ["ok", "dark"], {"code": 0, "message": "x"}])
def test_an_error_in_a_success_is_one(error):
    """Whatever else is said beside it."""
    assert error_in_success(ERROR, {"error": error}) is not None


def test_a_code_alone_is_an_error_only_where_no_message_is_described():
    """For many APIs send a code with each success."""
    assert error_at(ErrorPaths(code=X), {"x": "E1"}) == TaskError("E1", NO_REASON)
    assert error_at(ErrorPaths(code=X), {"x": 0}) is None
    assert error_at(ErrorPaths(code=X, message=paths("y")), {"x": "E1"}) is None
    assert error_at(ErrorPaths(), {"x": "E1"}) is None
    assert reason_at(ErrorPaths(code=X, message=paths("y")), {"x": "E1"}) == TaskError("E1", NO_REASON)


def test_what_is_no_json_gives_no_message():
    """An expression may end in a reference to another one, which is not a value."""
    assert error_at(ErrorPaths(message=paths("{a: &b}")), {}) == TaskError(None, NO_REASON)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5.0),
        (1.5, 1.5),
        ("2.5", 2.5),
        (" 7 ", 7.0),
        (True, None),
        ("soon", None),
        (10**400, None),
        (1e999, None),
        ([], None),
    ],
)
def test_a_number_is_finite(value, number):
    """Also one that is written as text."""
    assert number_at(X, {"x": value}) == number


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (0.5, 0.5),
        (1.0, 1.0),
        (50, 0.5),
        (1, 0.01),
        (100, 1.0),
        (33.3, 0.333),
        ("50%", 0.5),
        ("0.5", 0.5),
        ("50", 0.5),
        ("0.5%", 0.005),
        (250, 1.0),
        (-3, 0.0),
        ("half", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_progress_is_a_part_of_one(value, progress):
    """Fractions, per cent, and texts of either."""
    assert progress_at(X, {"x": value}) == pytest.approx(progress)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1_795_000_000, datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        (1_795_000_000_000, datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        ("1795000000", datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        ("2026-11-18T12:06:40+01:00", datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        ("2026-11-18T11:06:40Z", datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        ("2026-11-18 11:06:40", datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        ("tomorrow", None),
        ("0001-01-01T00:00:00+23:00", None),
        (1e300, None),
        (-1e15, None),
        (True, None),
        ({}, None),
    ],
)
def test_a_moment_is_an_epoch_or_rfc_3339(value, moment):
    """Seconds, milliseconds or text; whatever else comes is none."""
    assert moment_at(X, {"x": value}) == moment


def test_members_of_an_answer_fill_placeholders():
    """Keys and indices lead to texts and numbers; where they lead nowhere there is no value."""
    document = {"file": {"id": 7}, "list": ["a", {"b": "c"}], "flag": True}
    names = ["task_id", "answer.file.id", "answer.list.0", "answer.list.1.b", "answer.list.9", "answer.list.x",
             "answer.flag", "answer.file", "answer.file.id.x"]
    assert placeholders(names, document) == {
        "answer.file.id": "7",
        "answer.list.0": "a",
        "answer.list.1.b": "c",
    }
    assert placeholders(["answer.x"], None) == {}
