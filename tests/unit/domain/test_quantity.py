"""Durations, sizes and rates: what is read, what is refused, and that writing is the inverse of reading."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.quantity import (
    DURATION_PATTERN,
    MOST_SECONDS,
    RATE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)
from tests.thoroughness import examples


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("250ms", 0.25),
        ("35ms", 0.035),
        ("30s", 30.0),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("7d", 604_800.0),
        ("1.5h", 5400.0),
        ("0.5s", 0.5),
        ("90", 90.0),
        ("0.25", 0.25),
        ("1h30m", 5400.0),
        ("1d2h3m4s5ms", 93_784.005),
        ("1m5ms", 60.005),
        (30, 30.0),
        (0.5, 0.5),
        (0.01, 0.01),
        ("10ms", 0.01),
        ("36500d", MOST_SECONDS),
    ],
)
def test_a_duration_is_read_as_seconds(written, seconds):
    """Every unit, plain numbers as numbers and as text, and several units from large to small give seconds."""
    assert parse_duration(written) == seconds
    assert isinstance(parse_duration(written), float)


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "30 s", " 30s", "30s\n", "30S", "s", ".5s", "5.s", "30 seconds", "٣s", "inf", "nan"),
        *("010", "00.5", "01h", "1_000", "1e3", "10:30", "-5s", "+5s"),
        *("1m1h", "1h1h", "1h1.5m", "5ms1s"),
        *(float("nan"), True, False, None, [], {}, b"5s"),
    ],
)
def test_what_is_not_a_duration_is_refused_with_examples(written):
    """Leading zeros, base 60, exponents, wrong order, foreign digits and other types are not guessed at."""
    with pytest.raises(ValueError, match=r"is not a duration \(write 250ms, 30s, 5m, 2h, 7d or a plain"):
        parse_duration(written)


@pytest.mark.parametrize("written", ["9ms", "0s", 0, 0.0099, -1, -(10**400), float("-inf")])
def test_a_duration_below_ten_milliseconds_is_refused(written):
    """Ten milliseconds is the least, and the message says so."""
    with pytest.raises(ValueError, match=r"is too short \(at least 10ms\)"):
        parse_duration(written)


def test_the_caller_may_ask_for_another_least_duration():
    """`least` is a bound that is itself legal."""
    assert parse_duration("5s", least=5) == 5.0
    assert parse_duration(0, least=0) == 0.0
    with pytest.raises(ValueError, match=r"is too short \(at least 5s\)"):
        parse_duration("4999ms", least=5)


@pytest.mark.parametrize("written", ["36501d", 10**400, 1e300, float("inf"), "9" * 5000])
def test_a_duration_that_leaves_the_calendar_is_refused(written):
    """A hundred years is the most, however the number is written; nothing overflows."""
    with pytest.raises(ValueError, match=r"is too long \(at most 36500d\)"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [("64KiB", 65_536), ("10MiB", 10_485_760), ("1GiB", 1_073_741_824), ("512B", 512), ("512", 512), (1, 1)],
)
def test_a_size_is_read_as_bytes(written, size):
    """Binary units, and plain numbers as numbers and as text, give whole bytes."""
    assert parse_size(written) == size


@pytest.mark.parametrize(
    "written", ["", "64KB", "64kib", "64 KiB", "010", "1.5MiB", "-1", 1.0, True, None, [], "9" * 5000, "64KiB\n"]
)
def test_what_is_not_a_size_is_refused_with_examples(written):
    """Decimal units, fractions, leading zeros and other types are not guessed at."""
    with pytest.raises(ValueError, match=r"is not a size \(write 64KiB, 10MiB, 1GiB or a plain number of bytes\)"):
        parse_size(written)


@pytest.mark.parametrize("written", [0, -1, "0", "0KiB"])
def test_a_size_below_one_byte_is_refused(written):
    """One byte is the least."""
    with pytest.raises(ValueError, match=r"is too small \(at least 1 byte\)"):
        parse_size(written)


@pytest.mark.parametrize(
    ("written", "per_second"),
    [("10/s", 10.0), ("600/m", 10.0), ("36000/h", 10.0), ("0.5/s", 0.5), ("1/h", 1 / 3600), ("100000/s", 100_000.0)],
)
def test_a_rate_is_read_as_times_per_second(written, per_second):
    """Rates per second, minute and hour are one number."""
    assert parse_rate(written) == per_second


@pytest.mark.parametrize(
    "written", ["", "10", 10, 10.0, True, None, [], "10/d", "10/sec", "10 / s", "-1/s", "010/s", "1e3/s", "10/s\n"]
)
def test_what_is_not_a_rate_is_refused_with_examples(written):
    """A plain number has no unit, so it is no rate."""
    with pytest.raises(ValueError, match=r"is not a rate \(write 10/s, 600/m or 36000/h\)"):
        parse_rate(written)


@pytest.mark.parametrize(
    ("written", "message"),
    [("0/s", "more than 0/s"), ("0.0/h", "more than"), ("100001/s", "at most 100000/s"), ("9" * 400 + "/s", "at most")],
)
def test_a_rate_out_of_range_is_refused(written, message):
    """Rates are above zero and at most 100000/s."""
    with pytest.raises(ValueError, match=message):
        parse_rate(written)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.25, "250ms"), (30, "30s"), (90, "1m30s"), (86_400, "1d"), (5400, "1h30m"), (1e-4, "0s"), (0.9999, "1s")],
)
def test_a_duration_is_written_with_its_largest_units(seconds, written):
    """Written to the nearest millisecond, largest unit first."""
    assert format_duration(seconds) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1536 << 10, "1.5 MiB"), (5 << 40, "5120.0 GiB")],
)
def test_a_size_is_written_in_the_largest_unit_that_it_fills(count, written):
    """With one digit behind the point."""
    assert format_size(count) == written


@settings(max_examples=examples(50))
@given(st.integers(min_value=10, max_value=int(MOST_SECONDS) * 1000))
def test_what_is_written_is_read_back(milliseconds):
    """Reading undoes writing for every legal duration of whole milliseconds."""
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-6)


@settings(max_examples=examples(100))
@given(st.from_regex(r"[0-9dhms./]{0,8}", fullmatch=True))
def test_the_published_patterns_are_the_grammar(text):
    """A text matches the pattern for editors exactly when it is refused for nothing but its range."""
    for pattern, parse in ((DURATION_PATTERN, parse_duration), (RATE_PATTERN, parse_rate)):
        try:
            parse(text)
            legal = True
        except ValueError as error:
            legal = "is not a" not in str(error)
        assert (re.fullmatch(pattern, text) is not None) == legal
