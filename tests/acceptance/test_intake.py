"""The intake as other programs meet it: a passed socket, host names, tokens with limits, a store that hangs."""

import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from tests.acceptance.harness import DaemonProcess, call, running, wait_until
from tests.acceptance.simulator import Simulator

HOOK = "http://127.0.0.1:9/hook"
PASS = """
import os, sys
if (given := int(sys.argv[1])) != 3:
    os.dup2(given, 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the command in its arguments, as the service manager would start it."""


class PassedSocket(DaemonProcess):
    """A daemon whose socket is there before it, as descriptor 3 (sd_listen_fds(3))."""

    def start(self, *, ready: bool = True) -> None:
        listener = socket.create_server(("0.0.0.0", self.port))
        notifier = [sys.executable, "-m", "notifier", *self.arguments]
        command = [sys.executable, "-c", PASS, str(listener.fileno()), *notifier]
        with listener, self.log.open("ab") as out:
            clean = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")}
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, pass_fds=[listener.fileno()], cwd=self.log.parent, env=clean
            )
        if ready:
            wait_until(self.ready, f"the daemon is ready; see {self.log}")


def passed(folder: Path, simulator: Simulator) -> PassedSocket:
    daemon = PassedSocket(folder, {"providers": simulator.provider()})
    daemon.config["intake"]["listen"] = "systemd:"
    daemon.write()
    return daemon


def test_a_passed_socket_that_others_can_reach_needs_tokens(tmp_path: Path, simulator: Simulator) -> None:
    """The file cannot tell, so it is judged at the start: exit 78, which systemd does not try again, and a line that
    says what to do."""
    daemon = passed(tmp_path, simulator)
    daemon.config["intake"]["tokens"] = []
    daemon.write()
    daemon.start(ready=False)
    assert daemon.wait() == 78
    (line,) = daemon.events("daemon.failed")
    assert "intake.tokens" in line["error"]
    assert "0.0.0.0" in line["error"]


def test_a_reload_cannot_take_the_last_token_from_a_passed_socket(tmp_path: Path, simulator: Simulator) -> None:
    """As from any other that is open to other machines."""
    daemon = passed(tmp_path, simulator)
    with running(daemon):
        daemon.config["intake"]["tokens"] = []
        daemon.write()
        status, problem = daemon.call("POST", "/v1/reload")
        assert status == 422
        assert "intake.tokens" in str(problem)
        assert daemon.call("GET", "/v1/watches", token=None)[0] == 401


def status_for(daemon: DaemonProcess, host: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)) as connection:
        connection.request("GET", "/.well-known/webhook-keys", headers={"Host": host})
        return connection.getresponse().status


def test_on_loopback_only_known_hosts_are_answered(tmp_path: Path, simulator: Simulator) -> None:
    """A web page that points its own name at this machine gets nothing; a reverse proxy's name can be listed, and a
    reload is enough for it."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        known = ["127.0.0.1", f"localhost:{daemon.port}", f"[::1]:{daemon.port}"]
        assert [status_for(daemon, host) for host in known] == [200, 200, 200]
        assert [status_for(daemon, host) for host in ("evil.example.net", "proxy.example.com")] == [421, 421]
        daemon.config["intake"]["hosts"] = ["proxy.example.com"]
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        assert [status_for(daemon, host) for host in ("evil.example.net", "proxy.example.com")] == [421, 200]


def test_a_limited_token_is_a_tenant(tmp_path: Path, simulator: Simulator) -> None:
    """It registers and sees only its own receivers' watches, over the real store."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    tenant = {"name": "tenant", "token": "tenant-token", "callback_prefixes": ["http://127.0.0.1:9/mine/"]}
    daemon.config["intake"]["tokens"].append(tenant)
    daemon.write()
    mine, other = "http://127.0.0.1:9/mine/hook", "http://127.0.0.1:9/mine/../other"
    with running(daemon):
        theirs = daemon.watch("stuck-1", other)["id"]
        body = {"task_id": "stuck-2", "callback_url": mine}
        assert call(daemon.url, "POST", "/v1/watches", body, token="tenant-token")[0] == 201
        status, problem = call(
            daemon.url, "POST", "/v1/watches", {"task_id": "stuck-3", "callback_url": other}, token="tenant-token"
        )
        assert (status, problem["pointer"]) == (422, "#/callback_url")
        listed = call(daemon.url, "GET", "/v1/watches", token="tenant-token")[1]["watches"]
        assert [watch["callback_url"] for watch in listed] == [mine]
        assert call(daemon.url, "GET", f"/v1/watches/{theirs}", token="tenant-token")[0] == 404
        assert len(daemon.call("GET", "/v1/watches")[1]["watches"]) == 2
    names = [line.get("by") for line in daemon.events("watch.registered")]
    assert names == ["tests", "tenant"]
    assert "tenant-token" not in daemon.log.read_text()


def test_a_store_that_hangs_is_503_and_not_an_endless_queue(tmp_path: Path, simulator: Simulator) -> None:
    """While another program holds the database, what is over the bound is refused at once, what is below it gets its
    answer when the lock is gone or given up, and polls go on."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    answers: list[tuple[int, float]] = []

    def register(number: int) -> None:
        watches = [{"task_id": f"stuck-{number}-{index}", "callback_url": HOOK} for index in range(1000)]
        began = time.monotonic()
        status = daemon.call("POST", "/v1/watches/batch", {"watches": watches})[0]
        answers.append((status, time.monotonic() - began))

    with running(daemon):
        daemon.watch("stuck", HOOK)
        with closing(sqlite3.connect(tmp_path / "notifier.db", isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            threads = [threading.Thread(target=register, args=(number,)) for number in range(16)]
            for thread in threads:
                thread.start()
            wait_until(lambda: daemon.events("watches.refused"), "some are refused")
            before = simulator.stats()["tasks"]["stuck"]["polls"]
            wait_until(lambda: simulator.stats()["tasks"]["stuck"]["polls"] > before + 2, "polls go on")
            blocker.execute("ROLLBACK")
        for thread in threads:
            thread.join()
        assert {status for status, _ in answers} <= {200, 503}
        assert sum(status == 503 for status, _ in answers) >= 6
        assert daemon.call("POST", "/v1/watches", {"task_id": "stuck-after", "callback_url": HOOK})[0] == 201
