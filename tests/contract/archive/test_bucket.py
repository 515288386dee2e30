"""Files in a bucket: against a server that speaks S3, and against one that refuses."""

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from notifier.adapters.archive import bucket_archive
from notifier.adapters.http import Downloads
from notifier.ports import ArchiveUnavailableError, ElsewhereError, FileGoneError, Saved, SaveOrder, Unsaved
from tests.acceptance.harness import free_port
from tests.contract.archive.conftest import kept
from tests.contract.archive.homes import nowhere
from tests.contract.archive.servers import MIB, content, honest, saying

FILE = content(12 * MIB + 5)  # three parts
NAME = "videos/vid_1/wch_1-0"
URL = "s3://results/some/prefix"


@dataclass
class Storage:
    """A running server that speaks S3."""

    url: str
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str) -> int:
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@contextlib.contextmanager
def running_storage() -> Iterator[Storage]:
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield Storage(f"http://127.0.0.1:{port}", process)
        finally:
            process.kill()


def wait_until_it_answers(storage: Storage) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError):
            assert storage.ask("GET", "/moto-api/") == 200
            return
        assert storage.process.poll() is None
        time.sleep(0.1)
    pytest.fail("the server that speaks S3 did not start")


@pytest.fixture(scope="module")
def shared_storage() -> Iterator[Storage]:
    with running_storage() as storage:
        wait_until_it_answers(storage)
        yield storage


def point_to(monkeypatch, url: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "planted",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def storage(shared_storage, monkeypatch) -> Storage:
    """With an empty bucket, and the environment that leads to it."""
    assert shared_storage.ask("POST", "/moto-api/reset") == 200
    assert shared_storage.ask("PUT", "/results") == 200
    point_to(monkeypatch, shared_storage.url)
    return shared_storage


@pytest.fixture
async def bucket(tmp_path):
    """Build the archive of a bucket, with its spool in `tmp_path`."""
    async with contextlib.AsyncExitStack() as stack:

        async def build(url: str = URL, *, timeout: float = 60):
            downloads = Downloads(guard=lambda: (ip_network("127.0.0.0/8"),))
            built = bucket_archive(
                url, spool=tmp_path, downloads=downloads, homes=nowhere, max_size=64 * MIB, timeout=timeout
            )
            stack.push_async_callback(built.aclose)
            await built.start()
            return built

        yield build


async def read(archive, location: str, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in archive.open(location, start, stop)])


async def test_a_file_is_saved_read_and_removed(storage, bucket, serve, tmp_path):
    """Several parts; the bytes, the type and the place are right, and nothing stays in the spool."""
    archive = await bucket()
    server = await serve(honest(FILE, limit=5 * MIB))
    saved = await archive.save(SaveOrder(server.url, NAME, "videos"))
    location = f"{URL}/{NAME}.mp4"
    assert saved == Saved(location, len(FILE), hashlib.sha256(FILE).hexdigest(), "video/mp4")
    assert kept(tmp_path) == []
    for start, stop in ((0, len(FILE)), (MIB, 5 * MIB + 1), (len(FILE) - 1, len(FILE)), (7, 7)):
        assert await read(archive, location, start, stop) == FILE[start:stop]
    with urllib.request.urlopen(f"{storage.url}/results/some/prefix/{NAME}.mp4", timeout=10) as answer:
        assert answer.headers["content-type"] == "video/mp4"
    await archive.remove(location)
    await archive.remove(location)
    with pytest.raises(FileGoneError, match="gone from the archive"):
        await read(archive, location, 0, 1)


@pytest.mark.parametrize("data", [b"", b"{}"])
async def test_a_small_file_is_saved(storage, bucket, serve, data):
    """In one go, also an empty one."""
    archive = await bucket("s3://results")
    saved = await archive.save(SaveOrder((await serve(honest(data))).url, NAME, "videos"))
    assert isinstance(saved, Saved)
    assert saved.location.startswith(f"s3://results/{NAME}.")
    assert await read(archive, saved.location, 0, len(data)) == data


async def test_reading_beyond_the_end_is_told(storage, bucket, serve):
    """Object stores give what there is without a word."""
    archive = await bucket()
    saved = await archive.save(SaveOrder((await serve(honest(FILE[:1000]))).url, NAME, "videos"))
    with pytest.raises(ArchiveUnavailableError, match="shorter than it was"):
        await read(archive, saved.location, 0, 1001)


@pytest.mark.parametrize("location", ["s3://other/some/prefix/a", "s3://results/a", "file:///etc/passwd"])
async def test_nothing_outside_the_prefix_is_read_or_removed(storage, bucket, location):
    """Whatever a location says; nor is it said to be gone, as its own archive may well have it."""
    archive = await bucket()
    with pytest.raises(ElsewhereError, match="which is not this archive"):
        await read(archive, location, 0, 1)
    with pytest.raises(ElsewhereError):
        await archive.remove(location)


async def test_a_location_that_leads_out_of_the_prefix_is_no_file_of_ours(storage, bucket):
    """Names are made by us, and none is like that."""
    archive = await bucket()
    with pytest.raises(FileGoneError, match="no file at this location"):
        await read(archive, f"{URL}/../../a", 0, 1)
    await archive.remove(f"{URL}/../../a")


async def test_a_bucket_that_does_not_exist_is_said(storage, bucket, serve, tmp_path):
    """And a later try succeeds once somebody has made it."""
    archive = await bucket("s3://missing/prefix")
    order = SaveOrder((await serve(honest(FILE))).url, NAME, "videos")
    advice = "there is no bucket missing; make it, or correct archive.url"
    assert await archive.save(order) == Unsaved("store", advice)
    assert kept(tmp_path) == []
    assert storage.ask("PUT", "/missing") == 200
    assert isinstance(await archive.save(order), Saved)


async def test_a_bucket_that_refuses_is_said_without_its_keys(monkeypatch, bucket, serve):
    """What to look at is named; the answer may hold more than should be shown."""
    denied = b"<Error><Code>AccessDenied</Code><Message>planted</Message></Error>"
    storage = await serve(saying("403 Forbidden", denied, Content_Length=len(denied)))
    point_to(monkeypatch, storage.origin)
    archive = await bucket()
    unsaved = await archive.save(SaveOrder((await serve(honest(FILE))).url, NAME, "videos"))
    assert unsaved == Unsaved(
        "store",
        "the bucket results refuses us; look at the daemon's credentials, and whether they may put, get and delete",
    )
    with pytest.raises(ArchiveUnavailableError, match="refuses us"):
        await read(archive, f"{URL}/{NAME}.mp4", 0, 1)
    with pytest.raises(ArchiveUnavailableError, match="refuses us"):
        await archive.remove(f"{URL}/{NAME}.mp4")


async def test_a_bucket_that_goes_away_is_said_and_comes_back(monkeypatch, bucket, serve, storage):
    """Between two files; nothing has to be restarted here."""
    archive = await bucket()
    order = SaveOrder((await serve(honest(FILE))).url, NAME, "videos")
    with running_storage() as other:
        wait_until_it_answers(other)
        assert other.ask("PUT", "/results") == 200
        point_to(monkeypatch, other.url)
        leaving = await bucket()
        assert isinstance(await leaving.save(order), Saved)
    unsaved = await leaving.save(order)
    assert isinstance(unsaved, Unsaved)
    assert unsaved.reason == "store"
    assert unsaved.message.startswith("the bucket results does not work: HTTP error: error sending request; look at")
    with pytest.raises(ArchiveUnavailableError, match="does not work"):
        await read(leaving, f"{URL}/{NAME}.mp4", 0, 1)
    assert isinstance(await archive.save(order), Saved)


async def test_a_bucket_that_hangs_is_left_at_the_deadline(monkeypatch, bucket, serve, tmp_path):
    """The whole try has one; what is not saved by then is tried again later."""

    async def hangs(request, answer):
        await asyncio.sleep(3600)

    storage = await serve(hangs)
    point_to(monkeypatch, storage.origin)
    archive = await bucket(timeout=2)
    unsaved = await archive.save(SaveOrder((await serve(honest(FILE))).url, NAME, "videos"))
    assert unsaved == Unsaved("store", "the archive did not take the file within 2 s (archive.timeout)")
    assert kept(tmp_path) == []


@pytest.mark.parametrize("url", ["s3://", "xx://bucket"])
async def test_a_url_that_makes_no_sense_is_said_at_once(bucket, url):
    """Before anything is saved."""
    with pytest.raises(ValueError, match=r"^archive\.url: "):
        await bucket(url)
