"""One parser for each kind of setting: from what the file holds to what the program uses.

A `ValueError` is a whole message for the reader: what is wrong and, in brackets, what would be right.
"""

import json
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from notifier.config.problem import Substituted, did_you_mean, shown
from notifier.domain.prefix import Prefix, parse_prefix
from notifier.domain.quantity import parse_duration, parse_rate
from notifier.domain.variables import judge_value
from notifier.domain.watch import judge_task_id, metadata_text

Network: TypeAlias = IPv4Network | IPv6Network

LONGEST_NAME = 200

PROVIDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_DIGITS = re.compile(r"0|[1-9][0-9]{0,17}")
_PART = r"(?:[^@/?#%\x00-\x20\x7f-\x9f\ud800-\udfff]|%[0-9A-Fa-f]{2})"
_SERVER_URL = re.compile(rf"postgres(?:ql)?://(?:{_PART}*@)?{_PART}*/{_PART}+(?:\?(?:{_PART}|[@/?])*)?")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def duration(value: Any) -> float:
    """Seconds."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{shown(value)} {error}") from None


def age(value: Any) -> float | None:
    """Seconds; None is never."""
    never = value is None or (not isinstance(value, bool) and value in (0, "0", "0s"))
    return None if never else duration(value)


def rate(value: Any) -> float:
    """Times per second."""
    try:
        return parse_rate(value)
    except ValueError as error:
        raise ValueError(f"{shown(value)} {error}") from None


def whole(least: int, most: int) -> Callable[[Any], int]:
    """Numbers without a fraction; digits as text only from the environment, which has nothing else."""

    def parse(value: Any) -> int:
        if isinstance(value, Substituted) and _DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            quoted = isinstance(value, str) and _DIGITS.fullmatch(value)
            advice = "write it without quotes" if quoted else f"write {least} to {most}"
            raise ValueError(f"{shown(value)} is not a whole number in range ({advice})")
        return value

    return parse


def one_of(options: Iterable[str]) -> Callable[[Any], str]:
    known = tuple(options)

    def parse(value: Any) -> str:
        if value not in known:
            advice = did_you_mean("" if isinstance(value, Substituted) else str(value), known)
            raise ValueError(f"{shown(value)} is not one of {', '.join(known)}{advice}")
        return str(value)

    return parse


def text(value: Any) -> str:
    """Text of any kind; a number, true or false that was meant as text is not turned back into it."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float):
        raise ValueError(f"{shown(value)} is not text (put it in quotes)")  # noqa: TRY004 - of the file, not the call
    raise ValueError(f"{shown(value)} is not text")


def name(value: Any) -> str:
    """The name of a node or of a token's owner: it appears in log lines."""
    found = text(value)
    if not found or len(found) > LONGEST_NAME or not found.isprintable():
        raise ValueError(f"{shown(value)} is not a name (write 1 to {LONGEST_NAME} printable characters)")
    return found


def provider_name(value: str) -> str:
    if not re.fullmatch(PROVIDER_NAME, value):
        raise ValueError(
            "is not a name for a provider (write up to 64 letters, digits, hyphens, underscores and full stops, "
            "a letter or digit first)"
        )
    return str(value)


def task_id(value: Any) -> str:
    found = text(value)
    wrong = judge_task_id(found)
    if wrong is not None:
        raise ValueError(f"{shown(value)} {wrong} (write the id that the provider gave)")
    return found


def metadata(value: Any) -> dict[str, Any]:
    """A mapping that JSON can hold, in plain types and of its own."""
    if not isinstance(value, dict):
        raise ValueError(f"{shown(value)} is not a mapping (write {{name: value}})")  # noqa: TRY004 - of the file
    try:
        written = metadata_text(value)
    except ValueError as error:
        raise ValueError(f"{error} (keep a reference instead)") from None
    found: dict[str, Any] = json.loads(written)
    return found


def variable(value: Any) -> str:
    """A value of a watch's variable; a whole number is the text that it is written as, any other goes in quotes, as
    YAML would change it."""
    if isinstance(value, float | bool):
        raise ValueError(f"{shown(value)} is not text (put it in quotes)")  # noqa: TRY004 - of the file, not the call
    found = str(value) if isinstance(value, int) else text(value)
    wrong = judge_value(found)
    if wrong is not None:
        raise ValueError(f"{shown(found)} {wrong} (write the value that the provider knows)")
    return found


def network(value: Any) -> Network:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a network (write 10.0.0.0/8 or fd00::/8)")  # noqa: TRY004 - of the file
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        right = ip_interface(value).network
    except ValueError:
        raise ValueError(f"{shown(value)} is not a network (write 10.0.0.0/8 or fd00::/8)") from None
    raise ValueError(f"{shown(value)} names an address inside a network (write {right})")


def callback_prefix(value: Any) -> Prefix:
    """What callback URLs begin with, as `https://app.example.com/hooks/`. Not shown, as it may hold a password."""
    url = text(value)
    try:
        return parse_prefix(url)
    except ValueError as error:
        raise ValueError(f"is no prefix of callback URLs: {error}") from None


def host_name(value: Any) -> str:
    """A name in lower case, without a port: what a Host header may say."""
    found = text(value).lower()
    if not _HOST_NAME.fullmatch(found):
        raise ValueError(f"{shown(value)} is not the name of a host (write it alone, as in notifier.example.com)")
    return found


def store_url(value: Any) -> str:
    """`sqlite:///PATH` or `postgresql://…`. The value is never shown: a database's URL may hold a password."""
    url = text(value)
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        return _server_url(url)
    if scheme != "sqlite":
        written = "sqlite:///notifier.db; an absolute path has four slashes; or postgresql://user:password@host/database"
        raise ValueError(f"is not the URL of a store (write {written})")
    path = rest.removeprefix("/")
    if path in ("", ":memory:") or path.startswith("file:"):
        raise ValueError("names no file, and a store in memory would forget every watch (write sqlite:///notifier.db)")
    if not rest.startswith("/") or "?" in path or "#" in path or _has_control(path):
        raise ValueError("is not sqlite:/// and a path, without parameters (write sqlite:///notifier.db)")
    return url


def _server_url(url: str) -> str:
    if "+" in url.partition("://")[0]:
        raise ValueError("names a driver, which is not yours to choose (write postgresql://user:password@host/database)")
    if not _SERVER_URL.fullmatch(url):
        told = "is not postgresql://user:password@host/database; in user and password write special characters as %XX"
        raise ValueError(f"{told} (an @ is %40, a / is %2F)")
    return url


def base_url(value: Any) -> str:
    """http or https, any host, without the slash at the end. Not shown: it may hold what the refusal is about."""
    url = text(value)
    if _has_control(url) or any(character in url for character in ' \\"<>^`{|}'):
        raise ValueError("has white space or a character in it that no URL has (write https://host/path)")
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not a URL to call (write https://host/path, or http://)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has user information in it (remove user:password@; the key goes into api_key)")
    if "?" in url or "#" in url:
        raise ValueError("has a query or a fragment (write the URL up to the path; the call adds the rest)")
    return url.rstrip("/")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("has no valid host and port (write https://host/path or https://host:8443/path)")
    return parts


def _has_control(value: str) -> bool:
    """C0, C1 and DEL, and what is no character at all."""
    return any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in value)
