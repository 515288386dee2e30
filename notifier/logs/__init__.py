"""structlog set-up: one wide line for each unit of work on stderr, and no secrets in it.

Formats: `console` for people, `json` lines for collectors, `journald` for systemd's journal. What libraries say through
the standard library goes through the same chain:

    event ──when, how grave──▶ traceback as text ──scrub──▶ form (line, JSON, entry) ──▶ sink (lines, journal)
"""

import logging
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import structlog

from notifier.logs.entry import PRIORITIES, render_entry
from notifier.logs.journal import SOCKET, Journal
from notifier.logs.lines import Lines, Sink
from notifier.logs.scrub import MASK, Fields, Scrubber

__all__ = ["MASK", "LogFormat", "configure", "hide", "priority_mark"]

LogFormat: TypeAlias = Literal["auto", "console", "journald", "json"]


def configure(
    *,
    level: str,
    log_format: LogFormat,
    secrets: Collection[str] = (),
    stream: TextIO | None = None,
    journal: Path = SOCKET,
) -> None:
    """Set logging up, or anew after a reload. `secrets` are values that never appear in any line; `journal` is where
    journald listens, and `stream` takes what it does not."""
    out = stream or sys.stderr
    chosen = _detect(out) if log_format == "auto" else log_format
    least = logging.getLevelNamesMapping()[level.upper()]
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _arrange,
        # As text before anything else, so that secrets are masked in tracebacks too (rich ones would show variables).
        structlog.processors.format_exc_info,
        Scrubber(secrets),
        _renderer(chosen, out),
    ]
    sink: Sink = Journal(journal, out) if chosen == "journald" else Lines(out)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    _adopt_stdlib(processors, sink, max(least, logging.WARNING))


def hide(secrets: Collection[str]) -> None:
    """Mask these beside the configured ones, in place of those that were hidden before, until `configure` is called
    again; nothing before it was called."""
    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, Scrubber):
            processor.learn(secrets)


def priority_mark(level: str, out: TextIO) -> str:
    """What to put before a line for `out` that is no log line, so that the journal knows how grave it is."""
    return f"<{PRIORITIES[level]}>" if _is_journal(out) else ""


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


def _renderer(chosen: str, out: TextIO) -> structlog.typing.Processor:
    if chosen == "console":
        return structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=22)
    if chosen == "json":
        return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return render_entry


def _arrange(_logger: Any, _name: str, fields: Fields) -> Fields:
    """When, how grave and what come first; a field without a value only makes a line longer."""
    first = {key: fields.pop(key) for key in ("timestamp", "level", "event") if key in fields}
    return first | {key: value for key, value in fields.items() if value is not None}


def _adopt_stdlib(processors: Sequence[structlog.typing.Processor], sink: Sink, least: int) -> None:
    root = logging.getLogger()
    root.handlers = [_Adopted(processors, sink)]
    root.setLevel(least)


class _Adopted(logging.Handler):
    """What libraries say through the standard library takes the same form, by the same chain."""

    def __init__(self, processors: Sequence[structlog.typing.Processor], sink: Sink) -> None:
        super().__init__()
        self._processors = processors
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            made: Any = {"event": record.getMessage(), "exc_info": record.exc_info}
            for process in self._processors:
                made = process(None, record.levelname.lower(), made)
            self._sink.msg(made)
        except Exception:  # noqa: BLE001 - as the standard library's handlers do: a bad record stops no work
            self.handleError(record)
