"""Whatever ends or arrests the daemon, systemd brings it back, and nothing is lost."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import ReceiverServer, wait_until
from tests.acceptance.simulator import Simulator
from tests.acceptance.systemd.lab import Lab
from tests.acceptance.systemd.service import STATE, Service

TASKS = 20


def promise(service: Service, simulator: Simulator, receiver: ReceiverServer) -> set[str]:
    """Watches of tasks that end some polls from now; their ids."""
    for number in range(TASKS):
        simulator.script(f"task-{number}", queued=0, processing=5)
    return {service.watch(f"task-{number}", f"{receiver.url}/{number}")["id"] for number in range(TASKS)}


def all_told(receiver: ReceiverServer, promised: set[str]) -> None:
    """Each watch under one event id, however often it came."""
    wait_until(lambda: {hook.event["data"]["watch_id"] for hook in receiver.delivered()} == promised, "all are told")
    assert len({hook.id for hook in receiver.delivered()}) == len(promised)


def test_kill_9_is_recovered_from_and_nothing_is_lost(
    service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """With the unit as it is shipped: back within its RestartSec and a start."""
    service.start()
    promised = promise(service, simulator, receiver)
    pid = service.pid
    service.signal("SIGKILL")
    wait_until(lambda: service.restarted(pid), "it is back")
    all_told(receiver, promised)


def limit_memory(service: Service, megabytes: int) -> Callable[[], None]:
    """By systemd if it has the controller, else by the older one that this machine has; the answer takes it away."""
    if "memory" in (service.lab.cgroup / "cgroup.controllers").read_text().split():
        service.drop_in("memory", f"[Service]\nMemoryMax={megabytes}M\nMemorySwapMax=0\n")
        service.start()
        return lambda: None
    service.start()
    older = Path("/sys/fs/cgroup/memory") / service.lab.cgroup.name
    try:
        older.mkdir()
        (older / "memory.limit_in_bytes").write_text(f"{megabytes}M")
    except OSError as error:
        pytest.skip(f"memory cannot be limited here: {error}")
    (older / "cgroup.procs").write_text(str(service.lab.pids(service.unit)[0]))
    return older.rmdir


def test_an_oom_kill_is_recovered_from_and_nothing_is_lost(
    service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """The kernel kills the process at its limit; to systemd that is one more reason to start it."""
    service.allow_faults()
    free = limit_memory(service, 300)
    promised = promise(service, simulator, receiver)
    pid = service.pid
    service.fault("hog")
    wait_until(lambda: service.restarted(pid), "it is back")
    free()
    assert service.says("Main process exited, code=killed, status=9/KILL") or service.says("oom-kill")
    all_told(receiver, promised)


def test_a_stopped_process_is_restarted_by_the_watchdog(
    service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """SIGSTOP: it lives, and does nothing."""
    service.allow_faults()
    service.start()
    promised = promise(service, simulator, receiver)
    pid = service.pid
    service.signal("SIGSTOP")
    wait_until(lambda: service.restarted(pid), "it is back")
    assert service.says("Watchdog timeout")
    all_told(receiver, promised)


@pytest.mark.parametrize(
    ("fault", "stack", "starved"),
    [
        ("block", "in block", None),
        ("silence", "in select", "scheduler="),
        ("hang", "in block", "store="),
    ],
)
def test_what_is_arrested_is_restarted_and_leaves_its_stack_in_the_journal(
    fault: str, stack: str, starved: str | None, service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """A blocked event loop, a dead scheduler, a store that hangs: the watchdog is not fed, and the log says why as far
    as anything still runs. The abort prints every thread's stack."""
    service.allow_faults()
    service.start()
    promised = promise(service, simulator, receiver)
    pid = service.pid
    service.fault(fault)
    wait_until(lambda: service.restarted(pid), "it is back")
    assert service.says("Watchdog timeout")
    assert service.says("Fatal Python error: Aborted")
    assert service.says("File", stack)
    assert bool(service.says("watchdog.starved", starved or "")) is bool(starved)
    all_told(receiver, promised)


@pytest.fixture
def small_disk(lab: Lab, service: Service) -> Iterator[None]:
    """The state folder on a disk of its own, of 4 MiB."""
    lab.do("install", "-d", "-o", "notifier", "-g", "notifier", "-m", "0700", STATE)
    lab.do("mount", "-t", "tmpfs", "-o", "size=4M,mode=0700,uid=notifier,gid=notifier", "small", STATE)
    yield
    lab.do("umount", "--lazy", STATE)


def test_a_full_disk_is_waited_for(
    lab: Lab, service: Service, small_disk: None, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """A restart makes no room, so the watchdog is fed: the same process says so, and works again by itself."""
    simulator.script("task", queued=0, processing=0)
    service.allow_faults("1s")
    service.start()
    pid = service.pid
    lab.run("dd", "if=/dev/zero", f"of={STATE}/filler", "bs=4k")  # until there is no room
    wait_until(lambda: service.call("GET", "/readyz")[0] == 503, "readiness says no")
    time.sleep(3.0)  # three times what the watchdog would wait
    lab.do("rm", f"{STATE}/filler")
    wait_until(lambda: service.call("GET", "/readyz")[0] == 200, "readiness says yes")
    service.watch("task", f"{receiver.url}/task")
    wait_until(receiver.delivered, "the task is told")
    assert service.pid == pid
    assert not service.says("watchdog.starved")
