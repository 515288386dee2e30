"""One lab for each process of the tests; in it, one service at a time."""

from collections.abc import Iterator

import pytest

from tests.acceptance.harness import ReceiverServer, running
from tests.acceptance.simulator import Simulator
from tests.acceptance.systemd.lab import Lab, why_not
from tests.acceptance.systemd.service import Service


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if reason := why_not():
        pytest.skip(f"no systemd lab here: {reason}")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.boot()
        yield lab
    finally:
        lab.crash()


@pytest.fixture
def network(lab: Lab) -> Iterator[None]:
    """The test, and all that it starts, is in the lab's network."""
    with lab.network():
        yield


@pytest.fixture
def receiver(network: None) -> Iterator[ReceiverServer]:
    server = ReceiverServer()
    yield server
    server.close()


@pytest.fixture
def simulator(network: None) -> Iterator[Simulator]:
    simulator = Simulator()
    simulator.fresh = True  # what is started here is in the lab's network; what is forked elsewhere is not
    with running(simulator):
        yield simulator


@pytest.fixture
def service(lab: Lab, simulator: Simulator) -> Iterator[Service]:
    service = Service(lab, simulator)
    service.install()
    try:
        yield service
    finally:
        service.remove()
