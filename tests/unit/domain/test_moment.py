"""Points in time as text: RFC 3339."""

from datetime import UTC, datetime, timedelta, timezone

from notifier.domain.moment import rfc3339, rfc3339_or_none


def test_times_are_written_in_utc_with_microseconds():
    """Six decimals, also when they are zeros, and a Z."""
    assert rfc3339(datetime(2026, 11, 22, 13, 33, 0, 123456, tzinfo=UTC)) == "2026-11-22T13:33:00.123456Z"
    assert rfc3339(datetime(2026, 11, 22, 13, 33, tzinfo=UTC)) == "2026-11-22T13:33:00.000000Z"


def test_other_zones_become_utc():
    """The same moment has one text."""
    there = datetime(2026, 11, 22, 3, 33, tzinfo=timezone(timedelta(hours=-10)))
    assert rfc3339(there) == "2026-11-22T13:33:00.000000Z"


def test_no_time_stays_none():
    """A time that there is not is null, not a text."""
    assert rfc3339_or_none(None) is None
    assert rfc3339_or_none(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
