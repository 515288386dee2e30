"""Results of any size, from servers of any kind, end as whole files – or as an event that says why not –, and reach
those who may not read the disk."""

import hashlib
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.film_server import MP4, FilmServer, film_server, send, serve_film
from tests.acceptance.harness import TOKEN, DaemonProcess, Hook, ReceiverServer, running, wait_until
from tests.acceptance.test_archive import archiving, path_of
from tests.http_server import Request

MIB = 1024 * 1024
BLOCK = (MP4 + bytes(range(256)) * 4096)[:MIB]
MOST_GROWTH = 30 * MIB


def sha256_of(blocks: int) -> str:
    digest = hashlib.sha256()
    for _ in range(blocks):
        digest.update(BLOCK)
    return digest.hexdigest()


class Blocks:
    """Serves a file of so many MiB, with Range. `before(request, block)` is called before each MiB and may raise to
    break the connection."""

    def __init__(self, blocks: int, before: Callable[[int, int], None] = lambda request, block: None) -> None:
        self.blocks = blocks
        self.before = before
        self.begins: list[int] = []

    def __call__(self, request: Request, task_id: str, count: int) -> None:
        found = re.fullmatch(r"bytes=([0-9]+)-", request.headers.get("range", ""))
        begin, size = int(found[1]) if found else 0, self.blocks * MIB
        self.begins.append(begin)
        request.send_response(206 if found else 200)
        if found:
            request.send_header("content-range", f"bytes {begin}-{size - 1}/{size}")
        request.send_header("etag", '"film"')
        request.send_header("content-length", str(size - begin))
        request.end_headers()
        request.close_connection = True
        for block in range(begin // MIB, self.blocks):
            try:
                self.before(count, block)
                request.wfile.write(BLOCK[begin % MIB if block == begin // MIB else 0 :])
            except OSError:
                return


def memory(daemon: DaemonProcess, what: str) -> int:
    """Bytes: VmRSS, or VmHWM, its peak."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    (kib,) = re.findall(rf"^{what}:\s+([0-9]+) kB$", status, re.MULTILINE)
    return int(kib) * 1024


class Growth:
    """How much more memory the process had at its peak than at the beginning of this."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.daemon = daemon
        Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")  # the peak is counted from now on (proc(5))
        self.before = memory(daemon, "VmRSS")

    @property
    def bytes(self) -> int:
        return memory(self.daemon, "VmHWM") - self.before


def the_file(hook: Hook) -> dict[str, Any]:
    (file,) = hook.event["data"]["files"]
    return dict(file)


def kept(folder: Path) -> int:
    """Bytes in the archive, whole or not."""
    return sum(one.stat().st_size for one in (folder / "results").rglob("*") if one.is_file())


def check_whole(file: dict[str, Any], blocks: int) -> None:
    """The file on the disk is the one that was served, and the event says so."""
    with path_of(file["location"]).open("rb") as saved:
        digest = hashlib.file_digest(saved, "sha256").hexdigest()
    assert digest == file["sha256"] == sha256_of(blocks)
    assert (file["size"], file["error"], file["content_type"]) == (blocks * MIB, None, "video/mp4")


def test_kill_9_in_the_middle_of_a_download_ends_with_a_whole_file_and_one_event(
    tmp_path: Path, receiver: ReceiverServer, record_property: Callable[[str, object], None]
) -> None:
    """200 MB, killed at 100: the next start fetches it whole, nobody was told before, nothing half is left, and 200 MB
    pass through the process without staying in it."""
    halfway, go_on = threading.Event(), threading.Event()

    def stop_halfway(count: int, block: int) -> None:
        if count == 1 and block == 100:
            halfway.set()
            go_on.wait(20)

    with film_server(Blocks(200, stop_halfway)) as films, running(daemon := archiving(tmp_path, films)):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        assert halfway.wait(20)
        wait_until(lambda: kept(tmp_path) > 64 * MIB, "it grows")
        assert receiver.hooks == []
        daemon.kill()
        go_on.set()
        began = time.monotonic()
        daemon.start()
        growth = Growth(daemon)
        wait_until(receiver.delivered, "the webhook")
        took, grown = time.monotonic() - began, growth.bytes
        assert daemon.stop() == 0
    assert len({hook.id for hook in receiver.hooks}) == len(receiver.hooks) == 1
    check_whole(the_file(receiver.hooks[0]), 200)
    (only,) = [one for one in (tmp_path / "results").rglob("*") if one.is_file()]
    assert only == path_of(the_file(receiver.hooks[0])["location"])
    record_property("figure", f"200 MiB saved {took:.1f} s after the start; memory grew by {grown / MIB:.1f} MiB")
    assert grown < MOST_GROWTH


def test_a_server_that_breaks_every_10_mb_is_asked_for_the_rest(tmp_path: Path, receiver: ReceiverServer) -> None:
    """Each time from where it broke, in one try: nothing is fetched twice."""

    def breaking(count: int, block: int) -> None:
        if block and block % 10 == 0 and block * MIB != blocks.begins[-1]:
            raise ConnectionResetError

    blocks = Blocks(55, breaking)
    with film_server(blocks) as films, running(daemon := archiving(tmp_path, films)):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        wait_until(receiver.delivered, "the webhook")
        assert daemon.stop() == 0
    check_whole(the_file(receiver.hooks[0]), 55)
    assert blocks.begins == [at * MIB for at in (0, 10, 20, 30, 40, 50)]
    (line,) = daemon.events("result.saved")
    assert line["tries"] <= 1


def test_a_result_without_end_stops_at_the_limit(tmp_path: Path, receiver: ReceiverServer) -> None:
    """10 GB of which the server says no length: it is left at `max_size`, nothing of it stays on the disk or in
    memory, and the event says that it is too large."""
    sent = 0

    def endless(request: Request, task_id: str, count: int) -> None:
        nonlocal sent
        request.protocol_version = "HTTP/1.0"
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        while sent < 10_000 * MIB:
            try:
                request.wfile.write(BLOCK)
            except OSError:
                return
            sent += MIB

    with film_server(endless) as films, running(daemon := archiving(tmp_path, films, max_size="200MiB")):
        growth = Growth(daemon)
        daemon.watch("vid_1", f"{receiver.url}/hook")
        wait_until(receiver.delivered, "the webhook")
        grown = growth.bytes
        assert daemon.stop() == 0
    file = the_file(receiver.hooks[0])
    assert (file["location"], file["sha256"]) == (None, None)
    assert "200" in file["error"]
    assert [one for one in (tmp_path / "results").rglob("*") if one.is_file()] == []
    assert 200 * MIB <= sent < 300 * MIB
    assert grown < MOST_GROWTH


def test_an_event_does_not_wait_for_ever(tmp_path: Path, receiver: ReceiverServer) -> None:
    """When `wait` is over it goes out with the file pending; when that is saved, `result.saved` follows."""
    told = threading.Event()

    def late(request: Request, task_id: str, count: int) -> None:
        told.wait(20)
        serve_film(request, task_id, count)

    with film_server(late) as films, running(daemon := archiving(tmp_path, films, wait="1s")):
        watch = daemon.watch("vid_1", f"{receiver.url}/hook")
        (first,) = wait_until(receiver.delivered, "the webhook")
        shown = daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["files"]
        told.set()
        _, second = wait_until(lambda: found if len(found := receiver.delivered()) == 2 else None, "result.saved")
        assert daemon.stop() == 0
    assert (first.event["type"], second.event["type"]) == ("task.completed", "result.saved")
    assert (the_file(first)["location"], the_file(first)["error"]) == (None, None)
    assert [file["state"] for file in shown] == ["pending"]
    assert the_file(second)["location"] is not None
    assert first.id != second.id


def test_an_expired_url_is_asked_for_again(tmp_path: Path, receiver: ReceiverServer) -> None:
    """The provider's fresh URL is fetched at once, and the event carries that one."""

    def expiring(request: Request, task_id: str, count: int) -> None:
        if request.path.endswith("?poll=1"):
            send(request, 403, b"expired")
        else:
            serve_film(request, task_id, count)

    with film_server(expiring) as films, running(daemon := archiving(tmp_path, films)):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        wait_until(receiver.delivered, "the webhook")
        assert daemon.stop() == 0
    assert the_file(receiver.hooks[0])["url"].endswith("?poll=2")
    assert receiver.hooks[0].event["data"]["urls"][0].endswith("?poll=2")
    assert films.polls["vid_1"] == 2


def get(url: str, **headers: str) -> tuple[int, bytes]:
    """A GET without a token."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request("GET", parts._replace(scheme="", netloc="").geturl(), headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def notifier(daemon: DaemonProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"NOTIFIER_URL": daemon.url, "NOTIFIER_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "notifier", *arguments],
        check=False,
        cwd=daemon.log.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def linking(tmp_path: Path, films: FilmServer) -> DaemonProcess:
    daemon = archiving(tmp_path, films)
    daemon.config["intake"]["public_url"] = daemon.url
    daemon.write()
    return daemon


def test_a_receiver_without_the_disk_fetches_the_file_by_its_link(tmp_path: Path, receiver: ReceiverServer) -> None:
    """The link of the event needs no token, and opens nothing else; `watch wait --save` brings the file too, and both
    go on after a restart."""
    with film_server(Blocks(20)) as films, running(daemon := linking(tmp_path, films)):
        daemon.watch("vid_1", f"{receiver.url}/hook")
        waited = notifier(daemon, "watch", "wait", "vid_1", "--save", "here", "--json")
        assert waited.returncode == 0, waited.stderr
        assert json.loads(waited.stdout)["state"] == "completed"
        assert hashlib.sha256((tmp_path / "here" / "vid_1-0.mp4").read_bytes()).hexdigest() == sha256_of(20)
        wait_until(receiver.delivered, "the webhook")
        link = the_file(receiver.hooks[0])["link"]
        for _ in range(2):
            status, content = get(link)
            assert (status, hashlib.sha256(content).hexdigest()) == (200, sha256_of(20))
            assert get(link, Range="bytes=0-15") == (206, BLOCK[:16])
            assert get(link.replace("/files/0", "/files/1"))[0] == 403
            assert get(link.partition("?")[0])[0] == 401
            assert daemon.stop() == 0
            daemon.start()
        daemon.config["webhooks"]["secrets"] = ["whsec_" + "A" * 32]
        del daemon.config["webhooks"]["secret"]
        daemon.write()
        assert daemon.call("POST", "/v1/reload")[0] == 200
        assert get(link)[0] == 403
        assert daemon.stop() == 0
    assert "exception" not in daemon.log.read_text()
