"""How much the intake takes: watches a second in batches, requests a second one by one. No test: it only measures.

    python -m tests.benchmarks.intake [--watches 30000] [--requests 10000] [--connections 32]

The daemon is a process of its own, kept on one core where the machine has several. Its CPU time is the figure to
compare: it hardly changes when other programs run beside it.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.harness import TOKEN, DaemonProcess, call, running

HOOK = "https://192.0.2.1/hooks/video"  # a literal: no look-up is measured
PROVIDER = {"videos": {"base_url": "http://127.0.0.1:9", "api_key": "key", "interval": "1h", "rate": "1/s"}}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def measured(what: str, daemon: DaemonProcess, count: int) -> Iterator[None]:
    cpu, began = cpu_seconds(daemon.pid), time.monotonic()
    yield
    seconds, used = time.monotonic() - began, cpu_seconds(daemon.pid) - cpu
    print(f"{what}: {count} in {seconds:.2f} s = {count / seconds:.0f}/s; CPU {used:.2f} s = {count / used:.0f}/s")


def batches(daemon: DaemonProcess, watches: int) -> None:
    for start in range(0, watches, 1000):
        wanted = [
            {"task_id": f"vid_{number}", "callback_url": HOOK, "metadata": {"order": number}}
            for number in range(start, start + 1000)
        ]
        status, answer = call(daemon.url, "POST", "/v1/watches/batch", {"watches": wanted})
        assert status == 200, answer
        assert {one["status"] for one in answer["results"]} == {201}


async def singles(daemon: DaemonProcess, requests: int, connections: int, method: str, path: str) -> None:
    numbers = iter(range(requests))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        for number in numbers:
            body = json.dumps({"task_id": f"one_{number}", "callback_url": HOOK}).encode() if method == "POST" else b""
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert answer.split()[1] in (b"200", b"201"), answer
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--watches", type=int, default=30_000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=32)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = {"providers": PROVIDER, "webhooks": {"allow_networks": ["192.0.2.0/24"]}, "log": {"level": "info"}}
        daemon = DaemonProcess(Path(folder), config)
        daemon.fresh = True
        with running(daemon):
            os.sched_setaffinity(daemon.pid, {min(os.sched_getaffinity(0))})
            with measured("watches in batches of 1000", daemon, chosen.watches):
                batches(daemon, chosen.watches)
            for method, path in (("GET", "/healthz"), ("GET", "/v1/watches?limit=1"), ("POST", "/v1/watches")):
                with measured(f"{method} {path}", daemon, chosen.requests):
                    asyncio.run(singles(daemon, chosen.requests, chosen.connections, method, path))


if __name__ == "__main__":
    main()
