"""Nothing is lost when the process is killed at any moment."""

import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.harness import DaemonProcess, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator

TASKS = 300
KILLS = {"sqlite": (12, 8), "postgresql": (4, 32)}
"""How often, and how many attempts may be in flight each time: one is until its result is committed, for which a server
takes longer than a file. What a killed daemon polled stays its own there until its lease has run out."""


def test_kill_9_loses_nothing_and_repeats_only_what_was_in_flight(
    tmp_path: Path,
    store: dict[str, str],
    simulator: Simulator,
    receiver: ReceiverServer,
    record_property: Callable[[str, object], None],
) -> None:
    """300 tasks end while the daemon is killed a dozen times and receivers fail now and then: every watch is told,
    every copy of an event has the same id and bytes, and a 2xx is repeated only for an attempt that was in flight."""
    dice = random.Random(7)
    failures = random.Random(8)
    receiver.answer = lambda path, count: 500 if failures.random() < 0.15 else 204
    retry = ["100ms"] * 40
    kills, in_flight = KILLS[store["url"].partition(":")[0]]
    config = {"store": store, "providers": simulator.provider(), "webhooks": {"retry": retry}}
    daemon = DaemonProcess(tmp_path, config)
    for number in range(TASKS):
        simulator.script(f"task-{number}", queued=0.5, processing=dice.uniform(0, 14), outcome="completed")
    watches = [{"task_id": f"task-{n}", "callback_url": f"{receiver.url}/{n}"} for n in range(TASKS)]
    registered: dict[str, str] = {}
    with running(daemon):
        status, answer = daemon.call("POST", "/v1/watches/batch", {"watches": watches})
        assert status == 200, answer
        for result in answer["results"]:
            assert result["status"] == 201, result
            registered[result["watch"]["task_id"]] = result["watch"]["id"]
        for _ in range(kills):
            time.sleep(dice.uniform(0.1, 1.2))
            daemon.kill()
            daemon.start()
        wait_until(lambda: len({hook.path for hook in receiver.delivered()}) == TASKS, "every callback is told", 60)
        wait_until(lambda: not daemon.call("GET", "/v1/deliveries?state=pending")[1]["deliveries"], "all settled")
        states = {watch["state"] for watch in daemon.call("GET", "/v1/watches?limit=1000")[1]["watches"]}
        assert states == {"completed"}
        assert daemon.stop() == 0
    copies = defaultdict(list)
    for hook in receiver.hooks:
        copies[hook.path].append(hook)
    for number in range(TASKS):
        seen = copies[f"/{number}"]
        assert {(hook.id, hook.body) for hook in seen} == {(seen[0].id, seen[0].body)}
        assert seen[0].event["data"]["watch_id"] == registered[f"task-{number}"]
    repeated = sum(max(sum(hook.status == 204 for hook in seen) - 1, 0) for seen in copies.values())
    figure = f"{TASKS} tasks, {kills} kills, {len(receiver.hooks)} attempts; attempts repeated after a 2xx: {repeated}"
    record_property("figure", figure)
    assert repeated <= kills * in_flight
