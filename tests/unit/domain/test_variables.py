"""What a watch gives beside its task id."""

import pytest

from notifier.domain.variables import judge_value, takes_none, variable_text, variables_text


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), ("", ""), ("007", "007"), (7, "7"), (-1, "-1"), (0.5, "0.5"), (10**20, f"1{0:020}")]
)
def test_a_number_is_the_text_that_json_writes(value, text):
    """Text stays as it is."""
    assert variable_text(value) == text


@pytest.mark.parametrize("value", [None, True, [], {}, float("inf"), float("nan")])
def test_nothing_else_is_a_value(value):
    """Least of all true and false, of which each API has its own words."""
    with pytest.raises(ValueError, match=r"^must be a string or a number$"):
        variable_text(value)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("", None),
        ("x" * 512, None),
        ("us central/ü?", None),
        ("x" * 513, "must have at most 512 characters"),
        ("a\nb", "must not hold control characters or lone surrogates"),
        ("a\x85b", "must not hold control characters or lone surrogates"),
        ("a\ud800", "must not hold control characters or lone surrogates"),
    ],
)
def test_values_are_short_and_printable(value, wrong):
    """What else a value may not have is its place's to say."""
    assert judge_value(value) == wrong


def test_equal_variables_are_equal_text():
    """Whatever the order in which somebody wrote them."""
    assert variables_text({"b": "2", "a": "ü"}) == variables_text({"a": "ü", "b": "2"}) == '{"a":"ü","b":"2"}'
    assert variables_text({}) == "{}"


def test_a_provider_without_variables_takes_none():
    """Each one that is given is named."""
    assert list(takes_none({})) == []
    assert [name for name, _ in takes_none({"a": "1", "b": "2"})] == ["a", "b"]
