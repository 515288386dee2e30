"""The stop of saving."""

import asyncio
import contextlib

import pytest

from notifier.app.archiving import at_most


async def test_the_stop_waits_for_nobody_who_cannot_be_cancelled():
    """A disk that hangs: the stop of the daemon goes on beside it."""
    over = asyncio.Event()

    async def stubborn():
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()

    async def drain():
        work = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    async with asyncio.timeout(5):
        await at_most(0.01, drain())
    over.set()
    await asyncio.sleep(0)


async def test_the_stop_waits_for_what_ends_in_time():
    """And tells of its faults."""

    async def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await at_most(60, fail())
