"""A URL as it is sent. httpx finds that out (RFC 3986, IDNA), which is half the work of making a request."""

import re
from functools import lru_cache

import httpx

_ORIGIN = re.compile(r"https?://[^/?#@\\]*(?=/)")
_AS_IT_IS = re.compile(r"/(?:[A-Za-z0-9_~!$&'()*+,;=:@/-]|(?<!/)\.|%[0-9A-Fa-f]{2})*")
"""A path that is sent as it is written: without a query, a segment that begins with a dot, and what must be encoded."""
_LONGEST = 60_000
"""Characters, well below what httpx takes."""


def divided(url: str) -> tuple[httpx.URL, bytes]:
    """The URL to give to httpx, and the rest of it (httpx's request extension `target`). An origin is looked at once,
    however many paths there are on it. Raises httpx.InvalidURL or ValueError when it cannot be sent."""
    origin = _ORIGIN.match(url)
    if origin is None or len(url) > _LONGEST or not _AS_IT_IS.fullmatch(url, origin.end()):
        return httpx.URL(url), b""
    return _parsed(origin[0]), url[origin.end() :].encode("ascii")


@lru_cache(maxsize=1024)
def _parsed(origin: str) -> httpx.URL:
    return httpx.URL(origin)
