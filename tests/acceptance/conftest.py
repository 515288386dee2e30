"""Fixtures for tests with real processes."""

from collections.abc import Iterator

import pytest

from tests.acceptance.harness import ReceiverServer, running
from tests.acceptance.simulator import Simulator


@pytest.fixture
def receiver() -> Iterator[ReceiverServer]:
    server = ReceiverServer()
    yield server
    server.close()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    simulator = Simulator()
    with running(simulator):
        yield simulator
