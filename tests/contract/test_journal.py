"""Log entries by journald's native protocol, against a real socket that stands in for journald's."""

import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from notifier import logs
from tests.fake_journald import Journald

pytestmark = pytest.mark.usefixtures("logging_as_before")

KEY = "sk-planted-value"
LARGE = 300 * 1024
"""Bytes; more than a datagram holds (net.core.wmem_default is 208 KiB)."""
LINE = "<6>task.ended task_id=vid_1\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


@pytest.fixture
def journald(path: Path) -> Iterator[Journald]:
    running = Journald(path)
    yield running
    running.close()


def configure(path: Path, out: io.TextIOBase | None = None, **more: object) -> io.StringIO:
    """Logging for the journal at `path`; the stream that should stay empty."""
    stream = io.StringIO()
    logs.configure(level="info", log_format="journald", stream=out or stream, journal=path, **more)  # type: ignore[arg-type]
    return stream


def say(event: str = "task.ended", **fields: object) -> None:
    structlog.get_logger().info(event, **(fields or {"task_id": "vid_1"}))


def test_an_event_is_one_entry_that_can_be_searched(path: Path, journald: Journald) -> None:
    """`journalctl TASK_ID=…`, `WATCH_ID=…`, `EVENT_ID=…`, `-p err`; nothing is written to stderr besides."""
    out = configure(path)
    log = structlog.get_logger()
    log.error("delivery.exhausted", task_id="vid_1", watch_id="wch_1", event_id="evt_1", provider="v")
    read = journald.read()
    assert read.items() >= {
        "PRIORITY": "3",
        "NOTIFIER_EVENT": "delivery.exhausted",
        "TASK_ID": "vid_1",
        "WATCH_ID": "wch_1",
        "EVENT_ID": "evt_1",
        "PROVIDER": "v",
    }.items()
    assert read["MESSAGE"].startswith("delivery.exhausted task_id=vid_1 ")
    assert out.getvalue() == ""


def test_what_libraries_say_is_an_entry_too(path: Path, journald: Journald) -> None:
    """With the priority of its level."""
    configure(path)
    logging.getLogger("library").warning("Invalid request from %s", "10.0.0.1")
    assert journald.read().items() >= {"PRIORITY": "4", "MESSAGE": "Invalid request from 10.0.0.1"}.items()


def test_a_traceback_and_its_secrets(path: Path, journald: Journald) -> None:
    """One entry with all lines of it; and no secret in any field, whoever said it."""
    configure(path, secrets=[KEY])
    try:
        int(f"bad {KEY}")
    except ValueError:
        structlog.get_logger().exception("daemon.fault", url=f"https://x/?key={KEY}", errors=[{"why": KEY}])
        logging.getLogger("library").exception("c %s", KEY)
    for entry in journald.read(), journald.read():
        assert "ValueError: invalid literal" in entry["MESSAGE"]
        assert entry["EXCEPTION"].count("\n") > 2
        assert KEY not in str(entry)
        assert logs.MASK in entry["EXCEPTION"]


def test_an_entry_that_no_datagram_holds_arrives_whole(path: Path, journald: Journald) -> None:
    """As a sealed file in memory; no descriptor is left open."""
    out = configure(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    say(response="x" * LARGE)
    assert journald.read()["RESPONSE"] == "x" * LARGE
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert out.getvalue() == ""


def test_without_a_journald_lines_go_to_stderr(path: Path) -> None:
    """No socket, or nobody behind it; and entries again as soon as there is somebody."""
    out = configure(path)
    say()
    assert out.getvalue() == LINE
    gone = Journald(path)
    gone.close()
    say()
    assert out.getvalue() == LINE * 2
    path.unlink()
    back = Journald(path)
    say()
    assert back.read()["TASK_ID"] == "vid_1"
    back.close()
    assert out.getvalue() == LINE * 2


def test_a_journald_that_is_busy_is_not_waited_for(path: Path, journald: Journald) -> None:
    """When its queue is full, lines go to stderr; not one is lost."""
    out = configure(path)
    for number in range(5000):
        say(number=number)
    assert out.getvalue()
    assert len(journald.read_all()) + out.getvalue().count("\n") == 5000


def test_when_nothing_takes_a_line_it_is_counted_and_told_later(path: Path) -> None:
    """A journald that hangs must not stop the daemon, which never waits for room on stderr."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as taken, os.fdopen(writer, "w") as stuck:
        configure(path, stuck)
        os.set_blocking(writer, False)
        while True:
            try:
                os.write(writer, b"." * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
        for _ in range(3):
            say()
        journald = Journald(path)
        say()
        told = journald.read()
        assert told.items() >= {"NOTIFIER_EVENT": "log.lost", "ENTRIES": "3", "PRIORITY": "4"}.items()
        assert journald.read()["TASK_ID"] == "vid_1"
        say()
        assert [entry["NOTIFIER_EVENT"] for entry in journald.read_all()] == ["task.ended"]
        journald.close()
        assert taken.read(1) == b"."


def test_auto_is_the_journal_only_when_it_reads_stderr(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: Path, journald: Journald
) -> None:
    """$JOURNAL_STREAM must name the very stream that is written to; else a file or a pipe gets JSON lines."""
    with (tmp_path / "log").open("w+") as out:
        status = os.fstat(out.fileno())
        for stream, mark in ((f"{status.st_dev}:{status.st_ino}", "<3>"), ("1:1", "")):
            monkeypatch.setenv("JOURNAL_STREAM", stream)
            assert logs.priority_mark("error", out) == mark
            logs.configure(level="info", log_format="auto", stream=out, journal=path)
            say("daemon.started")
        out.seek(0)
        assert out.read().startswith('{"timestamp"')
    assert [entry["NOTIFIER_EVENT"] for entry in journald.read_all()] == ["daemon.started"]
