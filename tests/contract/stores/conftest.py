"""Every test that asks for `store` runs once for each back end."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from notifier.adapters.stores.store import SqlStore
from tests.contract.stores.building import BACKENDS, Announcer, Backend


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    backend = BACKENDS[request.param](tmp_path)
    yield backend
    backend.remove()


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[SqlStore]:
    store = await backend.open()
    yield store
    await store.close()


@pytest.fixture
def announcer() -> Announcer:
    return Announcer()
