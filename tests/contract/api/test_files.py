"""Saved files over HTTP: whole and in parts, with a token and with a link, and what is told when there is none."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from notifier.adapters.api import streaming
from notifier.adapters.serving import serve
from notifier.domain.answer import Completed
from notifier.domain.link import Links, link_key
from notifier.domain.result_file import ResultFile
from notifier.domain.signature import HmacKey
from notifier.ports import ArchiveUnavailableError, ElsewhereError, FileGoneError, SaveOrder, Unsaved
from tests.contract.api.world import HOOK, SECRET, World, assert_problem, opened
from tests.fakes import START

CONTENT = bytes(range(256)) * 5
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'
FILE = ResultFile(
    n=0,
    url="https://cdn.example.com/1.mp4?token=t",
    name="videos/vid_1/wch_1-0",
    state="saved",
    location="file:///results/videos/vid_1/wch_1-0.mp4",
    size=len(CONTENT),
    sha256=ETAG.strip('"'),
    content_type="video/mp4",
    saved_at=START,
)
PATH = "/v1/watches/wch_1/files/0"
TOKEN = {"Authorization": "Bearer s3cret-token"}
LINKS = Links("https://notifier.example.com", 60.0, (link_key(SECRET),))


class FakeArchive:
    """Files by their location; `fails_after` so many bytes `failure` comes out. `reading` counts what is open."""

    def __init__(self) -> None:
        self.files = {FILE.location: CONTENT}
        self.failure: Exception | None = None
        self.fails_after = 0
        self.piece = 100
        self.reading = 0
        self.given = 0
        self.hold: asyncio.Event | None = None
        self.opened: list[AsyncIterator[bytes]] = []  # kept, so that nobody closes them by forgetting them

    async def save(self, order: SaveOrder) -> Unsaved:
        raise AssertionError("the intake only reads")

    async def remove(self, location: str) -> None:
        raise AssertionError("the intake only reads")

    def open(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        self.opened.append(self._read(location, start, stop))
        return self.opened[-1]

    async def _read(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        self.reading += 1
        try:
            if location not in self.files:
                raise FileGoneError("no such file")
            for at in range(start, stop, self.piece):
                if self.failure is not None and at >= self.fails_after:
                    raise self.failure
                if self.hold is not None and at > start:
                    await self.hold.wait()
                piece = self.files[location][at : min(at + self.piece, stop)]
                self.given += len(piece)
                yield piece
        finally:
            self.reading -= 1


async def saved(world: World, *files: ResultFile, **members: Any) -> FakeArchive:
    """A completed watch `wch_1` with these files (one saved one by default), and the archive that has it."""
    urls = tuple(file.url for file in files or (FILE,))
    world.provider.script(members.get("task_id", "vid_1"), Completed("completed", urls, None))
    headers = TOKEN if world.tokens else {}
    answer = await world.call(
        "POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK} | members, headers=headers
    )
    await world.crew.run()
    key = world.store.view(answer.json()["id"]).task_key
    task = world.store.tasks[key]
    assert task.end is not None
    world.store.tasks[key] = replace(task, end=replace(task.end, files=files or (FILE,)))
    archive = FakeArchive()
    world.archive = archive
    return archive


async def test_a_saved_file_is_served_as_what_it_is_and_nothing_else(world: World) -> None:
    """Its bytes, its length and its type; a browser saves it under a harmless name and runs nothing of it."""
    archive = await saved(world)
    answer = await world.call("GET", PATH)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert dict(answer.headers) == {
        "content-type": "video/mp4",
        "content-length": str(len(CONTENT)),
        "content-disposition": 'attachment; filename="vid_1-0.mp4"',
        "etag": ETAG,
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
        "cache-control": "private",
    }
    assert archive.reading == 0


async def test_head_reads_nothing(world: World) -> None:
    """The same headers, and the file is not opened."""
    archive = await saved(world)
    answer = await world.call("HEAD", PATH, headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.content, archive.given) == (200, b"", 0)
    assert (answer.headers["content-length"], answer.headers["etag"]) == (str(len(CONTENT)), ETAG)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, 1280),
        ("BYTES = 100-199", 100, 200),
        ("bytes=1000-999999", 1000, 1280),
        ("bytes=-80", 1200, 1280),
        ("bytes=-99999", 0, 1280),
        ("bytes=0-", 0, 1280),
        ("bytes=1279-", 1279, 1280),
    ],
)
async def test_a_range_is_served_alone(world: World, asked: str, start: int, stop: int) -> None:
    """206 with where it is in the whole; no byte beside it is read."""
    archive = await saved(world)
    answer = await world.call("GET", PATH, headers={"Range": asked, "If-Range": ETAG})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/1280"
    assert answer.headers["content-length"] == str(stop - start) == str(archive.given)


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=1-2,4-5"},
        {"Range": "bytes=5-4"},
        {"Range": "bytes=-"},
        {"Range": "bytes=a-b"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=" + "9" * 5000 + "-"},
        {"Range": "bytes=1-2", "If-Range": '"another"'},
        {"Range": "bytes=1-2", "If-Range": f"W/{ETAG}"},
        {"Range": "bytes=1-2", "If-Range": "Sun, 22 Nov 2026 13:33:00 GMT"},
    ],
)
async def test_what_is_no_range_of_this_file_gets_the_whole(world: World, headers: dict[str, str]) -> None:
    """Several ranges, other units, nonsense, and a range of what was there before: 200, as RFC 9110 allows."""
    await saved(world)
    answer = await world.call("GET", PATH, headers=headers)
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=1280-", "bytes=5000-6000", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416(world: World, asked: str) -> None:
    """With the size, so that the next one is right."""
    await saved(world)
    answer = await world.call("GET", PATH, headers={"Range": asked})
    assert_problem(answer, 416)
    assert answer.headers["content-range"] == "bytes */1280"


async def test_an_empty_file_is_a_file(world: World) -> None:
    """200 with nothing in it; there is no range of it but its end."""
    archive = await saved(world, replace(FILE, size=0, sha256="00"))
    archive.files[FILE.location] = b""
    for headers in ({}, {"Range": "bytes=-5"}):
        answer = await world.call("GET", PATH, headers=headers)
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert_problem(await world.call("GET", PATH, headers={"Range": "bytes=0-"}), 416)


@pytest.mark.parametrize(
    ("task_id", "name"),
    [('a"b\\c/..', "a_b_c_..-102d78e6a4-0.mp4"), ("ü\u2028", None), ("x" * 400, None)],
)
async def test_no_task_id_reaches_the_name_of_the_file_as_it_is(world: World, task_id: str, name: str | None) -> None:
    """No quote, no path, no line: the header is plain ASCII whatever the task is called."""
    await saved(world, task_id=task_id)
    disposition = (await world.call("GET", PATH)).headers["content-disposition"]
    shown = disposition.removeprefix('attachment; filename="').removesuffix('"')
    assert all(one.isascii() and (one.isalnum() or one in "._-") for one in shown)
    assert name in (None, shown)


@pytest.mark.parametrize("content_type", [None, "", "text", "text/html\r\nX: y", "text/html; charset=x"])
async def test_a_type_that_is_none_is_bytes(world: World, content_type: str | None) -> None:
    """Nothing that the store holds becomes a header of its own."""
    await saved(world, replace(FILE, content_type=content_type))
    assert (await world.call("GET", PATH)).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("path", ["/v1/watches/wch_2/files/0", "/v1/watches/wch_1/files/1"])
async def test_an_unknown_watch_or_file_is_404(world: World, path: str) -> None:
    """Also for what is no number as we write them."""
    await saved(world)
    assert_problem(await world.call("GET", path), 404)


@pytest.mark.parametrize("n", ["-1", "00", "01", "+0", "0.0", "x", "٠", "9" * 5000])
async def test_what_is_no_number_of_a_file_is_404(world: World, n: str) -> None:
    """One file has one path."""
    await saved(world)
    assert_problem(await world.call("GET", f"/v1/watches/wch_1/files/{n}"), 404)


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"state": "pending", "error": None}, 404, "pending: it is not saved yet; ask again"),
        ({"state": "pending", "error": "HTTP 500"}, 404, "(the last try failed: HTTP 500)"),
        ({"state": "unsaved", "error": "larger than 2 GiB"}, 404, "no more tries are made: larger than 2 GiB"),
        ({"state": "deleted"}, 410, "deleted when its retention was over"),
    ],
)
async def test_a_file_that_is_not_there_says_why(world: World, change: dict[str, Any], status: int, says: str) -> None:
    """404 while it may come or has never come; 410 when it is gone for ever."""
    await saved(world, replace(FILE, **change))
    assert says in assert_problem(await world.call("GET", PATH), status)["detail"]


async def test_a_watch_that_did_not_complete_has_no_files(world: World) -> None:
    """Whatever else its task came to: nobody was told of them."""
    await saved(world)
    world.store.watches["wch_1"] = replace(world.store.watches["wch_1"], state="cancelled")
    assert_problem(await world.call("GET", PATH), 404)
    assert (await world.call("GET", "/v1/watches/wch_1")).json()["files"] == []


async def test_an_archive_that_cannot_be_read_is_503(world: World) -> None:
    """With what to do, a log line that names the file's path only, and Retry-After; a file that is lost is a 404."""
    archive = await saved(world)
    archive.failure = ArchiveUnavailableError("the bucket answered 403; check its credentials")
    with capture_logs() as lines:
        answer = await world.call("GET", PATH)
    assert "check its credentials" in assert_problem(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert [line["path"] for line in lines if line["event"] == "file.unread"] == [PATH]
    archive.files.clear()
    assert_problem(await world.call("GET", PATH), 404)
    world.archive = None
    assert "switched off" in assert_problem(await world.call("GET", PATH), 503)["detail"]
    assert archive.reading == 0


async def test_a_file_of_another_archive_is_said_to_be_there(world: World) -> None:
    """404 with what the archive says: the file is not lost, the setting was changed."""
    archive = await saved(world)
    archive.failure = ElsewhereError("the file was saved in s3://old, which is not this archive")
    with capture_logs() as lines:
        answer = await world.call("GET", PATH)
    assert assert_problem(answer, 404)["detail"] == "the file was saved in s3://old, which is not this archive"
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["file.unread"]


async def test_an_archive_that_hangs_is_one_that_cannot_be_read(world: World, monkeypatch) -> None:
    """503 after a while, and what was opened is closed."""
    monkeypatch.setattr(streaming, "READ_SECONDS", 0.05)
    archive = await saved(world)
    archive.piece, archive.hold = 1, asyncio.Event()
    archive.files[FILE.location] = b""
    stuck = asyncio.Event()

    async def hanging(*_: object) -> AsyncIterator[bytes]:
        await stuck.wait()
        yield b""

    archive.open = hanging  # type: ignore[method-assign] # another archive
    with capture_logs():
        assert "gave nothing for" in assert_problem(await world.call("GET", PATH), 503)["detail"]


# With a token, or a link


@pytest_asyncio.fixture
async def linking() -> AsyncIterator[World]:
    """Two tokens, one of them limited to another receiver, and links."""
    world = World(
        tokens={"backend": "s3cret-token", "tenant": "other-token"},
        prefixes={"tenant": ("https://tenant.example.com/",)},
        links=LINKS,
    )
    async with opened(world) as built:
        await saved(built)
        yield built


async def shown_link(world: World) -> str:
    """The path and query of the link that the watch shows."""
    files = (await world.call("GET", "/v1/watches/wch_1", headers=TOKEN)).json()["files"]
    assert files[0]["link"].startswith(LINKS.public_url)
    return urlsplit(files[0]["link"])._replace(scheme="", netloc="").geturl()


async def test_a_link_needs_no_token_and_a_token_no_link(linking: World) -> None:
    """Each is enough; neither is 401, and a token that may not see the watch finds nothing."""
    link = await shown_link(linking)
    assert (await linking.call("GET", link)).content == CONTENT
    assert (await linking.call("GET", link, headers={"Range": "bytes=5-9"})).content == CONTENT[5:10]
    assert (await linking.call("HEAD", link)).headers["content-length"] == "1280"
    assert (await linking.call("GET", PATH, headers=TOKEN)).content == CONTENT
    assert_problem(await linking.call("GET", PATH), 401)
    assert_problem(await linking.call("GET", PATH, headers={"Authorization": "Bearer other-token"}), 404)
    assert_problem(await linking.call("GET", link, headers={"Authorization": "Bearer wrong"}), 401)


async def test_a_link_opens_this_file_only(linking: World) -> None:
    """Neither another file, nor the watch, nor another method."""
    link = await shown_link(linking)
    query = link.partition("?")[2]
    assert_problem(await linking.call("GET", f"/v1/watches/wch_1/files/1?{query}"), 403)
    assert_problem(await linking.call("GET", f"/v1/watches/wch_2/files/0?{query}"), 403)
    assert_problem(await linking.call("GET", f"/v1/watches/wch_1?{query}"), 401)
    assert_problem(await linking.call("DELETE", link), 401)
    assert_problem(await linking.call("GET", f"{link}&expires=99999999999"), 403)
    assert_problem(await linking.call("GET", f"{link}&signature=x"), 403)
    assert_problem(await linking.call("GET", PATH + "?" + "&".join(["a=1"] * 20) + "&" + query), 401)


async def test_an_expired_link_says_so_and_a_wrong_one_does_not(linking: World) -> None:
    """403 both; only who had a link of ours is told when it ended, and where to get another."""
    link = await shown_link(linking)
    linking.clock.jump(61)
    expired = assert_problem(await linking.call("GET", link), 403)["detail"]
    assert "expired at 2026-11-22T13:34:00.000000Z" in expired
    assert "GET /v1/watches/{id}" in expired
    wrong = assert_problem(await linking.call("GET", link[:-2]), 403)["detail"]
    assert "does not fit" in wrong


async def test_links_follow_the_secrets(linking: World) -> None:
    """The old secret's are good as long as it is configured; without a public URL there are none."""
    link = await shown_link(linking)
    new = link_key(HmacKey(b"n" * 24))
    linking.links = replace(LINKS, keys=(new, *LINKS.keys))
    assert (await linking.call("GET", link)).status_code == 200
    linking.links = replace(LINKS, keys=(new,))
    assert_problem(await linking.call("GET", link), 403)
    linking.links = None
    assert_problem(await linking.call("GET", link), 401)
    files = (await linking.call("GET", "/v1/watches/wch_1", headers=TOKEN)).json()["files"]
    assert "link" not in files[0]


async def test_guessing_signatures_is_limited(linking: World) -> None:
    """As failed authentications are; a good link goes on working."""
    link = await shown_link(linking)
    statuses = [(await linking.call("GET", f"{PATH}?expires=1&signature={n}")).status_code for n in range(60)]
    assert set(statuses[:50]) == {403}
    assert statuses[-1] == 429
    assert (await linking.call("GET", link)).status_code == 200


async def test_a_link_is_judged_where_no_token_is_needed_too(world: World) -> None:
    """So that what works on a developer's machine is what works later."""
    await saved(world)
    world.links = LINKS
    assert (await world.call("GET", PATH)).status_code == 200
    assert_problem(await world.call("GET", f"{PATH}?expires=9999999999&signature=x"), 403)


async def test_a_watch_shows_its_files(world: World) -> None:
    """As the event does, with number and state; lists do not."""
    await saved(world, FILE, replace(FILE, n=1, state="pending", location=None, sha256=None, saved_at=None))
    first, second = (await world.call("GET", "/v1/watches/wch_1")).json()["files"]
    assert list(first) == [
        *("n", "state", "url", "location", "size", "sha256", "content_type", "saved_at", "error")
    ]
    assert (first["n"], first["state"], first["location"]) == (0, "saved", FILE.location)
    assert (second["n"], second["state"], second["location"]) == (1, "pending", None)
    assert "files" not in (await world.call("GET", "/v1/watches")).json()["watches"][0]


# Slow clients, and many


@pytest.fixture
def big(monkeypatch) -> bytes:
    """More than the kernel keeps for a client that reads nothing."""
    monkeypatch.setattr(streaming, "LOOK_EVERY_SECONDS", 0.02)
    return bytes(32 * 1024 * 1024)


async def served(world: World, content: bytes) -> FakeArchive:
    archive = await saved(world, replace(FILE, size=len(content)))
    archive.files[FILE.location] = content
    archive.piece = 1024 * 1024
    return archive


async def asked(port: int, length: int = 4096) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=length)
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return reader, writer


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_client_that_does_not_read_holds_no_more_than_a_piece(world: World, big: bytes) -> None:
    """The archive is read as the client takes it, others are served meanwhile, and who leaves is let go."""
    archive = await served(world, big)
    with capture_logs(), socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with serve(world.app, listener, grace=1):
            _, writer = await asked(port)
            await until(lambda: archive.given)
            given = -1
            while given != archive.given:  # until the kernel's buffers are full
                given = archive.given
                await asyncio.sleep(0.2)
            assert given < len(big) // 2
            reader, other = await asked(port)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"200 OK" in head
            assert len(await reader.readexactly(len(big))) == len(big)
            writer.close()
            other.close()
            await until(lambda: archive.reading == 0)


async def test_only_so_many_files_are_sent_at_a_time(world: World, big: bytes, monkeypatch) -> None:
    """One more is a 503 that says when to come back, until somebody has finished."""
    monkeypatch.setattr(streaming, "MOST_STREAMS", 2)
    archive = await served(world, big)
    archive.hold = asyncio.Event()
    with capture_logs(), socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with serve(world.app, listener, grace=1):
            busy = [await asked(port) for _ in range(2)]
            for reader, _ in busy:
                await reader.readuntil(b"\r\n\r\n")
            refused = await world.call("GET", PATH)
            assert "try again" in assert_problem(refused, 503)["detail"]
            assert (await world.call("HEAD", PATH)).status_code == 200
            archive.hold.set()
            for reader, writer in busy:
                await reader.readexactly(len(big))
                writer.close()
            await until(lambda: archive.reading == 0)
            assert (await world.call("GET", PATH, headers={"Range": "bytes=0-9"})).status_code == 206


async def test_a_file_that_breaks_off_is_seen_to(world: World, big: bytes, caplog: Any) -> None:
    """The client gets less than it was promised on a connection that is closed; the log says why, in one line."""
    archive = await served(world, big)
    archive.failure, archive.fails_after = ArchiveUnavailableError("the disk is gone"), 2 * 1024 * 1024
    with capture_logs() as lines, socket.create_server(("127.0.0.1", 0)) as listener:
        async with serve(world.app, listener, grace=1):
            reader, writer = await asked(listener.getsockname()[1])
            await reader.readuntil(b"\r\n\r\n")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await reader.readexactly(len(big))
            writer.close()
            await until(lambda: archive.reading == 0)
    assert [line["error"] for line in lines if line["log_level"] != "debug"] == ["the disk is gone"]
    assert caplog.records == []  # the server's own


async def test_a_stop_does_not_wait_for_downloads(world: World, big: bytes, caplog: Any) -> None:
    """Whoever reads slowly, or nothing, is cut off as soon as the stop begins, without a line in the log: a client
    goes on with Range when the daemon is back."""
    archive = await served(world, big)
    with capture_logs() as lines, socket.create_server(("127.0.0.1", 0)) as listener:
        async with serve(world.app, listener, grace=1):
            reader, writer = await asked(listener.getsockname()[1])
            await reader.readuntil(b"\r\n\r\n")
            world.stopping = True
            await until(lambda: archive.reading == 0)
    writer.close()
    assert [line for line in lines if line["log_level"] != "debug"] == []
    assert caplog.records == []
