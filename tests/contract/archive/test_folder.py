"""The folder of saved files: what is read and removed there, and that nothing else is."""

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from notifier.adapters.archive import partial
from notifier.ports import ArchiveUnavailableError, ElsewhereError, FileGoneError, Saved, SaveOrder, Unsaved
from tests.contract.archive.conftest import kept
from tests.contract.archive.servers import content, honest

FILE = content(700_000)


async def read(archive, location: str, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in archive.open(location, start, stop)])


@pytest.fixture
async def filled(serve, archive):
    """An archive with one file, and where that is."""
    built = await archive()
    result = await built.save(SaveOrder((await serve(honest(FILE))).url, "videos/vid_1/wch_1-0", "videos"))
    assert isinstance(result, Saved)
    return built, result.location


@pytest.mark.parametrize(("start", "stop"), [(0, len(FILE)), (0, 1), (300_000, 600_001), (5, 5)])
async def test_any_part_of_a_file_can_be_read(filled, start, stop):
    """Exactly the bytes that were asked for."""
    built, location = filled
    assert await read(built, location, start, stop) == FILE[start:stop]


async def test_reading_beyond_the_end_is_told(filled):
    """The file was changed by somebody: who gets it must not take it for whole."""
    built, location = filled
    with pytest.raises(ArchiveUnavailableError, match="shorter than it was"):
        await read(built, location, 0, len(FILE) + 1)


async def test_a_removed_file_is_gone_and_leaves_no_folder(filled, root):
    """Removing it twice is no error."""
    built, location = filled
    await built.remove(location)
    assert kept(root) == []
    assert not (root / "videos").exists()
    await built.remove(location)
    with pytest.raises(FileGoneError, match="gone from the archive"):
        await read(built, location, 0, 1)


async def test_removing_leaves_the_folders_of_other_files(filled, serve, root):
    """Their own folder stays, and so do they."""
    built, location = filled
    await built.save(SaveOrder((await serve(honest(FILE))).url, "videos/vid_1/wch_1-1", "videos"))
    await built.remove(location)
    assert kept(root) == [Path("videos/vid_1/wch_1-1.mp4")]


@pytest.mark.parametrize(
    "path",
    ["../secret", "videos/../../secret", "videos/./x", "a//x", "%2e%2e/x", "a/\x00", "", "videos/vid_1", ".partial"],
)
async def test_nothing_outside_is_read_or_removed(filled, root, path):
    """Whatever a location says."""
    secret = root.parent / "secret"
    secret.write_bytes(b"planted")
    built, _ = filled
    location = f"{root.as_uri()}/{path}"
    with pytest.raises(FileGoneError):
        await read(built, location, 0, 1)
    if path not in {"videos/vid_1", ".partial"}:
        await built.remove(location)
    assert secret.read_bytes() == b"planted"
    for other in (secret.as_uri(), "s3://bucket/secret", "/etc/passwd", f"{root.as_uri()}x/secret"):
        with pytest.raises(ElsewhereError, match=r"is not this archive \(archive\.url was changed\)"):
            await read(built, other, 0, 1)
        with pytest.raises(ElsewhereError):
            await built.remove(other)


async def test_what_another_archive_has_is_not_taken_for_gone(filled, archive, tmp_path):
    """`archive.url` was changed: the file is still there, and only its own archive may say that it was removed."""
    first, location = filled
    second = await archive(folder=tmp_path / "others")
    where = f"was saved in {(tmp_path / 'results').as_uri()}, which is not this archive"
    for refused in (second.remove(location), read(second, location, 0, 1)):
        with pytest.raises(ElsewhereError, match=where):
            await refused
    assert await read(first, location, 0, 9) == FILE[:9]


async def test_symbolic_links_lead_nowhere(filled, root, serve):
    """Neither to a file nor through a folder, to read, to write or to remove."""
    built, _ = filled
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "file.mp4").write_bytes(b"planted")
    (root / "videos/link").symlink_to(outside)
    (root / "videos/vid_1/link.mp4").symlink_to(outside / "file.mp4")
    for path in ("videos/link/file.mp4", "videos/vid_1/link.mp4"):
        with pytest.raises(FileGoneError):
            await read(built, f"{root.as_uri()}/{path}", 0, 1)
    await built.remove(f"{root.as_uri()}/videos/link/file.mp4")
    result = await built.save(SaveOrder((await serve(honest(FILE))).url, "videos/link/file", "videos"))
    assert result == Unsaved(
        "store", "the folder of archive.url is gone, or something else is in its place; restore it"
    )
    assert [path.name for path in outside.iterdir()] == ["file.mp4"]
    assert (outside / "file.mp4").read_bytes() == b"planted"


async def test_a_pipe_in_the_place_of_a_file_hangs_nobody(filled, root):
    """To open one waits for who writes into it."""
    built, _ = filled
    os.mkfifo(root / "videos/vid_1/pipe.mp4")
    with pytest.raises(FileGoneError):
        await read(built, f"{root.as_uri()}/videos/vid_1/pipe.mp4", 0, 1)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//b", "a/b\x00", "a/../b", "a b"])
async def test_a_name_that_leads_elsewhere_is_our_own_fault(serve, archive, root, name):
    """Names are made of ids by a rule of ours: one that is not is never written."""
    server = await serve(honest(FILE))
    built = await archive()
    with pytest.raises(ValueError, match="not a name"):
        await built.save(SaveOrder(server.url, name, "videos"))
    assert kept(root) == []


async def test_a_start_clears_what_a_crash_left(archive, root):
    """A begun file starts anew, as nothing proves what a power cut left of it."""
    left = root / ".partial" / "abc.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    await archive()
    assert kept(root) == []


async def test_a_start_leaves_what_another_process_is_writing(archive, root, serve):
    """Nodes may share the folder: the other one's file is whole in the end."""
    built = await archive()
    first, second = FILE[:200_000], FILE[200_000:]

    async def behave(request, answer):
        await answer.head("200 OK", Content_Length=len(FILE))
        await answer.body(first)
        await archive()  # another node starts
        await answer.body(second)

    result = await built.save(SaveOrder((await serve(behave)).url, "videos/vid_1/wch_1-0", "videos"))
    assert isinstance(result, Saved)


async def test_a_folder_that_cannot_be_made_is_said_at_the_start(archive, tmp_path):
    """With the setting's name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveUnavailableError, match=r"archive\.url"):
        await archive(folder=tmp_path / "file" / "results")


async def test_a_folder_that_vanished_is_made_again(filled, root, serve):
    """Nothing has to be restarted after somebody tidied up too much, or mounted an empty disk there."""
    built, _ = filled
    root.rename(root.parent / "away")
    order = SaveOrder((await serve(honest(FILE))).url, "videos/vid_1/wch_1-0", "videos")
    assert isinstance(await built.save(order), Saved)
    assert kept(root) == [Path("videos/vid_1/wch_1-0.mp4")]


async def test_a_folder_that_could_not_be_made_at_the_start_is_made_later(archive, serve, tmp_path):
    """Until then it is said what is in the way."""
    place = tmp_path / "disk"
    place.write_text("")
    with pytest.raises(ArchiveUnavailableError):
        await archive(folder=place / "results")
    built = await archive()
    built._partials = place / "results" / ".partial"
    built._shelf._root = place / "results"
    order = SaveOrder((await serve(honest(FILE))).url, "videos/vid_1/wch_1-0", "videos")
    unsaved = await built.save(order)
    assert isinstance(unsaved, Unsaved)
    assert unsaved.message.startswith("the folder of archive.url is gone, or something else is in its place")
    place.unlink()
    assert isinstance(await built.save(order), Saved)


async def test_who_gives_up_opening_leaves_nothing_open(filled):
    """A disk may be slow, and clients impatient: each would cost a file descriptor for ever."""
    built, location = filled
    opening, slow, opened = built._shelf._open, threading.Event(), []

    def late(name):
        slow.wait(20)
        opened.append(opening(name))
        return opened[-1]

    built._shelf._open = late
    reading = built.open(location, 0, 5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(reading)
    slow.set()
    await asyncio.to_thread(built._threads.end, 20)
    (descriptor,) = opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


async def test_a_folder_that_takes_no_file_is_told_at_the_start(archive, root, monkeypatch):
    """Also when it exists, as one of somebody else's does, and not only when the first file comes."""

    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    await archive()
    monkeypatch.setattr(partial.tempfile, "mkstemp", refuse)
    with pytest.raises(ArchiveUnavailableError, match="give it to the daemon's user"):
        await archive()
    assert kept(root) == []
