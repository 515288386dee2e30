"""Fixtures for tests with real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster
from tests.acceptance.harness import ReceiverServer, running
from tests.acceptance.postgres_server import PostgresServer, postgres_server
from tests.acceptance.provider_server import ProviderServer
from tests.acceptance.simulator import Simulator
from tests.cuttable_wire import Wire


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


@pytest.fixture(scope="module")
def wire(postgres: PostgresServer) -> Iterator[Wire]:
    """By which node `c` reaches the database."""
    wire = Wire(postgres.port)
    yield wire
    wire.close()


@pytest.fixture(scope="module")
def three_nodes(postgres: PostgresServer, wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for the tests of this file that run in this process."""
    provider, receiver, url = ProviderServer(), ReceiverServer(), postgres.new_database()
    roundabout = url.replace(f":{postgres.port}/", f":{wire.port}/")
    cluster = Cluster(tmp_path_factory.mktemp("nodes"), url, provider, receiver, roundabout=roundabout)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
        receiver.close()
        provider.close()


@pytest.fixture
def cluster(three_nodes: Cluster) -> Iterator[Cluster]:
    """Three nodes that share the work, whatever the test before did; afterwards what always holds is checked."""
    three_nodes.receiver.answer = lambda path, count: 204
    three_nodes.settle()
    yield three_nodes
    three_nodes.check()
