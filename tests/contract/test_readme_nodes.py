"""What the README tells of many machines: its file is valid, its numbers are the code's, and its sums are right."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from notifier.adapters.node_metrics import NodeMetrics
from notifier.config import Loaded, parse
from notifier.domain.lease import BEAT_SECONDS, TTL_SECONDS
from notifier.domain.quantity import parse_duration
from notifier.domain.shard import SHARDS

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.partition("\n## Many machines\n")[2].partition("\n## ")[0]
PAPER = SECTION.partition("\n### ")[2]
TASKS = 10_000_000
USED = 0.6
ROWS = 7


def test_the_file_of_many_machines_is_valid():
    """Whoever copies it has set three variables."""
    (file,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    names = {"DATABASE_PASSWORD": "x", "BACKEND_TOKEN": "t" * 32, "VIDEOS_API_KEY": "k", "WEBHOOK_SECRET": secret}
    assert isinstance(parse(file, "README.md", names, secrets="required"), Loaded)


def test_what_is_told_is_what_the_code_has():
    """Whoever plans for failures reads these."""
    told = " ".join(SECTION.split())
    assert f"divided into {SHARDS} shards" in told
    assert f"after {TTL_SECONDS:g} s others take over" in told
    assert f"after {TTL_SECONDS - BEAT_SECONDS:g} s nobody polls" in told


def test_every_metric_of_a_node_is_listed():
    """With its label."""
    registry = CollectorRegistry()
    NodeMetrics(registry).shares({"videos": 1.0})
    for family in registry.collect():
        name = family.name.removeprefix("notifier_")
        assert f"`{name}`" in SECTION or f"`{name}{{provider}}`" in SECTION, name


def unit(pattern: str) -> float:
    """A cost in the text, as the README writes it."""
    (number,) = re.findall(pattern, " ".join(PAPER.split()))
    return float(number)


def row(name: str) -> list[str]:
    (line,) = [line for line in PAPER.splitlines() if line.startswith(f"| {name}")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def number(cell: str) -> float:
    value, _, size = cell.replace(",", "").partition(" ")
    return float(value) * {"TB": 1e12, "GB": 1e9, "MB/s": 1e6, "": 1}[size]


@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_sums_of_ten_million_tasks_are_right(column: int):
    """Each figure follows from the unit costs that stand above it, within what was rounded."""
    poll = unit(r"a poll takes ([\d.]+) ms") / 1000
    memory = unit(r"takes ([\d.]+) KB of memory") * 1000
    life, database = unit(r"takes ([\d.]+) ms of a node's CPU,") / 1000, unit(r", ([\d.]+) ms of the database's") / 1000
    log, disk = unit(r"with ([\d.]+) KB of write-ahead log") * 1000, unit(r"leaves ([\d.]+) KB on disk") * 1000
    lived, interval = re.findall(r"live ([^,]*), `interval: (\w+)`", PAPER)[column]
    polls, ends = TASKS / parse_duration(interval), TASKS / parse_duration(lived.replace(" min", "m").replace(" ", ""))
    nodes = (polls * poll + ends * life) / USED
    figures = {
        "polls a second": polls,
        "nodes": nodes,
        "memory": TASKS * memory,
        "tasks that end": ends,
        "row writes": ends * ROWS,
        "the database's CPU": ends * database,
        "write-ahead log": ends * log,
        "connections": round(nodes) * unit(r"connections \(at most (\d+) a node"),
        "disk": ends * 86_400 * disk,
    }
    for name, expected in figures.items():
        assert number(row(name)[column]) == pytest.approx(expected, rel=0.07), name


def test_what_follows_from_the_sums_is_right():
    """How many accounts at one rate the slowest column takes."""
    rate, accounts = unit(r"at (\d+)/s for an account"), unit(r"even the last column takes (\d+) of them")
    assert accounts == pytest.approx(number(row("polls a second")[2]) / rate, rel=0.02)
