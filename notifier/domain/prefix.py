"""Callback prefixes: the part of the web that a limited token may name as receivers.

URLs are compared by their parts, never as text: `https://app.example.com` is no prefix of
`https://app.example.com.evil.net/`. Where parsers may disagree about what a URL means, it is not covered.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_network
from urllib.parse import unquote

from notifier.domain.address import Refusal, Target, examine

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""Whether an address may be called is for the guard to say; here only a URL's text is read."""
_PATH = re.compile(r"[^:]+://[^/?#]*(?P<path>[^?#]*)")
_SEPARATORS = re.compile(r"[/\\]")
_MOST_LAYERS = 3
"""Of percent-encoding round one another; nobody has a reason for more."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """`host` is lower case, as in a URL; `path` begins with a slash. One that ends with a slash covers what is below
    it, another covers itself too, and ends where a segment does: `/hooks` covers `/hooks/video` and not `/hooks2`."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def opening(self) -> str:
        """How every URL that is covered begins, in lower case: what a database can look for."""
        return f"{self.scheme}://{self.host}"

    def covers(self, url: str) -> bool:
        read = _read(url)
        if read is None:
            return False
        scheme, host, port, path = read
        if (scheme, host, port) != (self.scheme, self.host, self.port):
            return False
        if self.path == "/":
            return True
        below = path == self.path or path.startswith(self.path if self.path.endswith("/") else self.path + "/")
        return below and not climbs(path)


def parse_prefix(text: str) -> Prefix:
    """Read a prefix as it stands in the configuration; ValueError says what is wrong and what would be right."""
    match examine(text, _EVERYWHERE):
        case Refusal(message=message):
            raise ValueError(message)
        case target:
            prefix = Prefix(*_parts(target, text))
    if "?" in text or "#" in text:
        raise ValueError("has a query or a fragment (write the URL up to the path)")
    if climbs(prefix.path):
        raise ValueError("has a dot segment in its path (write the path that it leads to)")
    return prefix


def climbs(path: str) -> bool:
    """Whether some server could read `.` or `..` as a segment (RFC 3986, section 5.2.4), however it is encoded."""
    for _ in range(_MOST_LAYERS):
        decoded = unquote(path, errors="replace")
        if decoded == path:
            return any(segment.partition(";")[0] in (".", "..") for segment in _SEPARATORS.split(path))
        path = decoded
    return True


def _read(url: str) -> tuple[str, str, int, str] | None:
    target = examine(url, _EVERYWHERE)
    return None if isinstance(target, Refusal) else _parts(target, url)


def _parts(target: Target, url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path; of one address the spelling counts, so that the same text finds it everywhere."""
    found = _PATH.match(url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return target.scheme, host, target.port, (found["path"] if found else "") or "/"
