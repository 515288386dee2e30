"""One world for each test; whoever is still held at the end is let go."""

from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from tests.unit.services.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.crew.aclose()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nothing is printed; a test that looks at log lines captures its own."""
    with capture_logs():
        yield
