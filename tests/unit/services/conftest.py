"""One world for each test; whoever is still held at the end is let go."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.services.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.crew.aclose()
