"""sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3), against sockets as systemd opens them."""

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from notifier.adapters import systemd
from notifier.adapters.systemd import PassedSocket, ServiceManager
from notifier.app.supervision import Supervision, supervised
from notifier.ports import Counts, StoreUnavailableError

WAIT_SECONDS = 20.0


class Systemd:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self._socket.settimeout(0)
        self._managers: list[ServiceManager] = []

    def heard(self) -> list[str]:
        """The messages so far."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    async def hears(self, message: str) -> None:
        """Wait for exactly this message, whatever else comes before it."""
        await self.reads_until(lambda heard: message in heard)

    async def reads_until(self, enough: Callable[[list[str]], Any]) -> list[str]:
        """Read on, for else nobody could go on talking; what was heard until it was enough."""
        heard: list[str] = []
        async with asyncio.timeout(WAIT_SECONDS):
            while not enough(heard):
                await asyncio.sleep(0.005)
                heard += self.heard()
        return heard

    def manager(self, **more: str) -> ServiceManager:
        """A service that was started with this address, and with `more` in its environment."""
        manager = ServiceManager.take({"NOTIFY_SOCKET": self.address, **more})
        self._managers.append(manager)
        return manager

    def close(self) -> None:
        self._socket.close()
        for manager in self._managers:
            manager.close()


@pytest.fixture(params=["path", "abstract"])
def either_end(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    """Both forms of address that systemd uses."""
    path = request.param == "path"
    other_end = Systemd(str(tmp_path / "notify") if path else f"@notifier-test-{os.getpid()}")
    yield other_end
    other_end.close()


@pytest.fixture
def other_end(tmp_path: Path) -> Iterator[Systemd]:
    other_end = Systemd(str(tmp_path / "notify"))
    yield other_end
    other_end.close()


# What is said


def test_the_life_of_a_service_is_told_in_order(either_end: Systemd) -> None:
    """Each message is one datagram, with the state first."""
    manager = either_end.manager(WATCHDOG_USEC="30000000")
    assert manager.listens
    manager.status("starting")
    manager.ready("2 watches")
    manager.feed()
    manager.stopping("stopping")
    assert either_end.heard() == [
        "STATUS=starting",
        "READY=1\nSTATUS=2 watches",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_a_reload_is_over_whatever_comes_of_it(other_end: Systemd) -> None:
    """RELOADING=1 comes with the time at which it began, as sd_notify(3) wants it. READY=1 follows even a failure:
    without it systemd waits for ever. The status line is then what it was."""
    manager = other_end.manager()
    manager.ready("2 watches")
    with pytest.raises(RuntimeError), manager.reloading():
        raise RuntimeError
    _, begins, ends = other_end.heard()
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=reloading", begins)
    assert ends == "READY=1\nSTATUS=2 watches"


def test_a_status_is_one_line(other_end: Systemd) -> None:
    """A line feed in it would be the beginning of another message, such as STOPPING=1."""
    other_end.manager().status("failed: one\nSTOPPING=1")
    assert other_end.heard() == ["STATUS=failed: one STOPPING=1"]


def test_without_systemd_nothing_is_said() -> None:
    """A daemon in a terminal has no watchdog and nobody to talk to; nor has one whose address has an unknown form."""
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}):
        manager = ServiceManager.take(environ)
        assert (manager.listens, manager.watchdog, manager.sockets) == (False, None, ())
        manager.ready("ready")
        manager.feed()
        manager.stopping("stopping")


def test_a_manager_that_went_away_is_told_of_once(other_end: Systemd) -> None:
    """It stops nothing, and does not fill the log."""
    manager = other_end.manager()
    Path(other_end.address).unlink()
    with capture_logs() as logs:
        manager.status("one")
        manager.status("two")
    assert [line["event"] for line in logs] == ["systemd.unreachable"]


def lose(other_end: Systemd, say: Callable[[], None]) -> None:
    """What is said while nobody is at the address."""
    address, away = Path(other_end.address), Path(other_end.address + ".away")
    address.rename(away)
    with capture_logs():
        say()
    away.rename(address)


def test_a_lost_ready_is_said_again(other_end: Systemd) -> None:
    """With the next status that arrives, and once: without it systemd takes the start for failed."""
    manager = other_end.manager()
    lose(other_end, lambda: manager.ready("ready"))
    lose(other_end, lambda: manager.status("one"))
    manager.status("two")
    manager.status("three")
    assert other_end.heard() == ["READY=1\nSTATUS=two", "STATUS=three"]


def test_a_lost_ready_is_not_said_of_a_service_that_stops(other_end: Systemd) -> None:
    """It would be a lie."""
    manager = other_end.manager()
    lose(other_end, lambda: manager.ready("ready"))
    manager.stopping("stopping")
    manager.status("saving")
    assert other_end.heard() == ["STOPPING=1\nSTATUS=stopping", "STATUS=saving"]


# What is heard


def test_the_variables_are_taken_out_of_the_environment(other_end: Systemd) -> None:
    """A program that is started later must not answer for the service, nor think that sockets were passed to it."""
    environ = {
        "NOTIFY_SOCKET": other_end.address,
        "WATCHDOG_USEC": "1000000",
        "WATCHDOG_PID": str(os.getpid()),
        "LISTEN_PID": "1",
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "intake",
        "PATH": "/bin",
    }
    ServiceManager.take(environ).close()
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("more", "watchdog"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_or_nobodys(other_end: Systemd, more: dict[str, str], watchdog: float | None) -> None:
    """Seconds; only if it is set for this process. Without one, nothing is fed."""
    manager = other_end.manager(**more)
    assert manager.watchdog == watchdog
    manager.feed()
    assert len(other_end.heard()) == (watchdog is not None)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A listening socket in the place where passed ones begin."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        monkeypatch.setattr(systemd, "FIRST_PASSED", listener.fileno())
        yield listener


def test_passed_sockets_come_with_their_names_and_stay_ours(passed: socket.socket) -> None:
    """They are not inherited by programs that are started later."""
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    assert ServiceManager.take({**environ, "LISTEN_FDNAMES": "intake"}).sockets == (
        PassedSocket("intake", passed.fileno()),
    )
    assert not passed.get_inheritable()
    assert ServiceManager.take(environ).sockets == (PassedSocket("", passed.fileno()),)


def test_sockets_for_another_process_are_not_ours(passed: socket.socket) -> None:
    """They were passed to a parent of ours, which left its environment lying about."""
    for pid, count in (("1", "1"), ("", "1"), (str(os.getpid()), "some")):
        assert ServiceManager.take({"LISTEN_PID": pid, "LISTEN_FDS": count}).sockets == ()


# Who says it, and when


class World:
    """Health and catalog as the supervision asks them."""

    def __init__(self) -> None:
        self.found: dict[str, str] | Exception = {}
        self.watching = 2
        self.store: Literal["up", "refuses", "hangs", "breaks"] = "up"
        self.slow = False

    async def arrested(self, seconds: float) -> dict[str, str]:
        if isinstance(self.found, Exception):
            raise self.found
        if self.slow:
            await asyncio.sleep(seconds)
        return self.found

    def paused(self) -> dict[str, Any]:
        return {}

    async def counts(self) -> Counts:
        if self.store == "refuses":
            raise StoreUnavailableError("gone")
        if self.store == "breaks":
            raise RuntimeError("a fault")
        if self.store == "hangs":
            await asyncio.Event().wait()
        return Counts({"watching": self.watching}, {})


def begin(supervision: Supervision, world: World) -> None:
    supervision.begin(world, world)


async def test_the_watchdog_is_fed_and_the_status_renewed(other_end: Systemd) -> None:
    """From the moment at which it is ready until the stop begins, and not a moment longer."""
    world = World()
    async with supervised(other_end.manager(WATCHDOG_USEC="30000")) as supervision:
        await other_end.hears("STATUS=starting")
        begin(supervision, world)
        await other_end.hears("READY=1\nSTATUS=ready")
        await other_end.hears("WATCHDOG=1")
        world.watching = 3
        await other_end.hears("STATUS=3 watches, 0 deliveries pending")
        await other_end.hears("WATCHDOG=1")
        supervision.end()
        *_, last = other_end.heard()
        assert last.startswith("STOPPING=1\nSTATUS=stopping")
        await asyncio.sleep(0.1)  # ten times what the next feeding would wait
        assert other_end.heard() == []


async def test_a_part_that_is_arrested_starves_the_watchdog(other_end: Systemd) -> None:
    """Which one is told once for each time; when it moves again, the watchdog is fed again."""
    world = World()
    with capture_logs() as logs:
        async with supervised(other_end.manager(WATCHDOG_USEC="30000")) as supervision:
            world.found = {"store": "hangs"}
            begin(supervision, world)
            assert "WATCHDOG=1" not in await other_end.reads_until(lambda heard: len(heard) > 10)
            world.found = {}
            await other_end.hears("WATCHDOG=1")
            world.found = {"scheduler": "is silent"}
            await other_end.reads_until(lambda _: len(logs) == 2)
    assert [(line["event"], line.get("store"), line.get("scheduler")) for line in logs] == [
        ("watchdog.starved", "hangs", None),
        ("watchdog.starved", None, "is silent"),
    ]


async def test_a_look_that_fails_does_not_feed_and_does_not_end_the_looking(other_end: Systemd) -> None:
    """It is a fault of ours, told with its traceback."""
    world = World()
    with capture_logs() as logs:
        async with supervised(other_end.manager(WATCHDOG_USEC="30000")) as supervision:
            world.found = RuntimeError("a fault")
            begin(supervision, world)
            assert "WATCHDOG=1" not in await other_end.reads_until(lambda _: logs)
            world.found = {}
            await other_end.hears("WATCHDOG=1")
    assert logs[0]["event"] == "daemon.fault"


@pytest.mark.parametrize("trouble", ["refuses", "hangs"])
async def test_a_store_that_cannot_be_read_costs_only_the_status(other_end: Systemd, trouble: str) -> None:
    """The looking goes on without the numbers, and they come back with the store."""
    world = World()
    async with supervised(other_end.manager(WATCHDOG_USEC="30000")) as supervision:
        world.store = trouble
        begin(supervision, world)
        await other_end.hears("WATCHDOG=1")
        await other_end.hears("WATCHDOG=1")
        world.store = "up"
        await other_end.hears("STATUS=2 watches, 0 deliveries pending")


async def test_a_fault_in_the_numbers_costs_only_the_status(other_end: Systemd) -> None:
    """It is a fault of ours, told with its traceback; the watchdog is fed all the same."""
    world = World()
    with capture_logs() as logs:
        async with supervised(other_end.manager(WATCHDOG_USEC="30000")) as supervision:
            world.store = "breaks"
            begin(supervision, world)
            await other_end.reads_until(lambda heard: heard.count("WATCHDOG=1") >= 2)
            world.store = "up"
            await other_end.hears("STATUS=2 watches, 0 deliveries pending")
    assert {line["event"] for line in logs} == {"daemon.fault"}


async def test_a_store_as_slow_as_can_be_leaves_the_watchdog_a_margin(other_end: Systemd) -> None:
    """It answers the write at the last moment, and the numbers never come."""
    world = World()
    world.slow, world.store = True, "hangs"
    async with supervised(other_end.manager(WATCHDOG_USEC="2000000")) as supervision:
        begin(supervision, world)
        await other_end.hears("WATCHDOG=1")
        before = time.monotonic()
        await other_end.hears("WATCHDOG=1")
        assert time.monotonic() - before < 2.0


async def test_without_systemd_nobody_looks() -> None:
    """It would cost a write to the store each time, for nobody."""
    world = World()
    world.found = RuntimeError("nobody should ask")
    with capture_logs() as logs:
        async with supervised(ServiceManager()) as supervision:
            begin(supervision, world)
            await asyncio.sleep(0.01)
            supervision.end()
    assert logs == []
