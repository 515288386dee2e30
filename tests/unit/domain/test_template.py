"""Requests with places to fill in."""

import json
import re
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.template import parse_json_template, parse_template
from tests.thoroughness import examples

VALUES = {"task_id": "a/b c", "vars.region": "eu", "vars.path": "fal-ai/kling video", "vars.odd": "é?#"}
VALUES["answer.f"] = "7"


@pytest.mark.parametrize(
    ("text", "place", "filled"),
    [
        ("/v1/{task_id}", "path", "/v1/a%2Fb%20c"),
        ("/v1/{vars.odd}/x", "path", "/v1/%C3%A9%3F%23/x"),
        ("/{+vars.path}/{{literal}}", "path", "/fal-ai/kling%20video/{literal}"),
        ("{task_id}", "query", "a/b c"),
        ("v{vars.region}", "header", "veu"),
        ("is {task_id}", "body", "is a/b c"),
        ("/plain", "path", "/plain"),
    ],
)
def test_values_are_written_as_their_place_needs(text, place, filled):
    """Percent-encoded in paths; a query is encoded as a whole, later."""
    assert parse_template(text, place).fill(VALUES) == filled


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("/v1/{id}", "path", "has an unknown placeholder {id} (known here are {task_id} and {vars.NAME};"),
        ("/v1/{vars.}", "path", "has an unknown placeholder {vars.}"),
        ("/v1/{vars.1a}", "path", "has an unknown placeholder"),
        ("/v1/{answer.x}", "path", "has an unknown placeholder {answer.x}"),
        ("/v1/{", "path", "has a '{' that belongs to no placeholder (write it twice"),
        ("/v1/}", "path", "has a '}' that belongs to no placeholder"),
        ("/v1?a={task_id}", "path", "is not the path of a URL (write it without ?, # and spaces"),
        ("/v1 x", "path", "is not the path of a URL"),
        ("{+task_id}", "query", "has {+task_id}, which only a path can have (write {task_id})"),
    ],
)
def test_braces_that_are_no_placeholder_are_refused(text, place, message):
    """A misspelt name is never sent as it is."""
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        parse_template(text, place)


def test_a_request_after_an_answer_can_be_filled_from_it():
    """There the names of its members are known placeholders."""
    assert parse_template("/f/{answer.f}", "path", answer=True).fill(VALUES) == "/f/7"
    with pytest.raises(ValueError, match=r"known here are \{task_id\}, \{vars.NAME\} and \{answer.a.b\}"):
        parse_template("/f/{answers.f}", "path", answer=True)


@pytest.mark.parametrize(
    ("text", "place", "value", "message"),
    [
        ("/{task_id}", "path", None, "there is no value for {task_id}"),
        ("/{task_id}", "path", "", "has an empty segment"),
        ("/{task_id}", "path", "..", "has an empty segment, or one of dots"),
        ("/{task_id}", "path", "a\nb", "has a control character"),
        ("/{task_id}", "path", "a\ud800", "has a control character or half a character"),
        ("/{+task_id}", "path", "a//b", "has an empty segment"),
        ("/{+task_id}", "path", "/a", "has an empty segment"),
        ("/{+task_id}", "path", "a/../b", "has an empty segment, or one of dots"),
        ("/{+task_id}", "path", "a?b", "has a ?, #, % or \\ in it"),
        ("/{+task_id}", "path", "a/%2e%2e/b", "has a ?, #, % or \\ in it"),
        ("/{+task_id}", "path", "a\\b", "has a ?, #, % or \\ in it"),
        ("{task_id}", "header", "a b", "is not visible ASCII"),
        ("{task_id}", "header", "é", "is not visible ASCII"),
        ("{task_id}", "header", "a\r\nx: y", "has a control character"),
        ("{task_id}", "body", "a\x00", "has a control character"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(text, place, value, message):
    """It never leads to another path, nor into another header."""
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_template(text, place).fill({} if value is None else {"task_id": value})


def test_a_json_body_is_filled_in_its_texts_alone():
    """Keys, numbers and the shape stay; a value with quotes in it stays one text."""
    body = parse_json_template({"id": ["{task_id}", 1, None, True], "{task_id}": {"r": "{{{vars.region}}}"}})
    assert body.fill(VALUES) == {"id": ["a/b c", 1, None, True], "{task_id}": {"r": "{eu}"}}
    assert {name for text in body.texts() for name in text.names} == {"task_id", "vars.region"}
    tricky = parse_json_template({"id": "{task_id}"}).fill({"task_id": '", "admin": "yes'})
    assert json.loads(json.dumps(tricky)) == {"id": '", "admin": "yes'}


@given(st.text(min_size=1, max_size=30), st.booleans())
@settings(max_examples=examples(40), deadline=None)
def test_no_value_leads_to_another_path(value, reserved):
    """What was filled in is read back whole, between what stood round it."""
    template = parse_template("/a/{+task_id}/z" if reserved else "/a/{task_id}/z", "path")
    try:
        path = template.fill({"task_id": value})
    except ValueError:
        return
    parts = urlsplit("https://api.example" + path)
    assert (parts.netloc, parts.query, parts.fragment) == ("api.example", "", "")
    segments = parts.path.split("/")
    assert segments[:2] + segments[-1:] == ["", "a", "z"]
    assert not {"", ".", ".."} & {unquote(segment) for segment in segments[2:-1]}
    assert unquote("/".join(segments[2:-1])) == value
    assert reserved or len(segments) == 4
