"""What nodes say of themselves."""

import json

import pytest

from notifier.domain.report import NodeReport, read_report


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
