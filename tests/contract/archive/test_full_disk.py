"""A disk that is full: said, and nothing is left of what did not fit; once there is room, the file is saved."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.adapters.archive.partial import Partial
from notifier.ports import Saved, SaveOrder, Unsaved
from tests.contract.archive.conftest import kept
from tests.contract.archive.servers import MIB, content, honest, in_turn, saying
from tests.small_disk import small_disk

FILE = content(3 * MIB)
KEPT = "5 % of it, at most 256 MiB, are kept free"
FULL = Unsaved("store", f"the disk of archive.url is full ({KEPT}); free some space on it, or let it have more")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def free(disk: Path) -> int:
    state = os.statvfs(disk)
    return state.f_bavail * state.f_frsize


async def test_what_will_not_fit_is_not_begun(disk, archive, serve):
    """The store may be on the same disk: it must not run out of room for the sake of a file that will not fit."""
    (disk / "filler").write_bytes(bytes(2 * MIB))
    server = await serve(in_turn(saying("200 OK", Content_Length=len(FILE)), honest(FILE)))
    built = await archive(folder=disk / "results")
    before = free(disk)
    assert await built.save(SaveOrder(server.url, "videos/t/wch_1-0", "videos")) == FULL
    assert len(server.requests) == 1
    assert free(disk) == before
    (disk / "filler").unlink()
    assert isinstance(await built.save(SaveOrder(server.url, "videos/t/wch_1-0", "videos")), Saved)


async def test_a_disk_that_fills_on_the_way_is_freed_again(disk, archive, serve):
    """A file that does not say its length is found out only when it does not fit."""

    async def unannounced(request, answer):
        await answer.head("200 OK")
        for _ in range(10):
            await answer.body(FILE)

    built = await archive(folder=disk / "results")
    before = free(disk)
    server = await serve(unannounced)
    assert await built.save(SaveOrder(server.url, "videos/t/wch_1-0", "videos")) == FULL
    assert free(disk) == before
    assert kept(disk) == []


async def test_the_last_of_the_disk_is_left_to_others(disk, archive, serve, monkeypatch):
    """To the store above all: neither a file that says its length takes it, nor one that grows and grows."""
    lengthless, least = saying("200 OK", bytes(MIB) * 8), []
    server = await serve(in_turn(honest(content(4 * MIB - 100_000)), lengthless))
    built = await archive(folder=disk / "results")
    append = Partial._append
    monkeypatch.setattr(Partial, "_append", lambda *given: (append(*given), least.append(free(disk))))
    for _ in range(2):
        assert await built.save(SaveOrder(server.url, "videos/t/wch_1-0", "videos")) == FULL
    assert least
    assert min(least) >= 4 * MIB // 20


async def test_a_disk_without_room_for_a_name_is_said(disk, archive, serve):
    """No inode is left: the file cannot even be begun."""
    built = await archive(folder=disk / "results")
    subprocess.run(["mount", "-o", "remount,nr_inodes=4", str(disk)], check=True)
    (disk / "last").touch()
    server = await serve(honest(FILE))
    assert await built.save(SaveOrder(server.url, "videos/t/wch_1-0", "videos")) == FULL
    assert server.accepts == 0


async def test_a_disk_that_may_not_be_written_is_said(disk, archive, serve):
    """As after an error of the file system; another kind of trouble, other advice."""
    built = await archive(folder=disk / "results")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    server = await serve(honest(FILE))
    result = await built.save(SaveOrder(server.url, "videos/t/wch_1-0", "videos"))
    assert isinstance(result, Unsaved)
    assert result.message.startswith("the disk of archive.url is mounted read-only; mount it for writing")
