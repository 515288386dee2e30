"""An event as the journal takes it: a line with its priority for stderr, and fields for the native protocol."""

import functools
import json
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from notifier.logs.scrub import Fields

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
"""sd-daemon(3): `<N>` before a line sets its priority in the journal."""
IDENTIFIER = "notifier"
_PLAIN = re.compile(r"[^\s\"=\x00-\x1f]+")
_EVENT = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
"""The name of one of our events; what libraries say is free text."""
_INVALID = re.compile(r"[^A-Z0-9_]")
_LONGEST_NAME = 64
_TAKEN = re.compile(
    "|(?:MESSAGE|PRIORITY|ERRNO|TID|UNIT|USER_UNIT|DOCUMENTATION|INVOCATION_ID|USER_INVOCATION_ID)"
    "|(?:MESSAGE|SYSLOG|CODE|OBJECT|COREDUMP|NOTIFIER)_.*"
)
"""Names with a meaning of their own (systemd.journal-fields(7))."""


class Entry(str):
    """The line `<N>event key=value …` for a stream to the journal; `datagram` is the same by the native protocol."""

    __slots__ = ("datagram",)
    datagram: bytes


def render_entry(_logger: Any, name: str, fields: Fields) -> Entry:
    """The last processor. The journal has the time already, and a stream to it ends an entry at a line feed."""
    priority = PRIORITIES.get(str(fields.pop("level", name)), 6)
    fields.pop("timestamp", None)
    event, traceback = str(fields.pop("event", "")), fields.pop("exception", None)
    line = " ".join([event.replace("\n", " "), *_words(fields)])
    if traceback is None:
        entry = Entry(f"<{priority}>{line}")
        entry.datagram = encode(_native(line, priority, event, fields))
    else:
        # People read MESSAGE, so the traceback stands below it; a line for a stream has to stay one.
        failed = {**fields, "exception": traceback}
        entry = Entry(" ".join([f"<{priority}>{line}", *_words({"exception": traceback})]))
        entry.datagram = encode(_native(f"{line}\n{traceback}", priority, event, failed))
    return entry


def _words(fields: Mapping[str, Any]) -> Iterator[str]:
    return (f"{key}={_one_word(value)}" for key, value in fields.items())


def _one_word(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _native(message: str, priority: int, event: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """People read MESSAGE; programs find each value in a field of its own."""
    yield "MESSAGE", message
    yield "PRIORITY", str(priority)
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    if _EVENT.fullmatch(event):
        yield "NOTIFIER_EVENT", event
    for key, value in fields.items():
        yield field_name(key), _text(value)


@functools.lru_cache(maxsize=256)
def field_name(key: str) -> str:
    """Upper-case letters, digits and underscores, at most 64, the first a letter; other names journald throws away."""
    name = _INVALID.sub("_", key.upper()).lstrip("_0123456789")
    return (f"NOTIFIER_{name}" if _TAKEN.fullmatch(name) else name)[:_LONGEST_NAME]


def _text(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def encode(fields: Iterator[tuple[str, str]]) -> bytes:
    """Journal Export Format's fields: `NAME=value`, or with a line feed in it NAME, 8 bytes of length and the value."""
    return b"".join(_encoded(name.encode(), value.encode(errors="backslashreplace")) for name, value in fields)


def _encoded(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return name + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name + b"=" + value + b"\n"
