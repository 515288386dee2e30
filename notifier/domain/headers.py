"""Headers that an endpoint may ask for: well-formed ones that take nothing from the delivery itself.

The messages of the `ValueError`s continue a sentence that begins with the header's name. They never quote a value,
which may be a receiver's password.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

MOST_HEADERS = 32
LONGEST_NAME = 256
LONGEST_VALUE = 8192
"""Characters. Most servers take no more than this in one line of a request."""

HeadersT = TypeVar("HeadersT", bound=Mapping[str, Any])

# RFC 9110, sections 5.6.2 (token) and 5.5 (field value); other than ASCII is read differently by every receiver.
NAME_PATTERN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""Regular expression (Python and ECMA 262) of a header's name, to be matched as a whole."""
VALUE_PATTERN = r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?"
"""The same of a header's value."""

_TOKEN = re.compile(NAME_PATTERN)
_VALUE = re.compile(VALUE_PATTERN)

# RFC 9110, section 7.6.1, and what else belongs to one connection.
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "http2-settings"}
_OURS = {"host", "user-agent", "accept-encoding"}
_OUR_PREFIXES = ("webhook-", "content-")


def header_name(value: Any) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError("is not the name of a header (write letters, digits and hyphens, as in X-Env)")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"is too long for the name of a header (at most {LONGEST_NAME} characters)")
    lower = value.lower()
    if lower in _HOP_BY_HOP or lower.startswith("proxy-"):
        raise ValueError("belongs to the connection, not to the message (remove it)")
    if lower in _OURS or lower.startswith(_OUR_PREFIXES):
        raise ValueError("is set by Notifier itself (remove it)")
    return str(value)


def header_value(value: Any) -> str:
    """Never shown: it may be a receiver's password."""
    if not isinstance(value, str):
        advice = " (put it in quotes)" if isinstance(value, bool | int | float) else ""
        raise ValueError(f"is not text{advice}")  # noqa: TRY004 - to who wrote it, a wrong type is a wrong value
    if len(value) > LONGEST_VALUE:
        raise ValueError(f"is too long for a header's value (at most {LONGEST_VALUE} characters)")
    if not _VALUE.fullmatch(value):
        raise ValueError("is not a header's value (write visible ASCII on one line, without spaces round it)")
    return str(value)


def distinct(headers: HeadersT) -> HeadersT:
    """Names of headers do not differ by their case, and there are not too many of them."""
    seen: dict[str, str] = {}
    for header in headers:
        if (first := seen.setdefault(header.lower(), header)) != header:
            raise ValueError(f"{header!r} and {first!r} are the same header (keep one)")
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"has {len(headers)} headers (at most {MOST_HEADERS})")
    return headers


def merged(headers: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """`headers` with each of `changes` set, or removed where it is None; names are compared without their case."""
    changed = {name.lower() for name in changes}
    kept = {name: value for name, value in headers.items() if name.lower() not in changed}
    return kept | {name: value for name, value in changes.items() if value is not None}
