"""Polls keep their time whatever happens at the intake."""

import asyncio
import contextlib
import json
import resource
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.harness import TOKEN, DaemonProcess, running, wait_until
from tests.acceptance.simulator import Simulator

NOBODY = "http://127.0.0.1:9/hook"
WATCHES = 50
SECONDS = 8.0
LOAD_ENDS_WITHIN = 60.0
LONGEST_GAP = 6.0
"""Seconds between two polls of a task, as the provider sees them: all clients, it and the daemon share a machine."""


@pytest.fixture
def daemon(tmp_path: Path, simulator: Simulator) -> Iterator[DaemonProcess]:
    """Fifty tasks that never end, each polled every second, and a second provider for what the load registers."""
    idle = {"preset": "videos", "base_url": "http://127.0.0.1:9", "api_key": "key", "interval": "1h", "rate": "1/s"}
    providers = simulator.provider(interval="1s") | {"idle": idle}
    process = DaemonProcess(tmp_path, {"providers": providers, "log": {"level": "info"}})
    with running(process):
        watches = [
            {"task_id": f"stuck-{number}", "callback_url": NOBODY, "provider": "videos"} for number in range(WATCHES)
        ]
        assert process.call("POST", "/v1/watches/batch", {"watches": watches})[0] == 200
        wait_until(lambda: simulator.stats()["polls"] >= 2 * WATCHES, "every task is polled")
        yield process


@pytest.fixture
def _many_files() -> Iterator[None]:
    """The clients are in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 4096:
        pytest.skip(f"needs 4096 file descriptors, and {before[1]} are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def lags(daemon: DaemonProcess) -> tuple[float, float]:
    """How many polls there were, and how many of them started within a second of their time."""
    text = daemon.call("GET", "/metrics")[1]
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("notifier_poll_lag_seconds"))
    counted = found['notifier_poll_lag_seconds_count{provider="videos"}']
    return float(counted), float(found['notifier_poll_lag_seconds_bucket{le="1.0",provider="videos"}'])


def hold_polls(
    daemon: DaemonProcess, simulator: Simulator, load: Coroutine[Any, Any, None], record: Callable[[str, object], None]
) -> None:
    """Put the load on, and compare polls before and while: their lag as we tell it, their gaps as the provider sees."""
    before, began = lags(daemon), time.time()
    asyncio.run(load)
    after, ended = lags(daemon), time.time()
    polls, punctual = after[0] - before[0], after[1] - before[1]
    tasks = simulator.stats()["tasks"]
    times = [tasks[f"stuck-{number}"]["polled_at"] for number in range(WATCHES)]
    gaps = sorted(
        later - at for polled in times for at, later in pairwise(polled) if began < later and at < ended
    )
    usual, longest = gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.99)]
    record("figure", f"{polls:.0f} polls, {punctual / polls:.1%} punctual; gap p50 {usual:.2f} s, p99 {longest:.2f} s")
    assert polls > WATCHES * SECONDS / 3
    assert punctual / polls >= 0.99
    assert longest < LONGEST_GAP


@contextlib.asynccontextmanager
async def clients(count: int, behave: Callable[[int], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """So many of them at work while the block runs."""
    tasks = [asyncio.create_task(behave(number)) for number in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result


async def call(port: int, requests: Iterator[bytes], statuses: list[int]) -> None:
    """One request after the other on one connection, as long as the server keeps it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in requests:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
            statuses.append(int(head.split()[1]))
    finally:
        writer.transport.abort()


async def stay(port: int, *, drips: bool) -> None:
    """Until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if drips:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Drip: ")
        answer = None
        while answer is None:
            with contextlib.suppress(TimeoutError):
                answer = await asyncio.wait_for(reader.read(), 1.0)
            if drips:
                writer.write(b"x")
    finally:
        writer.transport.abort()


def request(method: str, path: str, body: Any = None) -> bytes:
    sent = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n".encode() + sent


@pytest.mark.usefixtures("_many_files")
def test_two_thousand_slow_connections_delay_no_poll(
    daemon: DaemonProcess, simulator: Simulator, record_property: Callable[[str, object], None]
) -> None:
    """A thousand clients that say nothing and a thousand whose head drips, coming back whenever they are closed; who
    asks properly is served meanwhile."""
    statuses: list[int] = []

    async def linger(number: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                await stay(daemon.port, drips=number % 2 == 0)
            await asyncio.sleep(0.2)  # as a client that reconnects

    async def load() -> None:
        async with asyncio.timeout(LOAD_ENDS_WITHIN), clients(2000, linger):
            await asyncio.sleep(SECONDS)
            for _ in range(20):
                await call(daemon.port, iter([request("GET", "/v1/watches?limit=1")]), statuses)

    hold_polls(daemon, simulator, load(), record_property)
    assert statuses == [200] * 20


@pytest.mark.usefixtures("_many_files")
@pytest.mark.parametrize("what", ["reads", "registrations", "batches"])
def test_a_flood_of_requests_delays_no_poll(
    daemon: DaemonProcess, simulator: Simulator, what: str, record_property: Callable[[str, object], None]
) -> None:
    """Hundreds of clients that ask as fast as they are answered, of a daemon that could not serve them faster."""
    statuses: list[int] = []
    count = 4 if what == "batches" else 500

    def watch(name: str) -> dict[str, str]:
        return {"task_id": name, "callback_url": NOBODY, "provider": "idle"}

    def requests(number: int) -> Iterator[bytes]:
        for round_ in range(10_000):
            name = f"{number}-{round_}"
            if what == "reads":
                yield request("GET", "/v1/watches?limit=1")
            elif what == "registrations":
                yield request("POST", "/v1/watches", watch(name))
            else:
                wanted = [watch(f"{name}-{index}") for index in range(1000)]
                yield request("POST", "/v1/watches/batch", {"watches": wanted})

    async def load() -> None:
        async with (
            asyncio.timeout(LOAD_ENDS_WITHIN),
            clients(count, lambda number: call(daemon.port, requests(number), statuses)),
        ):
            await asyncio.sleep(SECONDS)

    hold_polls(daemon, simulator, load(), record_property)
    record_property("figure", f"{len(statuses) / SECONDS:.0f} answers a second")
    assert set(statuses) <= {200, 201, 503}
    assert len(statuses) > count / 10
