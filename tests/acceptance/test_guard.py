"""Nothing reaches an address that may not be called: counted as connections that a forbidden listener accepts."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.harness import DaemonProcess, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator

PUBLIC = "93.184.215.14"


class Forbidden:
    """Listens on loopback, by IPv4 and where there is one by IPv6, under one port; counts who comes."""

    def __init__(self) -> None:
        self.accepts = 0
        self.listeners = [socket.create_server(("127.0.0.1", 0))]
        self.port = int(self.listeners[0].getsockname()[1])
        with contextlib.suppress(OSError):
            self.listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for listener in self.listeners:
            threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                listener.accept()[0].close()
                self.accepts += 1

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()

    def really_counts(self) -> None:
        """The proof would be worth nothing if a connection did not count."""
        for number, listener in enumerate(self.listeners, 1):
            socket.create_connection(listener.getsockname()[:2]).close()
            wait_until(lambda number=number: self.accepts == number, "a connection counts", 5)


@pytest.fixture
def forbidden() -> Iterator[Forbidden]:
    listener = Forbidden()
    yield listener
    listener.close()


def words(text: str) -> list[str]:
    return text.split()


SPELLINGS = words("""
    127.0.0.1 127.1 127.0.1 0177.0.0.1 0x7f.0.0.1 0x7f000001 2130706433 017700000001 127.0.0.1. 0.0.0.0 0
    127.255.255.254 [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:0:127.0.0.1] [::127.0.0.1]
    [::1%25lo] [::1%lo] [64:ff9b::127.0.0.1] [64:ff9b:1::127.0.0.1] [2002:7f00:1::] [::ffff:0.0.0.0] ::1
    localhost LOCALHOST localhost. a.localhost ①②⑦.⓪.⓪.① 127。0。0。1 127．0．0．1 loc%61lhost %31%32%37.0.0.1
    user@127.0.0.1 user:pw@localhost 127.0.0.1\\@public.example public.example\\@127.0.0.1 public.example@127.0.0.1
    loopback.example LOOPBACK.Example. mixed.example mixed6.example
    wrapped.example zero.example nowhere.example
""")

NAMES = {
    "public.example": [[PUBLIC]],
    "loopback.example": [["127.0.0.1"]],
    "loopback.example.": [["127.0.0.1"]],
    "mixed.example": [[PUBLIC, "127.0.0.1"]],
    "mixed6.example": [["::1", PUBLIC]],
    "wrapped.example": [["::ffff:127.0.0.1"]],
    "zero.example": [["0.0.0.0"]],
    "listed.example": [["127.0.0.2"]],
    "changing.example": [[PUBLIC], ["127.0.0.1"]],
    "changing6.example": [[PUBLIC], ["::1"]],
    "tested.example": [[PUBLIC], ["127.0.0.1"]],
    "tested-mixed.example": [[PUBLIC], [PUBLIC, "127.0.0.1", "::1"]],
}


def named_daemon(folder: Path, config: dict[str, Any], proxy: str) -> DaemonProcess:
    """A daemon that knows the NAMES, in an environment that would send everything through a proxy."""
    names = folder / "names.json"
    names.write_text(json.dumps(NAMES))
    daemon = DaemonProcess(folder, config)
    daemon.module, daemon.arguments = "tests.acceptance.named", [str(names), *daemon.arguments]
    variables = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    daemon.environment = dict.fromkeys(variables, proxy) | {"no_proxy": "", "NO_PROXY": ""}
    return daemon


def log_of(daemon: DaemonProcess, watch: dict[str, Any], attempts: int) -> list[dict[str, Any]]:
    """The delivery's log, once it has so many lines."""

    def read() -> Any:
        delivery = daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["delivery"]
        log = delivery and daemon.call("GET", f"/v1/deliveries/{delivery['id']}")[1]["log"]
        return log if log and len(log) >= attempts else None

    return list(wait_until(read, f"{attempts} attempts"))


def test_no_way_leads_to_a_forbidden_listener(tmp_path: Path, simulator: Simulator, forbidden: Forbidden) -> None:
    """Not by any spelling, not by names with mixed answers or that change after the registration, not by redirects,
    not by a proxy of the environment; neither registrations, test events nor attempts open one connection."""
    target = f"http://127.0.0.1:{forbidden.port}/"
    redirecting = ReceiverServer(lambda path, count: (int(path[1:]), {"Location": target}), host="127.0.0.2")
    webhooks = {"allow_networks": ["127.0.0.2/32"], "retry": ["100ms"] * 3}
    daemon = named_daemon(tmp_path, {"providers": simulator.provider(), "webhooks": webhooks}, target)
    with running(daemon):
        refuse_spellings(daemon, forbidden.port)
        watches = {}
        for status in (301, 302, 303, 307, 308):
            simulator.script(f"to-{status}", queued=0, processing=0)
            watches[f"to-{status}"] = daemon.watch(f"to-{status}", f"{redirecting.url}/{status}")
        for name in ("changing.example", "changing6.example"):
            simulator.script(name, queued=0, processing=0)
            watches[name] = daemon.watch(name, f"https://{name}:{forbidden.port}/planted?planted")
        for name in ("tested.example", "tested-mixed.example"):
            url = f"https://{name}:{forbidden.port}/"
            status, result = daemon.call("POST", "/v1/endpoints/test", {"callback_url": url})
            assert (status, result["outcome"]) == (200, "failed")
            assert "is a loopback address" in result["error"]
        for task, watch in watches.items():
            for attempt in log_of(daemon, watch, 4):
                expected = "redirects are not followed" if task.startswith("to-") else f"{task}: "
                assert expected in attempt["error"]
                assert "planted" not in attempt["error"]
        assert daemon.stop() == 0
    redirecting.close()
    assert len(redirecting.hooks) == 20
    assert forbidden.accepts == 0
    forbidden.really_counts()


def refuse_spellings(daemon: DaemonProcess, port: int) -> None:
    """Every spelling is a 422 that points to the URL, at each call that takes one."""
    urls = [f"{scheme}://{host}:{port}/" for host in SPELLINGS for scheme in ("http", "https")]
    watches = [{"task_id": f"task-{number}", "callback_url": url} for number, url in enumerate(urls)]
    results = daemon.call("POST", "/v1/watches/batch", {"watches": watches})[1]["results"]
    assert [url for url, result in zip(urls, results, strict=True) if result["status"] != 422] == []
    for url in urls:
        for path, more in (("/v1/watches", {"task_id": "x"}), ("/v1/endpoints/test", {})):
            status, problem = daemon.call("POST", path, {"callback_url": url, **more})
            assert (status, problem["pointer"]) == (422, "#/callback_url"), url
            assert "user:pw" not in problem["detail"]


def test_a_network_that_is_listed_no_more_is_not_called(tmp_path: Path, simulator: Simulator) -> None:
    """After a reload that takes a network off the list, not even a connection that was kept to it is used."""
    receiver = ReceiverServer(host="127.0.0.2")
    port = int(receiver.url.rpartition(":")[2])
    daemon = named_daemon(tmp_path, {"providers": simulator.provider(), "webhooks": {"retry": ["100ms"]}}, "")
    with running(daemon):
        simulator.script("task", queued=0, processing=0)
        # A name, because an address would be refused by the text of the URL already.
        watch = daemon.watch("task", f"http://listed.example:{port}/hook")
        log_of(daemon, watch, 1)
        daemon.config["webhooks"]["allow_networks"] = ["127.0.0.3/32"]
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        delivery = daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["delivery"]["id"]
        assert daemon.call("POST", f"/v1/deliveries/{delivery}/redeliver")[0] == 202
        first, *others = log_of(daemon, watch, 3)
        assert first["outcome"] == "delivered"
        for attempt in others:
            assert "list it in webhooks.allow_networks" in attempt["error"]
    receiver.close()
    assert len(receiver.hooks) == 1
