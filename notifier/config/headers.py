"""Headers that an endpoint may ask for: well-formed ones that take nothing from the delivery itself."""

import re
from typing import Any

from notifier.config.problem import shown

# RFC 9110, sections 5.6.2 (token) and 5.5 (field value); other than ASCII is read differently by every receiver.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")

# RFC 9110, section 7.6.1, and what else belongs to one connection.
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "http2-settings"}
_OURS = {"host", "user-agent", "accept-encoding"}
_OUR_PREFIXES = ("webhook-", "content-")


def header_name(value: Any) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError("is not the name of a header (write letters, digits and hyphens, as in X-Env)")
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
        raise ValueError(f"is not text{advice}")  # noqa: TRY004 - of the file, not the call
    if not _VALUE.fullmatch(value):
        raise ValueError("is not a header's value (write visible ASCII on one line, without spaces round it)")
    return str(value)


def distinct(headers: dict[str, str]) -> dict[str, str]:
    """Names of headers do not differ by their case."""
    seen: dict[str, str] = {}
    for header in headers:
        if (first := seen.setdefault(header.lower(), header)) != header:
            raise ValueError(f"{shown(header)} and {shown(first)} are the same header (keep one)")
    return headers
