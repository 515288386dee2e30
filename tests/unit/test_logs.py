"""Log lines: one each, in the form that fits their reader, and without secrets."""

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from notifier import logs

KEY = "sk-planted-value"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave logging as it was for the other tests."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, _ = handlers, root.setLevel(level)


def test_json_lines_begin_with_when_how_grave_and_what() -> None:
    """One object a line; fields without a value are left out."""
    out = io.StringIO()
    logs.configure(level="info", log_format="json", stream=out)
    structlog.get_logger().info("task.polled", task_id="vid_1", error=None)
    structlog.get_logger().debug("task.polled", task_id="not shown at this level")
    line = json.loads(out.getvalue())
    assert list(line) == ["timestamp", "level", "event", "task_id"]
    assert (line["level"], line["event"], line["task_id"]) == ("info", "task.polled", "vid_1")


def test_the_journal_gets_a_priority_and_a_single_line() -> None:
    """`<3>` is an error to journald, and a line feed would end the entry."""
    out = io.StringIO()
    logs.configure(level="info", log_format="journald", stream=out)
    structlog.get_logger().error("delivery.exhausted", error="two\nlines here", attempts=3)
    assert out.getvalue() == '<3>delivery.exhausted error="two\\nlines here" attempts=3\n'


def test_auto_is_json_unless_a_terminal_or_the_journal_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """$JOURNAL_STREAM must name the very stream that is written to."""
    with (tmp_path / "log").open("w+") as out:
        status = os.fstat(out.fileno())
        for stream, start in ((f"{status.st_dev}:{status.st_ino}", "<6>"), ("1:1", "{")):
            monkeypatch.setenv("JOURNAL_STREAM", stream)
            out.truncate(0)
            out.seek(0)
            logs.configure(level="info", log_format="auto", stream=out)
            structlog.get_logger().info("daemon.started")
            out.seek(0)
            assert out.read().startswith(start)


@pytest.mark.parametrize("log_format", ["console", "journald", "json"])
def test_secrets_are_masked_wherever_they_turn_up(log_format: logs.LogFormat) -> None:
    """In values, nested ones, error texts and tracebacks, also of libraries that log by the standard library."""
    out = io.StringIO()
    logs.configure(level="info", log_format=log_format, secrets=[KEY], stream=out)
    log = structlog.get_logger()
    log.warning("a", url=f"https://x/?key={KEY}", errors=[{"why": KEY}])
    try:
        int(f"bad {KEY}")
    except ValueError:
        log.exception("b")
    logging.getLogger("library").error("c %s", KEY)
    written = out.getvalue()
    assert written.count(logs.MASK) >= 4
    assert KEY not in written


def test_secrets_that_come_later_are_masked_too() -> None:
    """Those of endpoints that are registered while the daemon runs, beside those that were known; also in lines that
    libraries write. Before logging is set up there is nothing to tell."""
    logs.hide([KEY])
    out = io.StringIO()
    logs.configure(level="info", log_format="json", secrets=["planted-before"], stream=out)
    logs.hide(["whsec_planted-later", "x"])
    structlog.get_logger().warning("a whsec_planted-later x", error="planted-before")
    logging.getLogger("library").error("b whsec_planted-later")
    assert out.getvalue().count(logs.MASK) == 3
    assert "planted" not in out.getvalue()
    assert "x" in out.getvalue()


def test_a_stream_that_takes_nothing_stops_no_work() -> None:
    """A full disk under the log file must not become an exception in the middle of a delivery."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    logs.configure(level="info", log_format="json", stream=Full())
    structlog.get_logger().info("daemon.started")
