"""JMESPath as providers' descriptions use it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.expression import (
    MAX_EXPRESSION_CHARACTERS,
    Expression,
    ExpressionError,
    compile_expression,
)
from tests.thoroughness import examples

DOCUMENT = {"data": {"state": "done"}, "files": [{"url": "a"}, {"url": "b"}, {}], "inner": '{"x": [1, 2]}', "n": 0}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data.state", "done"),
        ("status || data.state", "done"),
        ("files[*].url", ["a", "b"]),
        ("files[?url == 'b'].url | [0]", "b"),
        ("from_json(inner).x[1]", 2),
        ("from_json(data.state)", None),
        ("from_json(n)", None),
        ("from_json('[NaN]')", None),
        ("from_json('[[')", None),
        ("lower('Rate LIMIT Ä')", "rate limit ä"),
        ("lower(`{\"Key\": [\"Ä\"]}`)", '{"key": ["ä"]}'),
        ("[lower(n), lower(`true`), lower('')]", ["0", "true", ""]),
        ("lower(nothing)", None),
        ("contains(lower(nothing || ''), 'x')", False),
        ("url_encode('a b&c#d/é~-._+%')", "a%20b%26c%23d%2F%C3%A9~-._%2B%25"),
        ("url_encode(`\"\\ud800\"`)", "%3F"),
        ("[url_encode(nothing), url_encode(n), url_encode('')]", [None, None, ""]),
        ("n == `0`", True),
        ("@.data | keys(@)", ["state"]),
        ("files[::2]", [{"url": "a"}, {}]),
        ("not_null(nothing, n)", 0),
        ("max_by(files, &url)", None),
        ("join('', n)", None),
        ("sum(files)", None),
        ("files[::0]", None),
        ("missing", None),
    ],
)
def test_an_expression_finds_a_value_or_nothing(text, found):
    """Also where the answer has other types than the expression's author expected."""
    assert compile_expression(text).find(DOCUMENT) == found


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "is not JMESPath: Invalid JMESPath expression: cannot be empty.", 1),
        ("a..b", "is not JMESPath: Expecting: ", 3),
        ("a.", "is not JMESPath: Expecting: ", 3),
        ("a[?b == 'c'", "is not JMESPath: Invalid jmespath expression", 12),
        ("a == 1", "is not JMESPath: invalid token", 6),
        ("a # b", "is not JMESPath: Unknown token #", 3),
        ("a || lenth(b)", "calls an unknown function: lenth() (known are abs, avg, ", 6),
        ("[length(a, b)]", "gives length() 2 arguments, and it takes 1", 2),
        ("not_null()", "gives not_null() 0 arguments, and it takes at least 1", 1),
        ("a" * (MAX_EXPRESSION_CHARACTERS + 1), "is longer than 2000 characters", 2001),
        ("(" * 1500, "is nested too deeply", 1),
        ("!" * 100 + "a", "is nested too deeply", 1),
    ],
)
def test_a_wrong_expression_is_told_with_its_place(text, message, column):
    """In JMESPath's own words, before any answer is there."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    assert str(caught.value).startswith(message)
    assert caught.value.column == column
    assert str(caught.value).endswith(f"(character {column} of the expression)")
    assert "\n" not in str(caught.value)


def test_expressions_are_equal_by_their_text():
    """So that a reload notices what changed."""
    assert compile_expression("a.b") == compile_expression("a.b") != compile_expression("a.c")


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "id"]), inner, max_size=3),
    max_leaves=8,
)
BUSY = compile_expression(
    "[a || b.a, a[*].b, b.*[], sort_by(a, &b), to_string(@), from_json(b), lower(@), url_encode(a), a[?b > `1`], "
    "{x: a, y: max(b)}]"
)


@given(json_values)
@settings(max_examples=examples(40), deadline=None)
def test_evaluating_never_raises(document):
    """Whatever the answer is."""
    BUSY.find(document)


def test_evaluating_a_deep_answer_never_raises():
    """As deep as a parser of JSON lets through."""
    BUSY.find(nested(950))


@given(st.text(alphabet="ab.*[]?&|!@'`\"{}:,()01-< =#\\\n", max_size=20))
@settings(max_examples=examples(40), deadline=None)
def test_compiling_any_text_gives_an_expression_or_says_why_not(text):
    """Nothing else is ever raised."""
    try:
        outcome = compile_expression(text)
    except ExpressionError as error:
        outcome = error
    assert isinstance(outcome, Expression) or 1 <= outcome.column <= len(text) + 1
