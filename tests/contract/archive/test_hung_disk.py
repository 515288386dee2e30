"""A disk that does not answer any more, as one of a server that is gone: a try ends, and so does the process."""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from notifier.adapters.archive import partial
from notifier.adapters.archive.threads import DiskThreads, obtain
from notifier.ports import SaveOrder, Unsaved
from tests.contract.archive.servers import content, honest

ROOT = Path(__file__).parents[3]


async def test_a_hung_disk_holds_up_neither_a_try_nor_the_end(serve, tmp_path):
    """A call into the kernel cannot be interrupted: it is left behind, also by the end of the process."""
    server = await serve(honest(content(1000)))
    command = (sys.executable, "-m", "tests.contract.archive.hung", server.url, str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = json.loads(out)
    assert process.returncode == 0
    assert found["result"] == {
        "reason": "store",
        "message": "the archive did not take the file within 0.5 s (archive.timeout)",
    }
    assert found["given_up"] < 15
    assert found["closed"] < 15


async def test_a_disk_on_which_nothing_can_be_begun_is_said(archive, serve, monkeypatch):
    """All threads hang: the next try does not wait for them for ever."""
    built = await archive()
    monkeypatch.setattr(partial, "CREATED_SECONDS", 0.05)
    hung = asyncio.Event()
    loop = asyncio.get_running_loop()
    for _ in range(64):
        built._threads.submit(lambda: asyncio.run_coroutine_threadsafe(hung.wait(), loop).result(30))
    server = await serve(honest(content(1000)))
    unsaved = await built.save(SaveOrder(server.url, "videos/t/wch_1-0", "videos"))
    hung.set()
    silent = "the disk of archive.url does not work: it does not answer; look at the system's log"
    assert unsaved == Unsaved("store", silent)
    assert server.accepts == 0


async def test_threads_do_all_that_was_submitted():
    """In any number, and errors belong to who waits."""
    threads = DiskThreads(3)
    assert [future.result(20) for future in [threads.submit(pow, 2, n) for n in range(50)]] == [2**n for n in range(50)]
    assert isinstance(threads.submit(int, "x").exception(20), ValueError)
    last = [threads.submit(os.getpid) for _ in range(10)]
    threads.shutdown()
    assert {future.result(0) for future in last} == {os.getpid()}
    with pytest.raises(RuntimeError, match="closed"):
        threads.submit(os.getpid)


async def test_what_is_cancelled_before_its_turn_is_not_done():
    """There is nothing to give back then."""
    given_back: list[int] = []
    done: list[int] = []
    hold = asyncio.Event()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(lambda: asyncio.run_coroutine_threadsafe(hold.wait(), loop).result(30))
        waiting = asyncio.create_task(obtain(threads, lambda: done.append(1) or 1, given_back.append))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        hold.set()
        await asyncio.to_thread(threads.shutdown)
    assert done == given_back == []
