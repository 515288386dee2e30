"""Fixtures for tests with real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import ReceiverServer, running
from tests.acceptance.postgres_server import PostgresServer, postgres_server
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this process of the test run; whoever stops it starts it again."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The `store` of a configuration; the test is run once with each."""
    if request.param == "sqlite":
        return {"url": f"sqlite:///{tmp_path / 'notifier.db'}"}
    server: PostgresServer = request.getfixturevalue("postgres")
    return {"url": server.new_database()}
