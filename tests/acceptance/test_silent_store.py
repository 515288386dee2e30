"""A daemon whose database falls silent: nothing that it says arrives, and nobody tells it."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import DaemonProcess, wait_until
from tests.acceptance.postgres_server import PostgresServer
from tests.acceptance.simulator import Simulator
from tests.cuttable_wire import Wire

STOPPED_WITHIN = 30.0
"""As promised of every stop."""


@pytest.fixture
def daemon(postgres: PostgresServer, wire: Wire, simulator: Simulator, tmp_path: Path) -> Iterator[DaemonProcess]:
    url = postgres.new_database().replace(f":{postgres.port}/", f":{wire.port}/")
    daemon = DaemonProcess(tmp_path, {"store": {"url": url}, "providers": simulator.provider()})
    daemon.start()
    yield daemon
    wire.mend()
    daemon.kill()


def test_a_silent_database_is_told_and_left_in_time(daemon: DaemonProcess, wire: Wire) -> None:
    """The lease lapses, readiness says no and the intake refuses, all within seconds; and a stop takes no longer than
    any other, whatever still waits for an answer."""
    wire.cut()
    cut = time.monotonic()
    body = {"task_id": "vid_1", "callback_url": "http://127.0.0.1:9/hook"}
    assert daemon.call("POST", "/v1/watches", body)[0] == 503
    assert time.monotonic() - cut < 15
    wait_until(lambda: daemon.events("node.lapsed"), "the lease lapses")
    assert daemon.call("GET", "/readyz", token=None)[0] == 503
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(60) == 0
    assert time.monotonic() - began < STOPPED_WITHIN
    assert daemon.events("daemon.stopped")
    assert not daemon.events("daemon.fault")
