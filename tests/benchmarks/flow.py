"""What comes in and what goes out: registrations, and the way from a task's end to its webhook. No test: it only
measures.

    python -m tests.benchmarks.flow [--rounds 3] [--folder FOLDER] [--only batch single latency burst]

The daemon is a process of its own on one core; the provider, the receiver and the clients are on another one, where
the machine has several. The store is SQLite in a file that is synced at each commit, in the folder for temporary files
or in --folder. Beside each figure stands the CPU time that one of what is counted cost the daemon: it hardly changes
when other programs run beside it.
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
from tests.benchmarks.peers import Peers, peers

REGISTERED = 30_000
SINGLES = 6_000
CONNECTIONS = 32
ENDS_PER_SECOND = 200
PACED = 4_000
WARM_UP_SECONDS = 4.0
"""The first second's polls come in one burst, and registering goes on meanwhile: those latencies are not counted."""
BURST = 5_000
NOWHERE = "https://192.0.2.1/hooks/video"  # a literal: no look-up is measured


@dataclass(frozen=True)
class Row:
    what: str
    measured: str
    target: str


@dataclass(frozen=True)
class Figure:
    """One round: what was measured, and the CPU time (seconds) that each of them cost the daemon."""

    values: tuple[float, ...]
    cpu: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def on_core(which: int) -> Iterator[None]:
    """What is started meanwhile, threads included, stays on this core, or on one of those that there are."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[which % len(allowed)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def measuring(folder: Path | None, **provider: Any) -> Iterator[tuple[DaemonProcess, Peers]]:
    """A new daemon on one core and what it talks to on another one, where the block runs, too."""
    with tempfile.TemporaryDirectory(dir=folder) as place, peers_on_core(1) as both:
        videos = {"base_url": both.url, "api_key": "key", "interval": "10m", "rate": "100000/s", **provider}
        networks = {"allow_networks": ["127.0.0.0/8", "192.0.2.0/24"]}
        config = {"providers": {"videos": videos}, "webhooks": networks, "log": {"level": "info"}}
        daemon = DaemonProcess(Path(place), config)
        daemon.fresh = True  # with this core, and with memory of its own
        try:
            with on_core(0):
                daemon.start()
            with on_core(1):
                yield daemon, both
        finally:
            daemon.kill()


@contextmanager
def peers_on_core(which: int) -> Iterator[Peers]:
    with on_core(which), peers() as both:
        yield both


# Registrations


def batch(folder: Path | None) -> Figure:
    with measuring(folder, rate="1/s") as (daemon, both):
        both.open = False
        cpu, began = cpu_seconds(daemon.pid), time.monotonic()
        register(daemon, NOWHERE, REGISTERED)
        seconds = time.monotonic() - began
        return Figure((REGISTERED / seconds,), (cpu_seconds(daemon.pid) - cpu) / REGISTERED)


def register(daemon: DaemonProcess, url: str, count: int) -> None:
    for start in range(0, count, 1000):
        wanted = [
            {"task_id": f"vid_{number}", "callback_url": url, "metadata": {"order": number}}
            for number in range(start, min(start + 1000, count))
        ]
        status, answer = daemon.call("POST", "/v1/watches/batch", {"watches": wanted})
        assert status == 200, answer
        assert {one["status"] for one in answer["results"]} == {201}


def single(folder: Path | None) -> Figure:
    with measuring(folder, rate="1/s") as (daemon, both):
        both.open = False
        cpu, began = cpu_seconds(daemon.pid), time.monotonic()
        asyncio.run(_one_by_one(daemon.port))
        seconds = time.monotonic() - began
        return Figure((SINGLES / seconds,), (cpu_seconds(daemon.pid) - cpu) / SINGLES)


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


def latency(folder: Path | None) -> Figure:
    """Each task has ended when it is polled first, and the provider's rate says when that is."""
    with measuring(folder, rate=f"{ENDS_PER_SECOND}/s") as (daemon, both):
        register(daemon, f"{both.url}/hooks/video", PACED)
        cpu, before = cpu_seconds(daemon.pid), len(both.received)
        wait_until(lambda: len(both.received) >= PACED, "all webhooks came", 60.0)
        cost = (cpu_seconds(daemon.pid) - cpu) / (PACED - before)
        assert len(both.received) == PACED
        return Figure(tuple(both.latencies(WARM_UP_SECONDS)), cost)


def burst(folder: Path | None) -> Figure:
    """The provider asks for a pause while the tasks are registered, and has completed them all when it is over."""
    with measuring(folder) as (daemon, both):
        both.open = False
        register(daemon, f"{both.url}/hooks/video", BURST)
        cpu, both.open = cpu_seconds(daemon.pid), True
        wait_until(lambda: len(both.received) >= BURST, "all webhooks came", 60.0)
        cost = (cpu_seconds(daemon.pid) - cpu) / BURST
        assert len(both.received) == BURST
        return Figure((BURST / both.span(),), cost)


# The table


def rate(rounds: Sequence[Figure]) -> str:
    return f"{median(one.values[0] for one in rounds):,.0f}/s"


def percentiles(rounds: Sequence[Figure]) -> str:
    """The medians of the rounds' percentiles."""
    cuts = [quantiles(one.values, n=100) for one in rounds]
    p50, p99 = (median(cut[percent - 1] for cut in cuts) * 1000 for percent in (50, 99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


@dataclass(frozen=True)
class Measure:
    what: str
    target: str
    run: Callable[[Path | None], Figure]
    told: Callable[[Sequence[Figure]], str]


MEASURES = {
    "batch": Measure("registration through /v1/watches/batch", "≥ 3,000/s", batch, rate),
    "single": Measure(f"registration one by one, {CONNECTIONS} connections", "–", single, rate),
    "latency": Measure(
        f"end learned → webhook received, {ENDS_PER_SECOND} ends/s", "p50 ≤ 10 ms, p99 ≤ 60 ms", latency, percentiles
    ),
    "burst": Measure(f"burst of {BURST:,} ends, durable, deliveries", "≥ 700/s", burst, rate),
}


def rows(chosen: argparse.Namespace) -> Iterator[Row]:
    for name in chosen.only or MEASURES:
        measure = MEASURES[name]
        rounds = [measure.run(chosen.folder) for _ in range(chosen.rounds)]
        cost = median(one.cpu for one in rounds) * 1000
        yield Row(measure.what, f"{measure.told(rounds)} (CPU {cost:.2f} ms each)", measure.target)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the store is (default: the one for temporary files)")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES))
    for row in rows(parser.parse_args()):
        print(f"{row.what:50} {row.measured:45} {row.target}")


if __name__ == "__main__":
    main()
