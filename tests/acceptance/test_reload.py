"""SIGHUP and POST /v1/reload: all of the file or nothing of it."""

import signal
from pathlib import Path

from tests.acceptance.harness import DaemonProcess, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator


def declared(receiver: ReceiverServer, *names: str, **more: object) -> list[dict[str, object]]:
    return [{"task_id": name, "callback_url": f"{receiver.url}/{name}", **more} for name in names]


def states(daemon: DaemonProcess) -> dict[str, str]:
    return {watch["task_id"]: watch["state"] for watch in daemon.call("GET", "/v1/watches")[1]["watches"]}


def test_a_reload_reconciles_declared_watches_and_leaves_the_intakes_alone(
    tmp_path: Path, store: dict[str, str], simulator: Simulator, receiver: ReceiverServer
) -> None:
    """New ones are added, removed ones cancelled, changed ones changed, ended ones not told again."""
    for name in ("stays", "goes", "comes", "from-intake"):
        simulator.script(name, queued=None)
    simulator.script("ends", queued=0, processing=0)
    watches = declared(receiver, "stays", "goes", "ends")
    daemon = DaemonProcess(tmp_path, {"store": store, "providers": simulator.provider(), "watches": watches})
    with running(daemon):
        daemon.watch("from-intake", f"{receiver.url}/from-intake")
        wait_until(lambda: receiver.at("/ends"), "the ended one is told")
        daemon.config["watches"] = declared(receiver, "comes", "ends") + declared(receiver, "stays", interval="7s")
        daemon.write()
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: daemon.events("config.reloaded"), "the reload is logged")
        assert states(daemon) == {
            "stays": "watching",
            "goes": "cancelled",
            "ends": "completed",
            "comes": "watching",
            "from-intake": "watching",
        }
        watch = daemon.call("GET", "/v1/watches?task_id=stays")[1]["watches"][0]
        assert (watch["interval"], watch["source"]) == (7.0, "config")
        assert daemon.stop() == 0
    with running(daemon):
        assert states(daemon)["ends"] == "completed"
        assert len(receiver.at("/ends")) == 1


def test_a_bad_file_changes_nothing_and_says_why(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """All errors come back with their places, in the log after a signal, from the intake as a 422; metrics say it."""
    simulator.script("stays", queued=None)
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(), "watches": declared(receiver, "stays")})
    with running(daemon):
        daemon.config["watches"] = declared(receiver, "new")
        daemon.config["providers"]["videos"]["intervall"] = "5s"
        daemon.write()
        status, problem = daemon.call("POST", "/v1/reload")
        assert status == 422
        assert "providers.videos.intervall" in str(problem)
        assert "did you mean 'interval'" in str(problem)
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: len(daemon.events("config.rejected")) == 2, "the refusal is logged")
        assert states(daemon) == {"stays": "watching"}
        assert "notifier_config_last_reload_successful 0.0" in daemon.call("GET", "/metrics")[1]


def test_what_needs_a_restart_is_named_and_the_rest_applies(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """A changed store or listening address keeps its old value until the restart; tokens change at once."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        daemon.config["store"]["url"] = f"sqlite:///{tmp_path / 'other.db'}"
        daemon.config["intake"]["tokens"] = [{"name": "tests", "token": "another-token"}]
        daemon.write()
        status, answer = daemon.call("POST", "/v1/reload")
        assert status == 200
        assert answer["needs_restart"] == ["store"]
        assert daemon.call("GET", "/v1/watches")[0] == 401
        assert daemon.call("GET", "/v1/watches", token="another-token")[0] == 200
        assert not (tmp_path / "other.db").exists()


def test_a_corrected_key_is_used_at_once(tmp_path: Path, receiver: ReceiverServer) -> None:
    """A provider that is paused for a wrong key is asked again right after the reload that mends it."""
    simulator = Simulator(api_key="right")
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(api_key="wrong", interval="20s")})
    with running(simulator, daemon):
        simulator.script("task", queued=0, processing=0)
        daemon.watch("task", f"{receiver.url}/task")
        ready = wait_until(lambda: paused(daemon), "the provider is paused")
        assert ready["videos"]["reason"] == "unauthorized"
        daemon.config["providers"]["videos"]["api_key"] = "right"
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        wait_until(lambda: receiver.at("/task"), "the task is told", 5)
        assert paused(daemon) == {}


def paused(daemon: DaemonProcess) -> dict[str, dict[str, object]]:
    status, ready = daemon.call("GET", "/readyz", token=None)
    assert status == 200, "a paused provider alone is no 503"
    return dict(ready["paused"])


def test_a_reload_cannot_take_the_last_token_from_an_open_intake(tmp_path: Path, simulator: Simulator) -> None:
    """A new `listen` waits for a restart, so the tokens that the old one needs cannot go before it."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    daemon.config["intake"]["listen"] = f"0.0.0.0:{daemon.port}"
    daemon.write()
    with running(daemon):
        daemon.config["intake"] = {"listen": f"127.0.0.1:{daemon.port}"}
        daemon.write()
        status, problem = daemon.call("POST", "/v1/reload")
        assert status == 422
        assert "intake.tokens" in str(problem)
        assert daemon.call("GET", "/v1/watches", token=None)[0] == 401
