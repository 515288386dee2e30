"""What one would write without Notifier: a coroutine for each task, which asks, reads the status, and asks again.

    python -m tests.benchmarks.loops httpx|aiohttp URL TASKS SECONDS

Prints how many polls a second of CPU time were made. They keep nothing, limit nothing, and stop at the first trouble.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx

HEADERS = {"authorization": "Bearer key"}


async def with_httpx(url: str, tasks: int, polled: Callable[[], bool]) -> None:
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as client:

        async def watch(task_id: str) -> None:
            while polled():
                answer = await client.get(f"{url}/v1/result/{task_id}")
                assert answer.status_code == 200
                assert answer.json()["status"] == "processing"

        await asyncio.gather(*(watch(f"vid_{number}") for number in range(tasks)))


async def with_aiohttp(url: str, tasks: int, polled: Callable[[], bool]) -> None:
    async with aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def watch(task_id: str) -> None:
            while polled():
                async with session.get(f"{url}/v1/result/{task_id}") as answer:
                    assert answer.status == 200
                    assert (await answer.json())["status"] == "processing"

        await asyncio.gather(*(watch(f"vid_{number}") for number in range(tasks)))


LOOPS: dict[str, Callable[[str, int, Callable[[], bool]], Awaitable[None]]] = {
    "httpx": with_httpx,
    "aiohttp": with_aiohttp,
}


def main(loop: str, url: str, tasks: int, seconds: float) -> None:
    polls, began, end = 0, time.process_time(), time.monotonic() + seconds

    def polled() -> bool:
        nonlocal polls
        polls += 1
        return time.monotonic() < end

    asyncio.run(LOOPS[loop](url, tasks, polled))
    print((polls - tasks) / (time.process_time() - began))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
