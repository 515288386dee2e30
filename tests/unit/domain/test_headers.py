"""Headers that an endpoint may ask for. All that are refused are in the configuration's tests."""

import pytest

from notifier.domain.headers import (
    LONGEST_NAME,
    LONGEST_VALUE,
    MOST_HEADERS,
    distinct,
    header_name,
    header_value,
    merged,
)


@pytest.mark.parametrize("name", ["X-Env", "authorization", "x!#$%&'*+.^_`|~", "x" * LONGEST_NAME])
def test_a_well_formed_name_is_taken_as_it_is(name):
    """Every character of RFC 9110's token."""
    assert header_name(name) == name


@pytest.mark.parametrize("name", ["", "X Y", "X\n", "Ü", 5, "x" * (LONGEST_NAME + 1)])
def test_what_is_no_name_is_refused(name):
    """Also one that is endless."""
    with pytest.raises(ValueError, match="the name of a header"):
        header_name(name)


@pytest.mark.parametrize("name", ["Host", "WEBHOOK-id", "Content-Type", "connection", "Proxy-Authorization"])
def test_what_is_not_the_endpoints_is_refused(name):
    """Whatever its case."""
    with pytest.raises(ValueError, match="remove it"):
        header_name(name)


@pytest.mark.parametrize("value", ["", "a", "Bearer x", "a\tb", "v" * LONGEST_VALUE])
def test_a_well_formed_value_is_taken_as_it_is(value):
    """Visible ASCII, with blanks inside."""
    assert header_value(value) == value


@pytest.mark.parametrize(
    "value", [" pass", "pass ", "a\r\nX-B: c", "ä", "…", "\0", None, 5, True, "v" * (LONGEST_VALUE + 1)]
)
def test_other_values_are_refused_unseen(value):
    """The mask that stands for a value is none itself."""
    with pytest.raises(ValueError, match=r"is not text|header's value") as caught:
        header_value(value)
    assert value is None or str(value) not in str(caught.value)


def test_names_differ_by_more_than_their_case():
    """And there are not too many."""
    assert distinct({"X-A": "1", "X-B": "1"}) == {"X-A": "1", "X-B": "1"}
    with pytest.raises(ValueError, match="'x-a' and 'X-A' are the same header"):
        distinct({"X-A": "1", "x-a": "2"})
    with pytest.raises(ValueError, match=f"at most {MOST_HEADERS}"):
        distinct({f"X-{number}": "1" for number in range(MOST_HEADERS + 1)})


def test_headers_change_by_name():
    """Set, replaced under the new spelling, or removed."""
    assert merged({"X-A": "1", "X-B": "2", "X-C": "3"}, {"x-a": "9", "X-B": None, "X-D": "4"}) == {
        "X-C": "3",
        "x-a": "9",
        "X-D": "4",
    }
