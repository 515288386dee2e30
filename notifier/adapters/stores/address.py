"""Where a store is, as `store.url` says: a file, or a database of a PostgreSQL server."""

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit


def is_server(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def file_of(url: str) -> Path:
    """`sqlite:///notifier.db` is relative to the working directory, four slashes make it absolute."""
    return Path(url.removeprefix("sqlite:///"))


def shown(url: str) -> str:
    """The URL as a log may hold it: without user, password and parameters."""
    if not is_server(url):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def named(url: str) -> str:
    """As `shown`, with the user: what to give to a server's own programs, which ask for the password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}"


def passwords(url: str) -> frozenset[str]:
    """What no log line may hold of it, as written and as meant."""
    parts = urlsplit(url)
    written = {parts.netloc.rpartition("@")[0].partition(":")[2]} if is_server(url) else set()
    written |= {value for name, value in parse_qsl(parts.query) if name in ("password", "sslpassword")}
    return frozenset({*written, *map(unquote, written)} - {""})
