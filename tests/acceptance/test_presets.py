"""The real daemon against a server that plays the APIs of the presets."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.acceptance.harness import DaemonProcess, ReceiverServer, running, wait_until
from tests.http_server import HttpServer, Request, send
from tests.recorded import Api, Recorded, Said, apis

PLAIN = [api for api in apis() if not api.variables]
"""These need nothing but a key."""


def first_end(api: Api) -> Recorded:
    """A success that is final."""
    return next(one for one in api.answers if one.means["is"] == "completed" and one.means.get("final") is not False)


class Apis:
    """All of them on one port, each below its preset's name: the first poll of a task finds it running, the second
    completed."""

    def __init__(self) -> None:
        self.polls: Counter[str] = Counter()
        self.keys: dict[str, set[str]] = {}
        self.lock = threading.Lock()
        self.played = {api.preset: api for api in PLAIN}
        self.server = HttpServer(self.handle)
        self.url = self.server.url

    def handle(self, request: Request) -> None:
        name, _, path = request.path.partition("?")[0].removeprefix("/").partition("/")
        body = request.rfile.read(int(request.headers.get("content-length", "0")))
        with self.lock:
            self.keys.setdefault(name, set()).update(
                header for header, value in request.headers.items() if "KEY" in value
            )
            self.keys[name].update(["the body"] if b"KEY" in body else [])
            said = self.said(self.played[name], f"/{path}")
        send(request, said.http, said.body)

    def said(self, api: Api, path: str) -> Said:
        end = first_end(api)
        if path != api.asks.path:
            assert end.then is not None, f"{api.preset} was asked for {path}"
            return end.then
        self.polls[api.preset] += 1
        if self.polls[api.preset] == 1:
            return next(one for one in api.answers if one.means["is"] == "running").said
        return end.said


@pytest.fixture
def played() -> Iterator[Apis]:
    apis = Apis()
    yield apis
    apis.server.close()


def test_a_daemon_tells_the_ends_of_tasks_of_every_plain_preset(
    tmp_path: Path, played: Apis, receiver: ReceiverServer
) -> None:
    """With a key and nothing else, a task of each of these APIs is polled until it is completed, its webhook has the
    URLs that the API named, and the key went where the API wants it."""
    quick = {"interval": "200ms", "min_interval": "50ms", "timeout": "10s"}
    providers = {api.preset: {**api.settings, "base_url": f"{played.url}/{api.preset}", **quick} for api in PLAIN}
    daemon = DaemonProcess(tmp_path, {"providers": providers})
    with running(daemon):
        for api in PLAIN:
            daemon.watch(api.task, f"{receiver.url}/{api.preset}", provider=api.preset)
        wait_until(lambda: len(receiver.delivered()) >= len(PLAIN), f"{len(PLAIN)} events; see {daemon.log}")
        assert daemon.stop() == 0
    for api in PLAIN:
        (hook,) = receiver.at(f"/{api.preset}")
        base_url = f"{played.url}/{api.preset}"
        assert hook.event["type"] == "task.completed"
        assert hook.event["data"]["urls"] == [urljoin(base_url, url) for url in first_end(api).means.get("urls", [])]
        assert hook.event["data"]["polls"] == 2
        wanted = {header for header, value in api.asks.headers.items() if "KEY" in value}
        in_body = {"the body"} if "KEY" in str(api.asks.body) else set()
        assert {place.lower() for place in played.keys[api.preset]} == wanted | in_body
