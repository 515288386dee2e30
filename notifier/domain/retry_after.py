"""The Retry-After header (RFC 9110, section 10.2.3): seconds or an HTTP date."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """How many seconds to wait from `now`; 0 for a date that has passed; None when absent or unreadable."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])  # a longer number says no more than "for ever", and callers cap it
    try:
        told = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if told.tzinfo is None:  # HTTP dates are always GMT; email.utils leaves "-0000" naive
        told = told.replace(tzinfo=UTC)
    return max((told - now) / timedelta(seconds=1), 0.0)
