"""Fifty receivers misbehave at once, and the others notice nothing."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tests.acceptance.harness import DaemonProcess, Hook, ReceiverServer, free_port, running, wait_until
from tests.acceptance.misbehaving import HOSTS
from tests.acceptance.simulator import Simulator

MISBEHAVING = Path(__file__).with_name("misbehaving.py")
HEALTHY = [f"127.0.1.{number}" for number in range(1, 6)]
EVENTS = 200
EACH = 8
"""Deliveries to each host that misbehaves: as many as `per_host` lets out at once."""

OVERLOADED = 0.15
"""The daemon was ready to run and waited for a core, for this share of the time: that is no fault of its own."""


@contextmanager
def misbehaving() -> Iterator[int]:
    """The port of fifty addresses (HOSTS) that misbehave."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(MISBEHAVING), str(port)], stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"listening\n"
        yield port
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def latency(hook: Hook) -> float:
    """Seconds from learning the task's end to the receiver."""
    return hook.at - datetime.fromisoformat(hook.event["timestamp"]).timestamp()


def worst(latencies: list[float]) -> float:
    """The 99th percentile."""
    return sorted(latencies)[int(len(latencies) * 0.99)]


def memory(pid: int) -> float:
    """The most that the process ever had at once, in MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def run_queue(pid: int) -> float:
    """How many seconds the main thread waited for a core so far (the kernel's sched-stats, in nanoseconds)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def register(daemon: DaemonProcess, name: str, urls: list[str]) -> None:
    watches = [{"task_id": f"{name}-{number}", "callback_url": url} for number, url in enumerate(urls)]
    results = daemon.call("POST", "/v1/watches/batch", {"watches": watches})[1]["results"]
    assert {result["status"] for result in results} == {201}


def told(daemon: DaemonProcess, receivers: list[ReceiverServer], name: str) -> list[float]:
    """How long each of EVENTS events took to the healthy receivers, a few ending at a time."""
    for start in range(0, EVENTS, 10):
        urls = [f"{receivers[number % len(receivers)].url}/{name}" for number in range(10)]
        register(daemon, f"{name}-{start}", urls)
        time.sleep(0.1)  # the pace of the load, not a wait
    wait_until(lambda: sum(len(one.at(f"/{name}")) for one in receivers) >= EVENTS, "every healthy receiver is told")
    return [latency(hook) for one in receivers for hook in one.at(f"/{name}")]


def failing(daemon: DaemonProcess) -> set[str]:
    """The hosts that failed an attempt so far."""
    lines = daemon.events("delivery.attempted")
    return {line["url"].split("/")[2] for line in lines if line["outcome"] == "failed"}


def test_fifty_hostile_receivers_delay_no_healthy_one(tmp_path: Path, record_property: Callable[..., None]) -> None:
    """While fifty receivers hang, drip, flood, reset and lie, the p99 from a task's end to a healthy receiver stays
    under 500 ms, and memory stays bounded. On a machine that has no time for the daemon, it is held against what the
    daemon did there without them."""
    simulator = Simulator(duration=0.01)
    receivers = [ReceiverServer(host=host) for host in HEALTHY]
    webhooks = {"timeout": "2s", "retry": ["2s"] * 100}
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(rate="2000/s"), "webhooks": webhooks})
    daemon.config["log"]["level"] = "info"
    daemon.write()
    with misbehaving() as port, running(simulator, daemon):
        usual, before = worst(told(daemon, receivers, "alone")), memory(daemon.pid)
        register(daemon, "hostile", [f"http://{host}:{port}/{each}" for host in HOSTS for each in range(EACH)])
        wait_until(lambda: len(failing(daemon)) == len(HOSTS), "each of them has failed an attempt")
        began, queued = time.monotonic(), run_queue(daemon.pid)
        beset = worst(told(daemon, receivers, "beset"))
        starved = (run_queue(daemon.pid) - queued) / (time.monotonic() - began)
        grown = memory(daemon.pid) - before
    for receiver in receivers:
        receiver.close()
    times = f"p99 {beset * 1000:.0f} ms, {usual * 1000:.0f} ms alone"
    record_property("figure", f"{times}; {grown:.0f} MB more; {starved:.0%} of the time without a core")
    assert beset < (0.5 if starved < OVERLOADED else max(0.5, 15 * usual) / (1 - starved))
    assert grown < 150
