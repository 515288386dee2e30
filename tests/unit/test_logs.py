"""Log lines: one each, in the form that fits their reader, and without secrets."""

import io
import json
import logging
import re
from typing import Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from notifier import logs
from notifier.logs.entry import Entry, encode, field_name, render_entry
from tests.fake_journald import fields_of

KEY = "sk-planted-value"


pytestmark = pytest.mark.usefixtures("logging_as_before")


def test_json_lines_begin_with_when_how_grave_and_what() -> None:
    """One object a line; fields without a value are left out."""
    out = io.StringIO()
    logs.configure(level="info", log_format="json", stream=out)
    structlog.get_logger().info("task.polled", task_id="vid_1", error=None)
    structlog.get_logger().debug("task.polled", task_id="not shown at this level")
    line = json.loads(out.getvalue())
    assert list(line) == ["timestamp", "level", "event", "task_id"]
    assert (line["level"], line["event"], line["task_id"]) == ("info", "task.polled", "vid_1")


@pytest.mark.parametrize("log_format", ["console", "json"])
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


def test_secrets_that_are_gone_are_forgotten() -> None:
    """Else every rotation would make every line dearer; what was configured stays."""
    out = io.StringIO()
    logs.configure(level="info", log_format="json", secrets=[KEY], stream=out)
    logs.hide(["whsec_planted-first"])
    logs.hide(["whsec_planted-second"])
    structlog.get_logger().info("a", told=["whsec_planted-first", "whsec_planted-second", KEY])
    assert json.loads(out.getvalue())["told"] == ["whsec_planted-first", logs.MASK, logs.MASK]


def test_a_stream_that_takes_nothing_stops_no_work() -> None:
    """A full disk under the log file must not become an exception in the middle of a delivery."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    logs.configure(level="info", log_format="json", stream=Full())
    structlog.get_logger().info("daemon.started")


# The journal's entries


def entry(level: str, **fields: Any) -> Entry:
    return render_entry(None, level, {"timestamp": "2026-11-22T13:33:00Z", "level": level, **fields})


def test_an_entry_has_a_line_for_people_and_a_field_for_each_value() -> None:
    """Priority, identifier and the event's name beside them; the time is the journal's own."""
    made = entry("warning", event="task.ended", task_id="vid_1", polls=3, urls=["https://a/", "https://b/"])
    assert fields_of(made.datagram) == {
        "MESSAGE": """task.ended task_id=vid_1 polls=3 urls="['https://a/', 'https://b/']\"""",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "notifier",
        "NOTIFIER_EVENT": "task.ended",
        "TASK_ID": "vid_1",
        "POLLS": "3",
        "URLS": '["https://a/", "https://b/"]',
    }


def test_the_line_for_a_stream_has_its_priority_and_no_line_feed() -> None:
    """`<3>` is an error to journald, and a line feed would end the entry."""
    made = entry("error", event="delivery.exhausted", error="two\nlines here", attempts=3)
    assert made == '<3>delivery.exhausted error="two\\nlines here" attempts=3'
    failed = entry("error", event="daemon.fault", exception="Traceback:\n  boom")
    assert failed == '<3>daemon.fault exception="Traceback:\\n  boom"'


def test_a_traceback_is_part_of_its_entry() -> None:
    """Below the line for people, and in a field of its own."""
    fields = fields_of(entry("error", event="daemon.fault", job="x", exception="Traceback:\n  boom").datagram)
    assert fields["MESSAGE"] == "daemon.fault job=x\nTraceback:\n  boom"
    assert fields["EXCEPTION"] == "Traceback:\n  boom"


def test_what_a_library_says_is_a_message_and_no_event() -> None:
    """Free text makes no field to search by."""
    assert "NOTIFIER_EVENT" not in fields_of(entry("warning", event="Connection lost: no such host").datagram)


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=()))))
@example({"key": "a lone surrogate \ud800, as a path may have"})
def test_any_value_arrives_as_it_is_under_a_name_that_journald_takes(fields: dict[str, str]) -> None:
    """Line feeds, equals signs, lone surrogates: nothing breaks out of its field, and no name is one of journald's."""
    read = fields_of(encode((f"F{number}", value) for number, value in enumerate(fields.values())))
    expected = [value.encode(errors="backslashreplace").decode() for value in fields.values()]
    assert list(read.values()) == expected
    for key in fields:
        assert re.fullmatch("[A-Z][A-Z0-9_]{0,63}", field_name(key))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("task_id", "TASK_ID"),
        ("http-status", "HTTP_STATUS"),
        ("_pid", "PID"),
        ("2nd", "ND"),
        ("message", "NOTIFIER_MESSAGE"),
        ("priority", "NOTIFIER_PRIORITY"),
        ("object_pid", "NOTIFIER_OBJECT_PID"),
        ("§", "NOTIFIER_"),
    ],
)
def test_names_that_mean_something_to_journald_are_left_to_it(key: str, name: str) -> None:
    """A field of ours must not set an entry's message, or claim another process's."""
    assert field_name(key) == name
