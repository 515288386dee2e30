"""GET /metrics of a real process: the names and labels that the README lists, and nothing that grows without bound."""

import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.harness import DaemonProcess, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator

README = Path(__file__).parents[2] / "README.md"
LABELS = {
    "build_info": {"version"},
    "watches": {"state"},
    "deliveries": {"state"},
    "polls": {"provider", "outcome"},
    "poll_duration_seconds": {"provider"},
    "poll_lag_seconds": {"provider"},
    "provider_paused": {"provider", "reason"},
    "events": {"type"},
    "attempts": {"outcome"},
    "attempt_duration_seconds": set(),
    "delivery_latency_seconds": set(),
    "config_last_reload_successful": set(),
    "config_last_reload_success_timestamp_seconds": set(),
    "ready": set(),
    "oldest_pending_delivery_seconds": set(),
    "open_circuits": set(),
    "store_bytes": set(),
    "store_free_bytes": set(),
    "files": {"outcome"},
    "file_bytes": set(),
    "files_pending": set(),
}


def families(daemon: DaemonProcess) -> dict[str, Any]:
    found = text_string_to_metric_families(daemon.call("GET", "/metrics")[1])
    return {one.name.removeprefix("notifier_"): one for one in found if one.name.startswith("notifier_")}


def value(found: dict[str, Any], sample: str, **labels: str) -> float:
    """One sample's value, by its whole name."""
    (one,) = [
        each.value
        for family in found.values()
        for each in family.samples
        if each.name == f"notifier_{sample}" and labels.items() <= each.labels.items()
    ]
    return float(one)


def test_metrics_are_what_the_readme_says(tmp_path: Path, simulator: Simulator, receiver: ReceiverServer) -> None:
    """One task that is told, one whose receiver is down; each figure where it belongs and in no other label."""
    simulator.script("told", queued=0, processing=0)
    simulator.script("owed", queued=0, processing=0, outcome="failed")
    receiver.answer = lambda path, count: 500 if path == "/owed" else 204
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        fresh = families(daemon)
        assert value(fresh, "polls_total", provider="videos", outcome="throttled") == 0
        assert value(fresh, "events_total", type="task.abandoned") == 0
        assert value(fresh, "attempts_total", outcome="delivered") == 0
        daemon.watch("told", f"{receiver.url}/told")
        daemon.watch("owed", f"{receiver.url}/owed")

        def attempted() -> dict[str, Any] | None:
            found = families(daemon)
            told = value(found, "deliveries", state="delivered")
            return found if told and value(found, "attempts_total", outcome="failed") else None

        found = wait_until(attempted, "both are attempted")
        shown = {name: {label for each in family.samples for label in each.labels} for name, family in found.items()}
        assert {name: labels - {"le"} for name, labels in shown.items()} == LABELS
        assert value(found, "polls_total", provider="videos", outcome="completed") == 1
        assert value(found, "poll_lag_seconds_count", provider="videos") >= 2
        assert value(found, "events_total", type="task.failed") == 1
        assert value(found, "delivery_latency_seconds_count") == 1
        assert value(found, "delivery_latency_seconds_bucket", le="5.0") == 1
        assert value(found, "watches", state="completed") == 1
        assert value(found, "deliveries", state="pending") == 1
        assert 0 < value(found, "oldest_pending_delivery_seconds") < 60
        assert value(found, "ready") == value(found, "config_last_reload_successful") == 1
        assert value(found, "store_bytes") > 4096
        assert value(found, "store_free_bytes") > 0
        values = {text for family in found.values() for each in family.samples for text in each.labels.values()}
        assert not [text for text in values if "told" in text or "owed" in text or "/" in text]


def test_buckets_reach_from_the_usual_to_the_worst(tmp_path: Path, simulator: Simulator) -> None:
    """A poll's time-out, a lag of some milliseconds, and the days that a delivery may take."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        found = families(daemon)
    bounds = {
        name: sorted({float(each.labels["le"]) for each in found[name].samples if "le" in each.labels})
        for name in ("poll_duration_seconds", "poll_lag_seconds", "delivery_latency_seconds")
    }
    assert 30 in bounds["poll_duration_seconds"]
    assert bounds["poll_lag_seconds"][0] <= 0.01
    assert bounds["delivery_latency_seconds"][-2] > 3 * 86_400


def test_the_readme_names_every_metric_and_its_alerts_none_that_is_missing() -> None:
    """What is listed is what there is."""
    section = README.read_text().partition("## Logs and metrics")[2].partition("\n## ")[0]
    named = {name.removeprefix("notifier_") for name in re.findall(r"notifier_[a-z_]+", section)}
    suffixes = ("", "_total", "_bucket", "_count", "_sum")
    known = {name + suffix for name in LABELS for suffix in suffixes}
    assert named - known == set()
    assert [name for name in LABELS if name not in section] == []
