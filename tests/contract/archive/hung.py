"""Saves a file on a disk that hangs in `fsync` for ever, then ends: run by a test, in a process of its own.

python -m tests.contract.archive.hung URL FOLDER   (prints what came of it, as JSON)
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from dataclasses import asdict
from ipaddress import ip_network
from pathlib import Path

from notifier.adapters.archive import folder_archive
from notifier.adapters.http import Downloads
from notifier.ports import SaveOrder
from tests.contract.archive.homes import nowhere


async def save(url: str, folder: Path) -> None:
    downloads = Downloads(guard=lambda: (ip_network("127.0.0.0/8"),))
    archive = folder_archive(folder, downloads=downloads, homes=nowhere, max_size=10**9, timeout=0.5)
    await archive.start()
    os.fsync = lambda _: threading.Event().wait()  # as of a server that is gone
    began = time.monotonic()
    result = await archive.save(SaveOrder(url, "videos/t/wch-0", "videos"))
    given_up = time.monotonic() - began
    stopped = asyncio.create_task(archive.save(SaveOrder(url, "videos/t/wch-1", "videos")))
    await asyncio.sleep(0.1)
    stopped.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stopped
    began = time.monotonic()
    await archive.aclose()
    print(json.dumps({"result": asdict(result), "given_up": given_up, "closed": time.monotonic() - began}))


if __name__ == "__main__":
    asyncio.run(save(sys.argv[1], Path(sys.argv[2])))
