"""Saves one file in a process of its own and prints what that took, as JSON: for measuring.

python -m tests.contract.archive.child URL PATH FOLDER MAX_SIZE   (of a server as source.py's)
"""

import asyncio
import gc
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from notifier.adapters.archive import folder_archive
from notifier.adapters.http import Downloads
from notifier.ports import SaveOrder
from tests.contract.archive.homes import nowhere

TICK_SECONDS = 0.005


def memory(field: str) -> int:
    """KiB, of proc(5): `VmRSS` now, `VmHWM` at most since the last reset."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


async def watch_delays(delays: list[float]) -> None:
    """How much later than due the loop came back, again and again: what a poll would have waited."""
    while True:
        due = time.perf_counter() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        delays.append(time.perf_counter() - due)


async def measure(url: str, path: str, folder: Path, max_size: int) -> dict[str, object]:
    downloads = Downloads(guard=lambda: (ip_network("127.0.0.0/8"),))
    archive = folder_archive(folder, downloads=downloads, homes=nowhere, max_size=max_size, timeout=600)
    await archive.start()
    await archive.save(SaveOrder(f"{url}small", "videos/t/warm-0", "videos"))  # what is imported and made once
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before, began, delays = memory("VmRSS"), time.perf_counter(), []
    watching = asyncio.create_task(watch_delays(delays))
    result = await archive.save(SaveOrder(f"{url}{path}", "videos/t/wch-0", "videos"))
    seconds = time.perf_counter() - began
    watching.cancel()
    grown = memory("VmHWM") - before
    await archive.aclose()
    delays.sort()
    return {
        "result": asdict(result),
        "seconds": seconds,
        "grown_mib": grown / 1024,
        "delay_worst": delays[-1],
        "delay_p99": delays[len(delays) * 99 // 100],
    }


def measured(url: str, path: str, folder: Path, max_size: int = 4_000_000_000) -> dict[str, Any]:
    """What `measure` finds in a new process."""
    command = [sys.executable, "-m", "tests.contract.archive.child", url, path, str(folder), str(max_size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))))
