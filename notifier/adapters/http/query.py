"""Parameters that are added to a URL, whose other parameters stay as they were written."""

from collections.abc import Sequence
from urllib.parse import quote


def with_query(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The URL with further parameters, percent-encoded (RFC 3986, section 3.4), before its fragment if it has one."""
    if not pairs:
        return url
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    rest, mark, fragment = url.partition("#")
    return f"{rest}{'&' if '?' in rest else '?'}{query}{mark}{fragment}"
