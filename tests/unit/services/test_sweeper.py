"""Saved files are deleted when their retention is over."""

from structlog.testing import capture_logs

from notifier.domain.answer import Completed
from notifier.domain.saving import RETENTION_OVER
from notifier.ports import ArchiveUnavailableError, FileGoneError
from notifier.services import sweeper as sweeper_of
from notifier.services.sweeper import Keeping, Sweeper
from tests.unit.services.world import World

DONE = Completed("completed", ("https://cdn.example/1.mp4",), "{}")
LOCATION = "file:///results/videos/vid_1/wch_1-0.mp4"


async def swept(world: World, *, retention: float | None = 100.0) -> Sweeper:
    """A sweeper of a world with one saved file."""
    world.archive()
    await world.told("vid_1", DONE)
    sweeper = Sweeper(store=world.store, clock=world.clock)
    sweeper.keeping = None if retention is None else Keeping(world.files, retention)
    return sweeper


def file_of(world: World):
    return world.store.tasks[1].end.files[0]


async def test_a_file_is_deleted_after_its_retention():
    """Not before; what is shown of it says that it is gone."""
    world = World()
    sweeper = await swept(world)
    await world.crew.advance(99)
    await sweeper.sweep()
    assert world.files.shelf == {LOCATION}
    await world.crew.advance(2)
    with capture_logs() as lines:
        await sweeper.sweep()
        await sweeper.sweep()
    assert world.files.shelf == set()
    assert (file_of(world).state, file_of(world).location, file_of(world).error) == ("deleted", None, RETENTION_OVER)
    assert [(line["event"], line["files"]) for line in lines] == [("archive.cleaned", 1)]


async def test_without_a_retention_files_are_kept():
    """For ever."""
    world = World()
    sweeper = await swept(world, retention=None)
    await world.crew.advance(10**6)
    await sweeper.sweep()
    assert world.files.shelf == {LOCATION}


async def test_a_clock_set_ahead_deletes_nothing():
    """A deletion cannot be undone, so a jump must last before it counts."""
    world = World()
    sweeper = await swept(world)
    world.clock.jump(10**6)
    await sweeper.sweep()
    assert world.files.shelf == {LOCATION}


async def test_a_file_that_is_gone_already_is_forgotten():
    """Somebody else tidied up."""
    world = World()
    sweeper = await swept(world)
    world.files.stuck = FileGoneError("no such file")
    await world.crew.advance(101)
    await sweeper.sweep()
    assert file_of(world).state == "deleted"


async def test_what_cannot_be_deleted_is_told_once_and_deleted_later():
    """An archive or a store that is down only delays."""
    world = World()
    sweeper = await swept(world)
    await world.crew.advance(101)
    with capture_logs() as lines:
        world.files.stuck = ArchiveUnavailableError("the bucket refuses")
        await sweeper.sweep()
        world.store.down = True
        await sweeper.sweep()
        world.store.down, world.files.stuck = False, None
        await sweeper.sweep()
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("archive.uncleaned", "warning"),
        ("archive.uncleaned", "debug"),
        ("archive.cleaned", "info"),
    ]
    assert file_of(world).state == "deleted"


async def test_what_cannot_be_deleted_keeps_nothing_else_from_it(monkeypatch):
    """However many such files there are, and however old: each sweep goes on behind them, and they stay as they are.
    The log is told once, not at each round; a round later they are tried again."""
    monkeypatch.setattr(sweeper_of, "PORTION", 2)
    world = World()
    sweeper = await swept(world)
    for number in range(2, 7):
        await world.told(f"vid_{number}", DONE)
        await world.crew.advance(1)
    world.files.elsewhere = {LOCATION, LOCATION.replace("vid_1/wch_1", "vid_2/wch_2")}
    await world.crew.advance(101)
    with capture_logs() as lines:
        for _ in range(7):
            await sweeper.sweep()
        assert world.files.shelf == world.files.elsewhere
        assert file_of(world).state == "saved"
        world.files.elsewhere = set()
        for _ in range(3):
            await sweeper.sweep()
    assert world.files.shelf == set()
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["archive.uncleaned"]
