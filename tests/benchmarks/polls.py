"""Polls: what one costs, whatever the number of watches; how late they are; what a watch takes, and a start."""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.acceptance.harness import DaemonProcess, Process, call, free_port, running, wait_until
from tests.benchmarks.machine import cores, cpu_seconds, pin, resident_bytes
from tests.benchmarks.table import Row

HOOK = "https://192.0.2.1/hooks/video"  # a literal: no look-up is measured
IN_FLIGHT = 100
BUSY_WATCHES = 2000
FEW = 1000
POLLS_A_SECOND = 2000
SETTLE_SECONDS = 3.0
FOREVER = 600.0
GUESSED_CAPACITY = 3000.0

_POLLS = re.compile(r'notifier_polls_total\{outcome="running",provider="videos"\} (\S+)')
_LAG = re.compile(r'notifier_poll_lag_seconds_bucket\{le="(\S+)",provider="videos"\} (\S+)')


class Provider(Process):
    """`answering` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        here = {"PYTHONPATH": str(Path(__file__).parents[2])}
        super().__init__([str(self.port)], folder / "provider.log", here, "tests.benchmarks.answering", fresh=True)

    def start(self) -> None:
        super().start()
        wait_until(self._answers, "the server answers")
        pin(self.pid, cores()[1])

    def _answers(self) -> bool:
        try:
            return self.seen() is not None
        except OSError:
            return False

    def seen(self) -> dict[str, int]:
        """About how many tasks requests came so far."""
        return dict(call(self.url, "GET", "/seen")[1])


class Daemon(DaemonProcess):
    """`notifier run` on a core of its own, polling the provider."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        self._provider = provider
        webhooks = {"allow_networks": ["192.0.2.0/24"]}
        super().__init__(folder, {"providers": {}, "webhooks": webhooks, "log": {"level": "info"}})
        self.fresh = True  # what it takes is its own, nothing is shared with a process that it was forked from
        self.poll(every=3600.0, rate=1)

    def poll(self, *, every: float, rate: int = 100_000) -> None:
        """From the next start or reload on; seconds, and polls a second."""
        self.config["providers"] = {
            "videos": {
                "base_url": self._provider.url,
                "api_key": "key",
                "interval": every,
                "min_interval": "10ms",
                "rate": f"{rate}/s",
                "concurrency": IN_FLIGHT,
            }
        }
        self.write()

    def start(self, *, ready: bool = True) -> None:
        Process.start(self)
        pin(self.pid, cores()[0])
        if ready:
            wait_until(self.ready, f"the daemon is ready:\n{self.log.read_text()[-2000:]}", FOREVER)

    def reload(self) -> None:
        assert self.call("POST", "/v1/reload")[0] == 200

    def register(self, count: int) -> None:
        """Watches of tasks of their own, in the largest batches that are taken."""
        for start in range(0, count, 1000):
            numbers = range(start, min(start + 1000, count))
            watches = [{"task_id": f"vid_{number}", "callback_url": HOOK} for number in numbers]
            status, answer = self.call("POST", "/v1/watches/batch", {"watches": watches})
            assert status == 200, answer
            assert {one["status"] for one in answer["results"]} == {201}

    def metrics(self) -> str:
        return str(self.call("GET", "/metrics")[1])


@dataclass(frozen=True, slots=True)
class Polled:
    """What happened within `seconds`, of which the daemon's core was busy for `cpu`. `lags` counts the polls that
    started no later than so many seconds."""

    polls: int
    cpu: float
    seconds: float
    lags: dict[float, float]

    @property
    def each(self) -> float:
        """Microseconds of CPU for a poll."""
        return 1e6 * self.cpu / self.polls

    def lag(self, part: float) -> float:
        """Seconds that this part of the polls was not later than: the next higher one of the metric's buckets."""
        whole = max(self.lags.values())
        return min(bound for bound, count in self.lags.items() if count >= part * whole)


def polled(daemon: Daemon, seconds: float) -> Polled:
    text, cpu, began = daemon.metrics(), cpu_seconds(daemon.pid), time.monotonic()
    time.sleep(seconds)
    used, took, later = cpu_seconds(daemon.pid) - cpu, time.monotonic() - began, daemon.metrics()
    polls = float(_POLLS.findall(later)[0]) - float(_POLLS.findall(text)[0])
    before = {float(bound): float(count) for bound, count in _LAG.findall(text)}
    lags = {float(bound): float(count) - before[float(bound)] for bound, count in _LAG.findall(later)}
    return Polled(int(polls), used, took, lags)


def loop_rate(loop: str, provider: Provider, seconds: float) -> float:
    """Polls for a second of CPU."""
    command = [sys.executable, "-m", "tests.benchmarks.loops", loop, provider.url, str(IN_FLIGHT), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    pin(process.pid, cores()[0])
    output, _ = process.communicate(timeout=FOREVER)
    assert process.returncode == 0
    return float(output)


@contextmanager
def at_work(watches: int) -> Iterator[tuple[Daemon, Provider]]:
    """A daemon that has so many watches in its store, not running yet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        provider = Provider(folder)
        daemon = Daemon(folder, provider)
        with running(provider, daemon):
            daemon.register(watches)
            daemon.stop()
            yield daemon, provider


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# With more due than can run


def rates(args: argparse.Namespace) -> Iterator[Row]:
    """Everything in each round, one after the other, so that all have the same machine."""
    made: dict[str, list[float]] = {name: [] for name in ("httpx", "aiohttp", "full", "twice")}
    with at_work(BUSY_WATCHES) as (daemon, provider):
        capacity = GUESSED_CAPACITY
        for number in range(args.rounds + 1):
            for loop in ("httpx", "aiohttp"):
                made[loop].append(loop_rate(loop, provider, args.seconds))
            for name, crowd in (("full", 1.25), ("twice", 2.0)):
                made[name].append(crowded(daemon, BUSY_WATCHES / (crowd * capacity), args.seconds))
            capacity = made["full"][-1]
            say(f"polls for a second of CPU: { {name: round(values[-1]) for name, values in made.items()} }")
            if number == 0:  # it only showed how many there can be
                made = {name: [] for name in made}
    plain, quick, ours, pressed = (median(made[name]) for name in ("httpx", "aiohttp", "full", "twice"))
    yield Row(f"polls for a second of one core, {IN_FLIGHT} in flight", f"{ours:.0f}")
    yield Row(f"... over a plain httpx loop ({plain:.0f})", f"{ours / plain:.1f} x", ">= 6 x", ours >= 6 * plain)
    yield Row(f"... over an aiohttp loop ({quick:.0f})", f"{ours / quick:.2f} x", ">= 0.4 x", ours >= 0.4 * quick)
    yield Row(
        f"the same with twice as many due as can run ({pressed:.0f})",
        f"{pressed / plain:.1f} x, {pressed / quick:.2f} x",
        ">= 6 x, >= 0.4 x",
        pressed >= max(6 * plain, 0.4 * quick),
    )


def crowded(daemon: Daemon, every: float, seconds: float) -> float:
    """Polls for a second of CPU."""
    daemon.poll(every=every)
    daemon.start()
    time.sleep(SETTLE_SECONDS)
    measured = polled(daemon, seconds)
    daemon.stop()
    return measured.polls / measured.cpu


# With many watches


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many watches, all polled POLLS_A_SECOND in sum. Seconds from the start until it was ready, and until every
    task was polled; bytes in memory then."""

    watches: int
    ready: float
    all_polled: float
    memory: int
    polled: Polled

    @property
    def interval(self) -> float:
        return self.watches / POLLS_A_SECOND


def crowd(watches: int, seconds: float) -> Crowd:
    with at_work(watches) as (daemon, provider):
        daemon.poll(every=watches / POLLS_A_SECOND, rate=2 * POLLS_A_SECOND)
        provider.stop()  # some were polled when they were registered
        provider.start()
        began = time.monotonic()
        daemon.start()
        ready = time.monotonic() - began
        tasks = 0
        while tasks < watches:
            time.sleep(0.2)
            tasks = provider.seen()["tasks"]
        everyone = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        result = Crowd(watches, ready, everyone, resident_bytes(daemon.pid), polled(daemon, seconds))
        daemon.stop()
    say(
        f"{watches} watches: {result.polled.each:.0f} us of CPU a poll, {result.polled.polls / seconds:.0f} polls/s, "
        f"{result.memory / 2**20:.0f} MiB, ready after {ready:.1f} s, all polled after {everyone:.1f} s"
    )
    return result


def crowds(args: argparse.Namespace) -> Iterator[Row]:
    few, many = crowd(FEW, args.seconds), crowd(args.watches, max(args.seconds, 20.0))
    ratio = many.polled.each / few.polled.each
    costs = f"{many.watches:,} watches ({many.polled.each:.0f} us) over {FEW:,} ({few.polled.each:.0f} us)"
    yield Row(f"CPU of a poll, {costs}", f"{ratio:.2f} x", "<= 1.25 x", ratio <= 1.25)
    each = (many.memory - few.memory) / (many.watches - few.watches)
    yield Row(f"memory of a watch, at {many.watches:,}", f"{each / 1000:.1f} kB", "<= 3 kB", each <= 3000)
    yield Row(f"start with {many.watches:,} watches: ready", f"{many.ready:.1f} s", "<= 15 s", many.ready <= 15)
    soon, limit = many.all_polled, many.interval + 10
    yield Row(f"... every task polled, interval {many.interval:g} s", f"{soon:.1f} s", f"<= {limit:g} s", soon <= limit)
    late, rate = many.polled.lag(0.99), many.polled.polls / many.polled.seconds
    yield Row(f"lag of polls at {rate:.0f}/s, p99", f"<= {late:g} s", "<= 1 s", late <= 1)
