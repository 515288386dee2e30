"""What comes in and what goes out: registrations, and the way from a task's end to its webhook.

The store is SQLite in a file that is synced at each commit, in the folder for temporary files (TMPDIR names another
one). Beside each figure stands what one of it cost the daemon in CPU time, which hardly changes when other programs
run beside it.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.acceptance.harness import TOKEN, DaemonProcess, wait_until
from tests.benchmarks.machine import cores, cpu_seconds, pin
from tests.benchmarks.peers import Peers, peers
from tests.benchmarks.table import Row

REGISTERED = 30_000
SINGLES = 6_000
CONNECTIONS = 32
ENDS_PER_SECOND = 200
PACED = 4_000
WARM_UP_SECONDS = 4.0
"""The first second's polls come in one burst, and registering goes on meanwhile: those latencies are not counted."""
BURST = 5_000
NOWHERE = "https://192.0.2.1/hooks/video"  # a literal: no look-up is measured
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Round:
    """What was measured (rates a second, or latencies in seconds), and the CPU seconds that each one cost."""

    values: tuple[float, ...]
    cpu: float


@contextmanager
def measuring(**provider: Any) -> Iterator[tuple[DaemonProcess, Peers]]:
    """A new daemon on one core, and on another one what it talks to and the block."""
    with beside(), tempfile.TemporaryDirectory() as folder, peers() as both:
        videos = {"base_url": both.url, "api_key": "key", "interval": "10m", "rate": "100000/s", **provider}
        networks = {"allow_networks": ["127.0.0.0/8", "192.0.2.0/24"]}
        config = {"providers": {"videos": videos}, "webhooks": networks, "log": {"level": "info"}}
        daemon = DaemonProcess(Path(folder), config)
        daemon.fresh = True  # with its core, and with memory of its own
        try:
            daemon.start()
            pin(daemon.pid, cores()[0])
            yield daemon, both
        finally:
            daemon.kill()


@contextmanager
def beside() -> Iterator[None]:
    """This thread, and those that it starts, stay off the daemon's core."""
    allowed = os.sched_getaffinity(0)
    _, other = cores()
    os.sched_setaffinity(0, {other})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


# Registrations


def batches() -> Round:
    with measuring(rate="1/s") as (daemon, both):
        both.open = False
        cpu, began = cpu_seconds(daemon.pid), time.monotonic()
        register(daemon, NOWHERE, REGISTERED)
        seconds = time.monotonic() - began
        return Round((REGISTERED / seconds,), (cpu_seconds(daemon.pid) - cpu) / REGISTERED)


def register(daemon: DaemonProcess, url: str, count: int) -> None:
    for start in range(0, count, 1000):
        wanted = [
            {"task_id": f"vid_{number}", "callback_url": url, "metadata": {"order": number}}
            for number in range(start, min(start + 1000, count))
        ]
        status, answer = daemon.call("POST", "/v1/watches/batch", {"watches": wanted})
        assert status == 200, answer
        assert {one["status"] for one in answer["results"]} == {201}


def singles() -> Round:
    with measuring(rate="1/s") as (daemon, both):
        both.open = False
        cpu, began = cpu_seconds(daemon.pid), time.monotonic()
        asyncio.run(_one_by_one(daemon.port))
        seconds = time.monotonic() - began
        return Round((SINGLES / seconds,), (cpu_seconds(daemon.pid) - cpu) / SINGLES)


async def _one_by_one(port: int) -> None:
    numbers = iter(range(SINGLES))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            body = json.dumps({"task_id": f"one_{number}", "callback_url": NOWHERE}).encode()
            head = f"POST /v1/watches HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert answer.split()[1] == b"201", answer
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


# From an end to its webhook


def paced() -> Round:
    """Each task has ended when it is polled first, and the provider's rate says when that is."""
    with measuring(rate=f"{ENDS_PER_SECOND}/s") as (daemon, both):
        register(daemon, f"{both.url}/hooks/video", PACED)
        cost = all_received(daemon, both, PACED)
        return Round(tuple(both.latencies(WARM_UP_SECONDS)), cost)


def burst() -> Round:
    """The provider asks for a pause while the tasks are registered, and has completed them all when it is over."""
    with measuring() as (daemon, both):
        both.open = False
        register(daemon, f"{both.url}/hooks/video", BURST)
        both.open = True
        cost = all_received(daemon, both, BURST)
        return Round((BURST / both.span(),), cost)


def all_received(daemon: DaemonProcess, both: Peers, count: int) -> float:
    """CPU seconds for each webhook that is still to come."""
    cpu, before = cpu_seconds(daemon.pid), len(both.received)
    wait_until(lambda: len(both.received) >= count, "all webhooks came", PATIENCE_SECONDS)
    assert len(both.received) == count
    return (cpu_seconds(daemon.pid) - cpu) / (count - before)


# The table


def rate(rounds: Sequence[Round], least: float) -> tuple[str, bool]:
    measured = median(one.values[0] for one in rounds)
    return f"{measured:,.0f}/s", measured >= least


def percentiles(rounds: Sequence[Round], p50: float, p99: float) -> tuple[str, bool]:
    """The medians of the rounds' percentiles; milliseconds."""
    cuts = [quantiles(one.values, n=100) for one in rounds]
    half, most = (median(cut[percent - 1] for cut in cuts) * 1000 for percent in (50, 99))
    return f"p50 {half:.1f} ms, p99 {most:.1f} ms", half <= p50 and most <= p99


@dataclass(frozen=True, slots=True)
class Measure:
    what: str
    run: Callable[[], Round]
    target: str
    told: Callable[[Sequence[Round]], tuple[str, bool]]


MEASURES = (
    Measure("registration through /v1/watches/batch", batches, "≥ 3,000/s", lambda rounds: rate(rounds, 3000)),
    Measure(f"registration one by one, {CONNECTIONS} connections", singles, "-", lambda rounds: rate(rounds, 0)),
    Measure(
        f"end learned → webhook received, {ENDS_PER_SECOND} ends/s",
        paced,
        "p50 ≤ 10 ms, p99 ≤ 60 ms",
        lambda rounds: percentiles(rounds, 10, 60),
    ),
    Measure(f"burst of {BURST:,} ends, durable in SQLite", burst, "≥ 700/s", lambda rounds: rate(rounds, 700)),
)


def rows(chosen: argparse.Namespace) -> list[Row]:
    return [_row(measure, [measure.run() for _ in range(chosen.rounds)]) for measure in MEASURES]


def _row(measure: Measure, rounds: Sequence[Round]) -> Row:
    measured, met = measure.told(rounds)
    cost = median(one.cpu for one in rounds) * 1000
    return Row(measure.what, f"{measured} ({cost:.2f} ms CPU each)", measure.target, met)
