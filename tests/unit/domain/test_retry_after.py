"""The Retry-After header (RFC 9110, section 10.2.3)."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.domain.retry_after import parse_retry_after
from tests.thoroughness import examples

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("Sun, 22 Nov 2026 13:35:00 GMT", 120.0),
        ("Sunday, 22-Nov-26 13:35:00 GMT", 120.0),
        ("Sun Nov 22 13:35:00 2026", 120.0),
        ("Sun, 22 Nov 2026 15:35:00 +0200", 120.0),
        ("Sun, 22 Nov 2026 13:35:00 -0000", 120.0),
        ("Sun, 22 Nov 2026 13:32:00 GMT", 0.0),
    ],
)
def test_seconds_and_dates_are_read(header, seconds):
    """Whole seconds, the three date forms of HTTP, and the past as now."""
    assert parse_retry_after(header, NOW) == seconds


@pytest.mark.parametrize("header", [None, "", " ", "soon", "-5", "+5", "1.5", "1e3", "١٢", "²", "Sun, 99 Nov 2026"])
def test_everything_else_is_as_if_absent(header):
    """Nobody guesses at what was meant."""
    assert parse_retry_after(header, NOW) is None


def test_a_number_of_any_length_is_a_long_time():
    """Thousands of digits are no work and no error: callers cap what they get."""
    assert parse_retry_after("9" * 10_000, NOW) == 999_999_999_999.0


def test_the_callers_zone_does_not_matter():
    """Now may be given in any zone."""
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
    assert parse_retry_after("Sun, 22 Nov 2026 13:35:00 GMT", elsewhere) == 120.0


words = st.sampled_from(["Sun", ", ", "22", " ", "Nov", "2026", "13:35:00", "GMT", "-", "+9999", "0", ":", "99999"])


@given(st.one_of(st.text(max_size=20), st.lists(words, max_size=9).map("".join)))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@settings(max_examples=examples(60), deadline=None)
def test_no_header_is_an_accident(header):
    """Any text is a wait of zero or more seconds, or none."""
    told = parse_retry_after(header, NOW)
    assert told is None or told >= 0.0


@given(st.integers(0, 10_000_000))
@settings(max_examples=examples(60), deadline=None)
def test_a_date_is_as_far_as_it_says(seconds):
    """A date so many seconds ahead says so many seconds."""
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(header, NOW) == seconds
