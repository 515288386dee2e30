from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.api.world import World, opened


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    """An intake without tokens, one provider `videos` and nothing registered."""
    async with opened(World()) as built:
        yield built


@pytest_asyncio.fixture
async def guarded() -> AsyncIterator[World]:
    """An intake that two tokens open."""
    async with opened(World(tokens={"backend": "s3cret-token", "ci": "other-token"})) as built:
        yield built
