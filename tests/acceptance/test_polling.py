"""When polls come, as the provider sees them."""

import time
from itertools import pairwise
from pathlib import Path

from tests.acceptance.harness import DaemonProcess, ReceiverServer, call, running, wait_until
from tests.acceptance.simulator import Simulator

MACHINE_SECONDS = 0.1
"""What a busy machine may add to a gap between two polls."""


def gaps(simulator: Simulator, task_id: str) -> list[float]:
    return [after - before for before, after in pairwise(simulator.stats()["tasks"][task_id]["polled_at"])]


def test_a_task_keeps_its_interval_also_when_its_first_poll_waited_for_the_rate(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Twenty tasks at once where ten may go at once: each is polled at its own interval from its first poll on, spread
    out, and never faster than the rate."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(interval="2s", rate="10/s")})
    names = [f"stuck-{number}" for number in range(20)]
    with running(daemon):
        began = time.time()
        watches = [{"task_id": name, "callback_url": f"{receiver.url}/{name}"} for name in names]
        assert daemon.call("POST", "/v1/watches/batch", {"watches": watches})[0] == 200
        time.sleep(9)
        daemon.kill()
    tasks = simulator.stats()["tasks"]
    first = sorted(tasks[name]["polled_at"][0] - began for name in names)
    assert first[9] < 1.0, "a burst of one second's worth goes at once"
    assert first[-1] > 0.8, "the others wait for the rate"
    for name in names:
        assert len(tasks[name]["polled_at"]) >= 4
        for gap in gaps(simulator, name):
            assert 1.8 - MACHINE_SECONDS < gap < 2.2 + MACHINE_SECONDS
    polls = sorted(at for name in names for at in tasks[name]["polled_at"])
    for start in polls:
        assert sum(start <= at < start + 1 for at in polls) <= 20 + 1


def test_a_throttled_provider_is_left_alone_and_no_task_suffers(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """After a 429 nobody polls until the time that was told; then one tries, and all go on at their intervals."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(interval="500ms")})
    names = [f"stuck-{number}" for number in range(5)]
    with running(daemon):
        for name in names:
            daemon.watch(name, f"{receiver.url}/{name}")
        wait_until(lambda: simulator.stats()["polls"] >= 10, "ten polls")
        steps = [{"status": 429, "retry_after": 2}]
        assert call(simulator.url, "PUT", "/simulator/misbehave", {"steps": steps})[0] < 300
        wait_until(lambda: daemon.events("provider.paused"), "the pause")
        paused = time.time()
        assert daemon.call("GET", "/readyz", token=None)[1]["paused"]["videos"]["reason"] == "throttled"
        time.sleep(4)
        daemon.kill()
    polls = sorted(at for name in names for at in simulator.stats()["tasks"][name]["polled_at"])
    assert not [at for at in polls if paused + 0.2 < at < paused + 1.8]
    for name in names:
        after = [at for at in simulator.stats()["tasks"][name]["polled_at"] if at > paused + 1.8]
        assert len(after) >= 3
        assert all(later - at > 0.4 for at, later in pairwise(after))


def test_polls_follow_what_was_learned_also_after_a_kill(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """With `interval: auto 500ms`, eight tasks of 3 s teach when the ninth is due, and the store tells it to a daemon
    that was killed: it asks less often before, more often then, and shows the interval in seconds."""
    providers = simulator.provider(interval="auto 500ms", min_interval="50ms")
    daemon = DaemonProcess(tmp_path, {"providers": providers})
    names = [f"old-{number}" for number in range(8)]
    with running(daemon):
        for name in names:
            simulator.script(name, queued=0.5, processing=2.5)
            daemon.watch(name, f"{receiver.url}/{name}")
        wait_until(lambda: len(receiver.hooks) >= len(names), "eight ends")
        daemon.kill()
        daemon.start()
        simulator.script("new", queued=0.5, processing=2.5)
        assert daemon.watch("new", f"{receiver.url}/new")["interval"] == 0.5
        wait_until(lambda: any(hook.path == "/new" for hook in receiver.hooks), "the ninth")
        daemon.kill()
    ages = polled_at(simulator, "new")
    assert len(ages) <= 7, "a fixed interval makes seven polls"
    assert max(after - before for before, after in pairwise(ages)) > 0.8, "nothing is asked while no end is likely"
    assert ages[-1] - ages[-2] < 0.5, "and often when it is due"


def polled_at(simulator: Simulator, task_id: str) -> list[float]:
    """Seconds from its first poll."""
    times = simulator.stats()["tasks"][task_id]["polled_at"]
    return [at - times[0] for at in times]
