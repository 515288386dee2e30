"""`notifier watch wait` against a served intake: until a task has ended, and until its files are here."""

import asyncio
import fcntl
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from notifier.cli import fetching, wait
from notifier.domain.answer import Completed, Failed, Running, TaskError
from notifier.domain.result_file import ResultFile
from notifier.ports import ArchiveUnavailableError
from tests.contract.api.test_commands import Live, live
from tests.contract.api.test_files import CONTENT, FILE, TOKEN, FakeArchive, saved
from tests.contract.api.world import HOOK, World

__all__ = ["live"]  # the fixture


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "LOOK_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(fetching, "LONGEST_PAUSE_SECONDS", 0.02)


@pytest_asyncio.fixture
async def archive(live: Live) -> AsyncIterator[FakeArchive]:
    """A completed task `vid_1` with one saved file."""
    yield await saved(live.world)


async def add(world: World, task_id: str, **more: str) -> None:
    body = {"task_id": task_id, "callback_url": HOOK} | more
    await world.call("POST", "/v1/watches", body, headers=TOKEN)
    await world.crew.run()


async def test_it_blocks_until_the_task_has_ended(live: Live) -> None:
    """Exit 0 and a line that says how; --json prints the watch as it ended."""
    urls = ("https://cdn.example.com/1.mp4",)
    live.world.provider.script("vid_1", Running("processing", None), Completed("completed", urls, None))
    await add(live.world, "vid_1")
    waiting = asyncio.create_task(live.notifier("watch", "wait", "vid_1"))
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    await live.world.crew.advance(35)
    result = await waiting
    assert (result.exit_code, result.stdout) == (
        0,
        "wch_1  videos task vid_1: completed at 2026-11-22T13:33:30Z\n",
    )
    assert (await live.json("watch", "wait", "wch_1"))["state"] == "completed"


async def test_any_other_end_is_exit_1(live: Live) -> None:
    """Failed, cancelled: what is asked for will not be there."""
    live.world.provider.script("vid_1", Failed("failed", TaskError("nsfw", "no"), None))
    await add(live.world, "vid_1")
    assert (await live.notifier("watch", "wait", "vid_1")).exit_code == 1
    live.world.provider.script("vid_2", *[Running("processing", None)] * 5)
    await add(live.world, "vid_2")
    await live.notifier("watch", "cancel", "wch_2")
    cancelled = await live.notifier("watch", "wait", "vid_2", "--save", "nowhere")
    assert (cancelled.exit_code, "cancelled" in cancelled.stdout) == (1, True)


async def test_it_gives_up_when_it_is_told_to(live: Live) -> None:
    """Exit 1 after --timeout, with how things stand."""
    live.world.provider.script("vid_1", *[Running("processing", None)] * 5)
    await add(live.world, "vid_1")
    result = await live.notifier("watch", "wait", "vid_1", "--timeout", "200ms")
    last = result.stderr.splitlines()[-1]
    assert (result.exit_code, last) == (1, "notifier: not within 200ms: watching (processing)")
    assert (await live.notifier("watch", "wait", "vid_1", "--timeout", "soon")).exit_code == 2


async def test_what_changes_is_told_once_each(live: Live) -> None:
    """On stderr, with the time of day: the status word, the deadline, why a poll failed; stdout has the end only."""
    live.world.provider.script(
        "vid_1",
        Running("queued", None),
        Running("processing", None),
        Running("processing", None),
        Completed("completed", ("https://cdn.example.com/1.mp4",), None),
    )
    await add(live.world, "vid_1")
    waiting = asyncio.create_task(live.notifier("watch", "wait", "vid_1", "--json"))
    for _ in range(3):
        await asyncio.sleep(0.3)
        await live.world.crew.advance(35)
    result = await waiting
    told = [line.split("  ", 1)[1] for line in result.stderr.splitlines()]
    assert told == ["queued", "its deadline is 2026-11-23T13:33:00Z", "processing"]
    assert json.loads(result.stdout)["state"] == "completed"


def test_files_that_are_waited_for_are_told() -> None:
    """How many are left, and of each why it is not there yet and what becomes of it."""
    trouble = {"n": 0, "state": "pending", "error": "HTTP 503"}
    files = [trouble, {"n": 1, "state": "unsaved", "error": "HTTP 404"}, {"n": 2, "state": "saved", "error": None}]
    assert list(wait._facts({"state": "completed", "files": files}).values()) == [
        "completed; waiting for its files (1 of 3 still to be saved)",
        "file 0 is not saved: HTTP 503; tried again, 5 s to 10 min apart",
        "file 1 is not saved: HTTP 404; given up",
    ]


async def test_a_task_id_in_the_place_of_a_watch_s_is_told(live: Live) -> None:
    """With the command that finds its watch."""
    for command in ("show", "cancel"):
        result = await live.notifier("watch", command, "vid 1")
        assert (result.exit_code, "notifier watch list --task-id 'vid 1'" in result.stderr) == (1, True)


async def test_which_watch_is_meant(live: Live) -> None:
    """The newest that was not cancelled; of several providers, one has to be named; none is an error that says how to
    begin."""
    live.world.configure("videos", "images")
    for provider in ("videos", "images"):
        live.world.provider.script("vid_1", *[Running("processing", None)] * 5)
        await add(live.world, "vid_1", provider=provider)
    both = await live.notifier("watch", "wait", "vid_1")
    assert (both.exit_code, "images and videos; say which with --provider" in both.stderr) == (2, True)
    one = await live.notifier("watch", "wait", "vid_1", "--provider", "images", "--timeout", "50ms")
    assert one.exit_code == 1
    await live.notifier("watch", "cancel", "wch_2")
    await live.notifier("watch", "cancel", "wch_1")
    await add(live.world, "vid_1", provider="videos")
    known = await live.notifier("watch", "wait", "vid_1", "--timeout", "50ms")
    assert "not within" in known.stderr
    nobody = await live.notifier("watch", "wait", "vid_77")
    assert (nobody.exit_code, "notifier watch add vid_77" in nobody.stderr) == (1, True)


async def test_a_daemon_that_is_away_is_waited_for(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart takes seconds; what is away for longer is told, and so is a watch that is gone."""
    live.world.provider.script("vid_1", *[Running("processing", None)] * 9)
    await add(live.world, "vid_1")
    waiting = asyncio.create_task(live.notifier("watch", "wait", "vid_1"))
    await asyncio.sleep(0.1)
    live.world.stopping = True
    await asyncio.sleep(0.2)
    assert not waiting.done()
    monkeypatch.setattr(wait, "AWAY_SECONDS", 0.0)
    result = await waiting
    assert (result.exit_code, "the daemon is stopping" in result.stderr) == (1, True)


async def test_files_are_fetched_and_verified(live: Live, archive: FakeArchive, tmp_path: Path) -> None:
    """Under a harmless name, whole; what is there already is not fetched again, and nothing else is overwritten."""
    folder = tmp_path / "new" / "films"
    result = await live.notifier("watch", "wait", "vid_1", "--save", str(folder))
    assert (result.exit_code, result.stderr) == (0, f"saved {folder / 'vid_1-0.mp4'}\n")
    assert [(one.name, one.read_bytes()) for one in folder.iterdir()] == [("vid_1-0.mp4", CONTENT)]
    given = archive.given
    assert (await live.notifier("watch", "wait", "vid_1", "--save", str(folder))).exit_code == 0
    assert archive.given == given
    (folder / "vid_1-0.mp4").write_bytes(b"mine")
    refused = await live.notifier("watch", "wait", "vid_1", "--save", str(folder))
    assert (refused.exit_code, "move it away" in refused.stderr) == (1, True)
    assert (folder / "vid_1-0.mp4").read_bytes() == b"mine"


async def test_a_download_goes_on_where_it_broke(live: Live, archive: FakeArchive, tmp_path: Path) -> None:
    """Within one run when the connection breaks, and in the next run when it did not arrive at all."""
    archive.failure, archive.fails_after = ArchiveUnavailableError("the disk is gone"), 500
    broken = await live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path))
    assert (broken.exit_code, "run it again to go on" in broken.stderr) == (1, True)
    assert (tmp_path / ".vid_1-0.mp4.part").stat().st_size == 500
    archive.failure, archive.given = None, 0
    again = await live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path))
    assert (again.exit_code, archive.given) == (0, len(CONTENT) - 500)
    assert [one.name for one in tmp_path.iterdir()] == ["vid_1-0.mp4"]
    assert (tmp_path / "vid_1-0.mp4").read_bytes() == CONTENT


@pytest.mark.parametrize("begun", [b"x" * 700, CONTENT + b"more", b""])
async def test_what_was_begun_wrongly_is_begun_anew(
    live: Live, archive: FakeArchive, tmp_path: Path, begun: bytes
) -> None:
    """Other bytes, or too many: the digest tells."""
    (tmp_path / ".vid_1-0.mp4.part").write_bytes(begun)
    assert (await live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path))).exit_code == 0
    assert (tmp_path / "vid_1-0.mp4").read_bytes() == CONTENT


async def test_a_file_that_is_another_one_is_not_kept(live: Live, archive: FakeArchive, tmp_path: Path) -> None:
    """What the archive gives is not what it says: nothing is saved, and nothing is left to go on with."""
    archive.files[FILE.location] = bytes(len(CONTENT))
    result = await live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path))
    assert (result.exit_code, "SHA-256 differs" in result.stderr) == (1, True)
    assert not (tmp_path / "vid_1-0.mp4").exists()


async def test_a_link_in_the_place_of_a_download_is_not_followed(
    live: Live, archive: FakeArchive, tmp_path: Path
) -> None:
    """In a folder that others can write to, it could lead anywhere; and two runs do not write into one file."""
    partial, victim = tmp_path / ".vid_1-0.mp4.part", tmp_path / "victim"
    victim.write_bytes(b"precious")
    partial.symlink_to(victim)
    result = await live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path))
    assert (result.exit_code, victim.read_bytes()) == (1, b"precious")
    partial.unlink()
    with partial.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        busy = await live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path))
        assert (busy.exit_code, "another `notifier watch wait`" in busy.stderr) == (1, True)


async def test_files_that_are_pending_are_waited_for(live: Live, tmp_path: Path) -> None:
    """And what could not be saved is told, with its reason."""
    await saved(live.world, replace(FILE, state="pending"))
    waiting = asyncio.create_task(live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path)))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    settle(live.world, FILE, replace(FILE, n=1, state="unsaved", location=None, error="larger than 2 GiB"))
    result = await waiting
    assert (result.exit_code, "file 1: is unsaved: larger than 2 GiB" in result.stderr) == (1, True)
    assert (tmp_path / "vid_1-0.mp4").read_bytes() == CONTENT


def settle(world: World, *files: ResultFile) -> None:
    key = world.store.view("wch_1").task_key
    task = world.store.tasks[key]
    assert task.end is not None
    world.store.tasks[key] = replace(task, end=replace(task.end, files=files))


async def test_without_an_archive_the_urls_are_printed(live: Live, tmp_path: Path) -> None:
    """And why nothing is here: exit 1. A task without results has nothing to be saved."""
    urls = ("https://cdn.example.com/1.mp4?token=t",)
    live.world.provider.script("vid_1", Completed("completed", urls, None))
    await add(live.world, "vid_1")
    result = await live.notifier("watch", "wait", "vid_1", "--save", str(tmp_path))
    assert (result.exit_code, "archiving is off" in result.stderr, urls[0] in result.stderr) == (1, True, True)
    assert list(tmp_path.iterdir()) == []
    shown = (await live.notifier("watch", "show", "wch_1")).stdout
    assert urls[0] in shown


async def test_show_has_a_table_of_the_files(live: Live, archive: FakeArchive) -> None:
    """Where each is, or why not; `--json` is the intake's answer."""
    shown = (await live.notifier("watch", "show", "wch_1")).stdout.splitlines()
    assert shown[-2].split()[:3] == ["FILE", "STATE", "BYTES"]
    assert shown[-1].split()[:4] == ["0", "saved", "1280", "video/mp4"]
    assert shown[-1].endswith(str(FILE.location))
    assert json.loads((await live.notifier("watch", "show", "wch_1", "--json")).stdout)["files"][0]["n"] == 0


async def test_ctrl_c_is_130(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells say it; what was fetched so far stays for the next run."""
    await add(live.world, "vid_1")

    def interrupted(*_: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wait.Intake, "ask_json", interrupted)
    assert (await live.notifier("watch", "wait", "vid_1")).exit_code == 130
