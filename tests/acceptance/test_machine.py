"""What a machine can do to the daemon: a clear line for each fault, once; readiness says it; it passes by itself."""

import resource
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.harness import DaemonProcess, Process, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator
from tests.small_disk import mount, small_disk

DAY = 86_400


class MeddledDaemon(DaemonProcess):
    """A daemon whose clock and names can be meddled with; see `meddled`."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        super().__init__(folder, config)
        self.meddle = folder / "meddle"
        self.meddle.mkdir()
        self.module = "tests.acceptance.meddled"
        self.environment = {"MEDDLE": str(self.meddle)}

    def set_clock(self, seconds: float) -> None:
        draft = self.meddle / "draft"
        draft.write_text(str(seconds))
        draft.replace(self.meddle / "clock")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def readiness(daemon: DaemonProcess) -> tuple[int, str]:
    status, shown = daemon.call("GET", "/readyz", token=None)
    return status, shown["checks"]["store"]


def reasons(daemon: DaemonProcess) -> list[str]:
    return [line["reason"] for line in daemon.events("store.unavailable")]


def register(daemon: DaemonProcess, task_id: str, url: str) -> int:
    status, _ = daemon.call("POST", "/v1/watches", {"task_id": task_id, "callback_url": url})
    return status


# The store's disk


def unsaved_ends(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """Lines at the level of an error: a status that changed and could not be saved is a warning."""
    return [line for line in daemon.events("task.unsaved") if line["level"] == "error"]


def outage(
    daemon: DaemonProcess,
    simulator: Simulator,
    receiver: ReceiverServer,
    begin: Callable[[], object],
    end: Callable[[], object],
    says: str,
) -> None:
    """A task ends and another is registered while the store takes no writes: the end is kept and told afterwards, the
    registration is refused with 503, and the log has one line for the begin and one for the end."""
    begin()
    wait_until(lambda: readiness(daemon)[0] == 503, "readiness says no")
    assert readiness(daemon)[1] == f"{says}; the log says more"
    assert register(daemon, "late", f"{receiver.url}/late") == 503
    simulator.script("task", queued=0, processing=0)
    wait_until(lambda: unsaved_ends(daemon), "an end that cannot be saved")
    time.sleep(2)
    assert receiver.at("/task") == []
    end()
    wait_until(lambda: receiver.at("/task"), "the end that was kept is told")
    wait_until(lambda: readiness(daemon) == (200, "ok"), "readiness says yes")
    assert register(daemon, "late", f"{receiver.url}/late") == 201
    assert len(daemon.events("store.unavailable")) == len(daemon.events("store.available")) == 1
    assert len(unsaved_ends(daemon)) == 1
    assert daemon.events("daemon.fault") == []
    assert daemon.stop() == 0
    assert len(receiver.at("/task")) == 1


@pytest.fixture
def watching(tmp_path: Path, simulator: Simulator, receiver: ReceiverServer) -> Iterator[DaemonProcess]:
    """A daemon with one task that goes on until a test lets it end."""
    simulator.script("task", queued=0, processing=600)
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        daemon.watch("task", f"{receiver.url}/task")
        yield daemon


def test_another_program_locks_the_store(
    watching: DaemonProcess, simulator: Simulator, receiver: ReceiverServer, tmp_path: Path
) -> None:
    """For longer than anybody waits for a lock."""
    with closing(sqlite3.connect(tmp_path / "notifier.db", isolation_level=None)) as other:
        outage(
            watching,
            simulator,
            receiver,
            lambda: other.execute("BEGIN EXCLUSIVE"),
            lambda: other.execute("ROLLBACK"),
            "takes no writes: another program holds its lock",
        )
    assert reasons(watching) == ["locked"]


def test_the_stores_file_goes_away_and_comes_back(
    watching: DaemonProcess, simulator: Simulator, receiver: ReceiverServer, tmp_path: Path
) -> None:
    """No new file is made in its place."""
    store, elsewhere = tmp_path / "notifier.db", tmp_path / "elsewhere.db"
    says = "takes no writes: its file or table is missing, or another file is in its place"

    def back() -> None:
        assert not store.exists()
        elsewhere.rename(store)

    outage(watching, simulator, receiver, lambda: store.rename(elsewhere), back, says)
    assert reasons(watching) == ["missing"]
    assert "put" in watching.events("store.unavailable")[0]["error"]


def test_the_disk_is_full(tmp_path: Path, disk: Path, simulator: Simulator, receiver: ReceiverServer) -> None:
    """What needs room is refused; with room everything goes on."""
    simulator.script("task", queued=0, processing=3)
    config = {"providers": simulator.provider(), "store": {"url": f"sqlite:///{disk / 'notifier.db'}"}}
    daemon = DaemonProcess(tmp_path, config)
    metadata = {"filling": "x" * 4000}
    with running(daemon):
        daemon.watch("task", f"{receiver.url}/task", metadata=metadata)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

        def refused() -> bool:
            body = {"task_id": "late", "callback_url": f"{receiver.url}/late", "metadata": metadata}
            return daemon.call("POST", "/v1/watches", body)[0] == 503

        wait_until(refused, "a registration finds no room")
        assert reasons(daemon) == ["full"]
        filler.unlink()
        wait_until(lambda: receiver.at("/task"), "the end is told")
        assert register(daemon, "late", f"{receiver.url}/late") in (200, 201)
        wait_until(lambda: readiness(daemon) == (200, "ok"), "readiness says yes")
        assert daemon.stop() == 0
    assert len(receiver.at("/task")) == 1


def test_a_read_only_folder_is_refused_at_the_start(tmp_path: Path, disk: Path, simulator: Simulator) -> None:
    """Exit 1 and one line that says what to do; once it can be written to, the daemon starts."""
    config = {"providers": simulator.provider(), "store": {"url": f"sqlite:///{disk / 'notifier.db'}"}}
    daemon = DaemonProcess(tmp_path, config)
    mount(disk, "-o", "remount,ro")
    daemon.start(ready=False)
    assert daemon.wait() == 1
    (line,) = daemon.lines()
    assert (line["event"], line["level"]) == ("daemon.failed", "error")
    assert "mounted read-only: mount it for writing, or name another store.url" in line["error"]
    mount(disk, "-o", "remount,rw")
    with running(daemon):
        assert daemon.stop() == 0


# The store's file


def damage(store: Path) -> None:
    """Everything behind the first page."""
    with store.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (store.stat().st_size - 4096))


def notifier(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    command = Process(list(arguments), tmp_path / "command.log")
    command.log.unlink(missing_ok=True)
    command.start()
    return command.wait(), command.log.read_text()


def test_a_damaged_store_is_refused_and_a_backup_restored(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """The README's steps: a backup of the running daemon, put in the place of the damaged store, knows what it knew.
    What is damaged is not backed up."""
    store, saved = tmp_path / "notifier.db", tmp_path / "saved.db"
    simulator.script("task", queued=None)
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        watch = daemon.watch("task", f"{receiver.url}/task")
        assert notifier(tmp_path, "backup", str(saved), "--config", str(daemon.config_file))[0] == 0
        code, text = notifier(tmp_path, "backup", str(saved), "--config", str(daemon.config_file))
        assert (code, "exists" in text) == (1, True)
        daemon.kill()
        store.with_name("notifier.db-wal").unlink()
        damage(store)
        daemon.start(ready=False)
        assert daemon.wait() == 1
        assert "damaged" in daemon.events("daemon.failed")[-1]["error"]
        assert "restore a backup" in daemon.events("daemon.failed")[-1]["error"]
        code, text = notifier(tmp_path, "backup", str(tmp_path / "other.db"), "--config", str(daemon.config_file))
        assert (code, "damaged" in text) == (1, True)
        assert not (tmp_path / "other.db").exists()
        for log in ("notifier.db-wal", "notifier.db-shm"):
            (tmp_path / log).unlink(missing_ok=True)
        shutil.copy(saved, store)
        daemon.start()
        assert daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["state"] == "watching"
        assert daemon.stop() == 0


def test_damage_at_run_time_is_told_and_stays_told(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """One line, readiness 503, no crash; `status` says what to do."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    simulator.script("task", queued=None)
    with running(daemon):
        watches = [{"task_id": f"task-{n}", "callback_url": f"{receiver.url}/{n}"} for n in range(900)]
        assert daemon.call("POST", "/v1/watches/batch", {"watches": watches})[0] == 200
        daemon.kill()
        daemon.start()
        with closing(sqlite3.connect(tmp_path / "notifier.db")) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(tmp_path / "notifier.db")

        def found() -> bool:
            daemon.call("GET", "/v1/watches?limit=1000")
            register(daemon, "another", f"{receiver.url}/another")
            return bool(daemon.events("store.unavailable"))

        wait_until(found, "the damage is found")
        said = (503, "is damaged: stop the daemon and restore a backup; the log says more")
        wait_until(lambda: readiness(daemon) == said, "readiness says so")
        time.sleep(1.1)  # it looks anew
        assert readiness(daemon) == said
        for _ in range(3):
            found()
        assert reasons(daemon) == ["damaged"]
        assert "restore a backup" in daemon.events("store.unavailable")[0]["error"]
        code, text = notifier(tmp_path, "status", "--config", str(daemon.config_file))
        assert (code, "restore a backup" in text) == (1, True)


# The clock


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_wrong_and_right_again_costs_nothing(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer, days: int
) -> None:
    """Polls go on at their pace, retries too; no deadline passes, nothing is deleted, and the log says by how much."""
    simulator.script("long", queued=None)
    simulator.script("ended", queued=0, processing=0)
    store = {"url": f"sqlite:///{tmp_path / 'notifier.db'}", "retention": "60s"}  # looked at every 6 s
    daemon = MeddledDaemon(tmp_path, {"providers": simulator.provider(deadline="1h"), "store": store})
    with running(daemon):
        daemon.watch("long", f"{receiver.url}/long")
        daemon.watch("ended", f"{receiver.url}/ended")
        wait_until(lambda: receiver.at("/ended"), "the one that ends is told")
        daemon.set_clock(days * DAY)
        (jump,) = wait_until(lambda: daemon.events("clock.jumped"), "the jump is noticed")
        assert abs(jump["seconds"] - days * DAY) < 5
        assert ("deadlines and retention go by the new time in 5m" in jump["hint"]) == (days > 0)
        polls = simulator.stats()["tasks"]["long"]["polls"]
        wait_until(lambda: simulator.stats()["tasks"]["long"]["polls"] > polls + 40, "polls go on", 20)
        daemon.set_clock(0)
        wait_until(lambda: len(daemon.events("clock.jumped")) == 2, "the correction is noticed")
        shown = daemon.call("GET", "/v1/watches")[1]["watches"]
        assert {watch["task_id"]: watch["state"] for watch in shown} == {"long": "watching", "ended": "completed"}
        simulator.script("long", queued=0, processing=0)
        wait_until(lambda: receiver.at("/long"), "the other is told when it ends")
        assert daemon.stop() == 0


# The network


def test_names_cannot_be_looked_up_for_a_while(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Neither the provider's nor the receiver's: polls back off, deliveries are retried, both say why, and no name is
    taken for a wrong one."""
    simulator.script("polled", queued=0, processing=0)
    simulator.script("told", queued=0, processing=0)
    base_url, hook = (url.replace("127.0.0.1", "localhost") for url in (simulator.url, receiver.url))
    webhooks = {"retry": ["500ms"] * 60, "allow_networks": ["127.0.0.0/8", "::1"]}
    daemon = MeddledDaemon(tmp_path, {"providers": simulator.provider(base_url=base_url), "webhooks": webhooks})
    receiver.answer = lambda path, count: (503, {"connection": "close"}) if (path, count) == ("/told", 1) else 204
    gone = daemon.meddle / "dns-gone"

    def failed(event: str) -> bool:
        return any("name cannot be looked up" in (line.get("error") or "") for line in daemon.events(event))

    with running(daemon):
        gone.touch()
        daemon.watch("polled", f"{receiver.url}/polled")
        wait_until(lambda: failed("task.polled"), "a poll without a name")
        assert daemon.ready()
        gone.unlink()
        wait_until(lambda: receiver.at("/polled"), "the task is told")
        daemon.watch("told", f"{hook}/told")
        wait_until(lambda: receiver.at("/told"), "a first attempt")
        gone.touch()
        wait_until(lambda: failed("delivery.attempted"), "an attempt without a name")
        gone.unlink()
        wait_until(lambda: receiver.at("/told")[-1].status == 204, "the receiver is told")
        assert daemon.stop() == 0


# File descriptors


def test_callers_take_all_file_descriptors(tmp_path: Path, simulator: Simulator, receiver: ReceiverServer) -> None:
    """The log says so once, the process does not spin, and when the callers are gone all goes on."""
    simulator.script("task", queued=0, processing=6)
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon), ExitStack() as callers:
        daemon.watch("task", f"{receiver.url}/task")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (64, 64))  # so few that a crowd takes all of them
        for _ in range(150):
            callers.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))
        wait_until(lambda: daemon.events("intake.exhausted"), "the lack is told")
        before = cpu_seconds(daemon.pid)
        time.sleep(3)
        assert cpu_seconds(daemon.pid) - before < 1.5
        assert len(daemon.events("intake.exhausted")) == 1
        callers.close()
        wait_until(lambda: receiver.at("/task"), "the task is told")
        wait_until(daemon.ready, "the intake answers")
        wait_until(lambda: daemon.events("intake.recovered"), "the end of it is told")
        assert len(daemon.events("intake.exhausted")) == 1
        assert daemon.events("daemon.fault") == []
        assert daemon.stop() == 0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# Two daemons


def test_a_second_daemon_says_who_has_the_store(tmp_path: Path, simulator: Simulator) -> None:
    """Exit 1, one line: the other's process id, and what can be done."""
    first = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    (tmp_path / "other").mkdir()
    second = DaemonProcess(tmp_path / "other", {"providers": simulator.provider(), "store": first.config["store"]})
    with running(first):
        second.start(ready=False)
        assert second.wait() == 1
        (line,) = second.lines()
        assert f"in use by process {first.pid}" in line["error"]
        assert "another store.url" in line["error"]
