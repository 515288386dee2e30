"""structlog set-up: one wide line for each unit of work on stderr, and no secrets in it.

Formats: `console` for people, `json` lines for collectors, `journald` with the priority prefix that systemd reads.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, Literal, TextIO, TypeAlias

import structlog

LogFormat: TypeAlias = Literal["auto", "console", "journald", "json"]
Fields: TypeAlias = MutableMapping[str, Any]

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
"""sd-daemon(3): `<N>` before a line sets its priority in the journal."""
MASK = "***"
_PLAIN = re.compile(r"[^\s\"=\x00-\x1f]+")
SIGNING = "whs"
"""What every signing secret begins with."""
SHORTEST_SECRET = 6
"""Shorter values are not masked in running text: they would turn ordinary words into asterisks."""


def configure(
    *, level: str, log_format: LogFormat, secrets: Collection[str] = (), stream: TextIO | None = None
) -> None:
    """Set logging up, or anew after a reload. `secrets` are values that never appear in any line."""
    out = stream or sys.stderr
    chosen = _detect(out) if log_format == "auto" else log_format
    least = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _arrange,
    ]
    last = _renderers(chosen, out)
    scrub = _Scrubber(secrets)
    structlog.configure(
        processors=[*shared, *last[:-1], scrub, last[-1]],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    _adopt_stdlib(shared, [*last[:-1], scrub, last[-1]], out, max(least, logging.WARNING))


def hide(secrets: Collection[str]) -> None:
    """Mask these too from now on, until `configure` is called again; nothing before it was called."""
    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, _Scrubber):
            processor.learn(secrets)


def _detect(out: TextIO) -> Literal["console", "journald", "json"]:
    if _is_journal(out):
        return "journald"
    return "console" if out.isatty() else "json"


def _is_journal(out: TextIO) -> bool:
    """systemd.exec(5): $JOURNAL_STREAM names the device and inode of the stream that goes to the journal."""
    try:
        status = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _renderers(chosen: str, out: TextIO) -> list[structlog.typing.Processor]:
    # As text before anything else, so that secrets are masked in tracebacks too (rich ones would show variables).
    plain: list[structlog.typing.Processor] = [structlog.processors.format_exc_info]
    if chosen == "console":
        return [*plain, structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=22)]
    if chosen == "json":
        return [*plain, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]
    return [*plain, _journal_line]


def _journal_line(_logger: Any, name: str, fields: Fields) -> str:
    """`<6>event key=value …` on one line: the journal has the time already, and ends an entry at a line feed."""
    priority = PRIORITIES.get(str(fields.pop("level", name)), 6)
    fields.pop("timestamp", None)
    event = str(fields.pop("event", "")).replace("\n", " ")
    return " ".join([f"<{priority}>{event}", *(f"{key}={_one_word(value)}" for key, value in fields.items())])


def _one_word(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _arrange(_logger: Any, _name: str, fields: Fields) -> Fields:
    """When, how grave and what come first; a field without a value only makes a line longer."""
    first = {key: fields.pop(key) for key in ("timestamp", "level", "event") if key in fields}
    return first | {key: value for key, value in fields.items() if value is not None}


class _Scrubber:
    """Puts a mask over every secret, wherever in a line it turns up: also inside error texts and tracebacks."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._secrets: list[str] = []
        self.learn(secrets)

    def learn(self, secrets: Collection[str]) -> None:
        known = {*self._secrets, *(one for one in secrets if len(one) >= SHORTEST_SECRET)}
        self._secrets = sorted(known, key=len, reverse=True)
        self._others = [one for one in self._secrets if not one.startswith(SIGNING)]

    def __call__(self, _logger: Any, _name: str, fields: Fields) -> Fields:
        if self._secrets:
            for key, value in fields.items():
                fields[key] = self._clean(value)
        return fields

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            # With a thousand endpoints there are a thousand signing secrets, and hardly a line that could hold one.
            for secret in self._secrets if SIGNING in value else self._others:
                value = value.replace(secret, MASK)
            return value
        if isinstance(value, Mapping):
            return {key: self._clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        return value


class _Lines:
    """Writes whole lines; a stream that takes nothing (a full disk, a closed pipe) must not stop the daemon's work."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def msg(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):
            pass  # nobody can be told, and the work goes on

    log = debug = info = warning = error = critical = exception = fatal = msg


def _adopt_stdlib(
    shared: list[structlog.typing.Processor], last: list[structlog.typing.Processor], out: TextIO, least: int
) -> None:
    """What libraries say through the standard library takes the same form."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(least)
