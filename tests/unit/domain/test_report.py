"""What nodes say of themselves."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from notifier.domain.lease import Lease, NodeRow, Roll
from notifier.domain.report import NodeReport, Standing, read_report, standings, unowned

START = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_report_is_read_as_it_was_written():
    """Numbers are rounded to what others go by; a provider without demand is left out."""
    report = NodeReport(120, 3.14159, 0.25, {"videos": 12.34567, "fal": 0.0, "tiny": 0.000123456})
    read = read_report(report.written())
    assert read == NodeReport(120, 3.1, 0.2, {"videos": 12.35, "tiny": 0.0001235})


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "null", "7", '{"tasks": "many", "lag_seconds": null, "demand": []}', '{"tasks": true}'],
)
def test_a_report_that_cannot_be_read_says_nothing(text):
    """The node may run another version."""
    assert read_report(text) == NodeReport()


@pytest.mark.parametrize("rate", ["-1", "NaN", "Infinity", "1e999", "1" * 400, '"9"'])
def test_no_number_of_a_report_upsets_a_division(rate):
    """Nothing below 0, nothing without an end."""
    assert read_report(f'{{"demand": {{"videos": {rate}}}}}').demand == {"videos": 0.0}


def test_what_a_newer_version_adds_is_passed_over():
    """Nodes of two versions run beside each other while they are restarted one by one."""
    assert read_report(json.dumps({"tasks": 7, "mood": "fine"})) == NodeReport(7)


def test_a_roll_shows_who_is_there_and_what_is_nobodys():
    """The oldest first, each with what it holds and what it said."""
    later = START + timedelta(minutes=1)
    rows = (
        NodeRow("n_2", "two", "1.1", later, later + timedelta(seconds=8), True, report='{"tasks": 5}'),
        NodeRow("n_1", "one", "1.0", START, later, False),
    )
    shards = {0: Lease("n_1", 3), 1: Lease("n_2", 1), 2: Lease("n_2", 1), 3: Lease(None, 2)}
    roll = Roll("n_2", later, rows, shards)
    assert standings(roll) == (
        Standing("one", False, "1.0", False, START, later - timedelta(seconds=8), 1, NodeReport()),
        Standing("two", True, "1.1", True, later, later, 2, NodeReport(5)),
    )
    assert unowned(roll) == 1
