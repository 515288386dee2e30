"""Durations, sizes and rates as people write them.

The messages of the `ValueError`s continue a sentence that begins with the value or with the name of its setting:
`interval` "is not a duration (write …)". They never quote the value, which may have come from a secret place.
"""

import math
import re

LEAST_SECONDS = 0.01
"""The shortest duration where nothing else is said."""

MOST_SECONDS = 36_500 * 86_400.0
"""About a hundred years: longer ones would leave the calendar."""

MOST_PER_SECOND = 100_000.0

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_BYTES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SECONDS_PER = {"s": 1, "m": 60, "h": 3600}

# A leading zero is refused: YAML 1.1, C and the shell read 010 as 8, people as 10.
_WHOLE = r"(?:0|[1-9][0-9]*)"
_NUMBER = _WHOLE + r"(?:\.[0-9]+)?"

_SEVERAL = "(?=.)" + "".join(f"(?:{_WHOLE}{unit})?" for unit in _MILLISECONDS)

DURATION_PATTERN = rf"{_NUMBER}(?:ms|s|m|h|d)?|{_SEVERAL}"
"""Regular expression (Python and ECMA 262) of a written duration, to be matched as a whole."""

RATE_PATTERN = rf"{_NUMBER}/[smh]"
"""Regular expression (Python and ECMA 262) of a written rate, to be matched as a whole."""

_DURATION = re.compile(DURATION_PATTERN)
_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d)?")
_SIZE = re.compile(rf"({_WHOLE})(B|KiB|MiB|GiB|)")
_RATE = re.compile(rf"({_NUMBER})/([smh])")

_A_DURATION = "is not a duration (write 250ms, 30s, 5m, 2h, 7d or a plain number of seconds)"
_A_SIZE = "is not a size (write 64KiB, 10MiB, 1GiB or a plain number of bytes)"
_A_RATE = "is not a rate (write 10/s, 600/m or 36000/h)"


def parse_duration(value: object, *, least: float = LEAST_SECONDS) -> float:
    """Seconds: of a number, or of text such as `250ms`, `1.5h`, `90` or `1h30m` (whole numbers, largest unit first)."""
    seconds = _seconds(value)
    if seconds < least:
        raise ValueError(f"is too short (at least {format_duration(least)})")
    if seconds > MOST_SECONDS:
        raise ValueError(f"is too long (at most {format_duration(MOST_SECONDS)})")
    return float(seconds)


def parse_size(value: object) -> int:
    """Bytes, at least one: of a whole number, or of text such as `64KiB`, `10MiB`, `1GiB` or `512`."""
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)) and len(value) < _LONG:
        value = int(found[1]) * _BYTES[found[2]]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(_A_SIZE)  # noqa: TRY004 - to who wrote it, a wrong type is a wrong value
    if value < 1:
        raise ValueError("is too small (at least 1 byte)")
    return value


def parse_rate(value: object) -> float:
    """Times per second, above zero: of text such as `10/s`, `600/m` or `36000/h`."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(_A_RATE)
    rate = float(found[1]) / _SECONDS_PER[found[2]]
    if rate <= 0:
        raise ValueError("is no rate to work at (write more than 0/s)")
    if rate > MOST_PER_SECOND:
        raise ValueError(f"is too high (at most {MOST_PER_SECOND:.0f}/s)")
    return rate


def format_duration(seconds: float) -> str:
    """Write seconds (zero or more) as `parse_duration` reads them, to the nearest millisecond."""
    left = round(seconds * 1000)
    parts = []
    for unit, milliseconds in _MILLISECONDS.items():
        count, left = divmod(left, milliseconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_size(count: int) -> str:
    """Bytes for people, in the unit that leaves the fewest digits."""
    for unit, many in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= many:
            return f"{count / many:.1f} {unit}"
    return f"{count} bytes"


_LONG = 40
"""Characters: Python refuses to read endless digits as a whole number, and no size needs as many as this."""


def _seconds(value: object) -> float:
    """Not yet held against the limits, but finite or infinite, never NaN."""
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return sum(float(number) * _MILLISECONDS[unit or "s"] for number, unit in _PART.findall(value)) / 1000
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_A_DURATION)  # noqa: TRY004 - to who wrote it, a wrong type is a wrong value
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(_A_DURATION)
    return value
