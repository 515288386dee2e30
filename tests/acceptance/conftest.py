"""Fixtures for tests with real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import ReceiverServer, Simulator, running


@pytest.fixture
def receiver() -> Iterator[ReceiverServer]:
    server = ReceiverServer()
    yield server
    server.close()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    process = Simulator(tmp_path)
    with running(process):
        yield process
