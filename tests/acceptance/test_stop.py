"""Orderly starts and stops of the real process."""

import os
import signal
import time
from pathlib import Path

from tests.acceptance.harness import DaemonProcess, Process, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator


def test_sigterm_finishes_the_attempt_in_flight_and_exits_with_0(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """A receiver that takes two seconds is waited for; its answer is saved and it is not told again. Meanwhile the
    intake says that it is stopping."""

    def slowly(path: str, count: int) -> int:
        time.sleep(2)
        return 204

    receiver.answer = slowly
    simulator.script("task", queued=0, processing=0)
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        daemon.watch("task", f"{receiver.url}/task")
        wait_until(lambda: receiver.busy.get("/task"), "the attempt is in flight")
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: daemon.call("GET", "/readyz", token=None)[0] == 503, "readiness says no", 2)
        assert daemon.call("GET", "/healthz", token=None)[0] == 200
        assert daemon.call("POST", "/v1/watches", {})[0] == 503
        assert daemon.wait() == 0
        assert daemon.lines()[-1]["event"] == "daemon.stopped"
        daemon.start()
        (delivery,) = daemon.call("GET", "/v1/deliveries")[1]["deliveries"]
        assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
        assert len(receiver.at("/task")) == 1


def test_polls_are_counted_on_over_an_orderly_restart(
    tmp_path: Path, store: dict[str, str], simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Polls that changed nothing were not written one by one; the stop saves what they add up to."""
    simulator.script("task", queued=None)
    daemon = DaemonProcess(tmp_path, {"store": store, "providers": simulator.provider()})
    with running(daemon):
        watch = daemon.watch("task", f"{receiver.url}/task")
        wait_until(lambda: daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["polls"] >= 5, "five polls")
        daemon.signal(signal.SIGINT)
        assert daemon.wait() == 0
        daemon.start()
        assert daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["polls"] >= 5


def test_a_wrong_configuration_stops_the_start_with_78(tmp_path: Path) -> None:
    """Every error is printed with its place; a secret's missing variable stops `run` but not `check`."""
    config = tmp_path / "config.yaml"
    provider = "providers:\n  videos:\n    api_key: ${NOT_SET}\n    rate: 0/s\n"
    config.write_text(provider + "webhooks: {secret: '${NOR_THIS}'}\n")
    run = Process(["run", "--config", str(config)], tmp_path / "run.log")
    run.start()
    assert run.wait() == 78
    printed = run.log.read_text()
    assert "NOT_SET" in printed
    assert "NOR_THIS" in printed
    assert f"{config}:4:11: providers.videos.rate:" in printed
    config.write_text(config.read_text().replace("0/s", "1/s"))
    check = Process(["check", "--config", str(config)], tmp_path / "check.log")
    check.start()
    assert check.wait() == 0
    assert check.log.read_text() == "OK\n"


def test_a_second_daemon_on_the_same_store_refuses_to_start(tmp_path: Path, simulator: Simulator) -> None:
    """It says why, and the first goes on."""
    first = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    other = tmp_path / "other"
    other.mkdir()
    second = DaemonProcess(other, {"providers": simulator.provider(), "store": first.config["store"]})
    with running(first):
        second.start(ready=False)
        assert second.wait() == 1
        assert str(first.pid) in second.log.read_text()
        assert first.ready()


def test_a_taken_port_is_one_clear_line(tmp_path: Path, simulator: Simulator) -> None:
    """Exit 1 and the setting's name; no traceback."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()}, port=simulator.port)
    daemon.start(ready=False)
    assert daemon.wait() == 1
    (line,) = daemon.lines()
    assert "intake.listen" in line["error"]


def test_signals_during_the_start_are_heeded(tmp_path: Path, simulator: Simulator) -> None:
    """SIGHUP does not kill but reloads once the daemon runs; SIGTERM ends a daemon that has hardly begun with 0.

    The configuration is a FIFO: who has opened it for reading has begun, and goes on when it is written.
    """
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    daemon.fresh = True
    text = daemon.config_file.read_text()
    daemon.config_file.unlink()
    os.mkfifo(daemon.config_file)
    daemon.start(ready=False)
    try:
        with daemon.config_file.open("w") as pipe:
            daemon.signal(signal.SIGHUP)
            pipe.write(text)
        wait_until(lambda: daemon.events("daemon.started"), "the daemon runs")
        daemon.config_file.write_text(text)  # for the reload, which asks for it anew
        wait_until(lambda: daemon.events("config.reloaded"), "a reload after the start")
        assert daemon.stop() == 0
        daemon.start(ready=False)
        with daemon.config_file.open("w"):
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
    finally:
        daemon.kill()
