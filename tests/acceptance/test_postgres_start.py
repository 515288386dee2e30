"""A daemon and its PostgreSQL start in any order, and neither's log holds the password."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import DaemonProcess, ReceiverServer, wait_until
from tests.acceptance.simulator import Simulator
from tests.postgres_server import PostgresServer

PASSWORD = "planted-pa55word"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that does not run yet."""
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def daemon(server: PostgresServer, simulator: Simulator, tmp_path: Path) -> Iterator[DaemonProcess]:
    store = {"url": server.url(password=PASSWORD)}
    daemon = DaemonProcess(tmp_path, {"store": store, "providers": simulator.provider()})
    daemon.start(ready=False)
    yield daemon
    daemon.kill()


def waits(daemon: DaemonProcess) -> bool:
    assert daemon.running, daemon.log.read_text()
    return bool(daemon.events("store.awaited"))


def test_a_daemon_waits_for_its_database(
    server: PostgresServer, daemon: DaemonProcess, receiver: ReceiverServer
) -> None:
    """As machines do that boot together; then it does its work, and says nowhere how it logs in."""
    wait_until(lambda: waits(daemon), "it says that it waits")
    server.start()
    wait_until(daemon.ready, "the daemon is ready")
    daemon.watch("vid_1", f"{receiver.url}/hook")
    wait_until(lambda: receiver.hooks, "the event arrives")
    assert daemon.stop() == 0
    (started,) = daemon.events("daemon.started")
    assert started["store"] == f"postgresql://127.0.0.1:{server.port}/postgres"
    assert PASSWORD not in daemon.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_that_waits_can_be_stopped(daemon: DaemonProcess, number: int) -> None:
    """At once and in order, not after the half minute for which it would have waited."""
    wait_until(lambda: waits(daemon), "it says that it waits")
    began = time.monotonic()
    daemon.signal(number)
    assert daemon.wait() == 0
    assert time.monotonic() - began < 15
