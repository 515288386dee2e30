"""How points in time are written: RFC 3339, UTC, microseconds."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """`2026-11-22T13:33:00.123456Z`; six decimals always, so that texts sort as the times do.

    `moment` must be aware; any zone is turned into UTC (RFC 3339, section 5.6).
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def rfc3339_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
