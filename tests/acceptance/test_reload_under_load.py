"""Reloads while tasks are polled, end and are told: nothing is lost, doubled or late for it."""

import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from tests.acceptance.harness import SECRET, DaemonProcess, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator

RELOADS = 20
LASTING = 20
ENDING = 80
INTERVAL = 1.0
SLACK = 0.5
"""Seconds that a busy machine may add to the distance of two polls."""
NEXT_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def variant(daemon: DaemonProcess, simulator: Simulator, receiver: ReceiverServer, number: int) -> None:
    """Another configuration: key, rates, concurrency, secrets, an endpoint's headers, retries and a declared watch."""
    odd = number % 2
    limits = {"interval": f"{INTERVAL:g}s", "rate": f"{900 + number}/s", "concurrency": 20 + number}
    daemon.config["providers"] = simulator.provider(api_key=f"key-{number // 2}", **limits)
    daemon.config["webhooks"] |= {"per_host": 20 + number, "retry": ["1s"] * (3 + odd)}
    daemon.config["webhooks"].pop("secret", None)
    daemon.config["webhooks"]["secrets"] = [NEXT_SECRET, SECRET] if odd else [SECRET, NEXT_SECRET]
    url = f"{receiver.url}/ending-0"
    daemon.config["endpoints"] = [{"url": url, "secrets": [SECRET], "headers": {"X-Reload": str(number)}}]
    daemon.config["watches"] = [{"task_id": f"declared-{number}", "callback_url": f"{receiver.url}/declared"}]
    draft = daemon.config_file.with_name("draft.yaml")
    kept, daemon.config_file = daemon.config_file, draft
    daemon.write()
    daemon.config_file = kept
    draft.replace(kept)  # a reload must not meet half a file


def gaps(polls: dict[str, Any]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(polls["polled_at"])]


def test_twenty_reloads_cost_no_poll_and_no_attempt(
    tmp_path: Path,
    simulator: Simulator,
    receiver: ReceiverServer,
    record_property: Callable[[str, object], None],
) -> None:
    """By signal and by call, while eighty tasks end: each event arrives exactly once and verifies, and the tasks that
    go on are polled an interval apart all the while."""

    def slowly(path: str, count: int) -> int:
        time.sleep(0.2)  # so that reloads meet attempts in flight
        return 204

    receiver.answer = slowly
    daemon = DaemonProcess(tmp_path, {})
    variant(daemon, simulator, receiver, 0)
    for number in range(LASTING):
        simulator.script(f"lasting-{number}", queued=None)
    for number in range(ENDING):
        simulator.script(f"ending-{number}", queued=0.5, processing=10 * number / ENDING)
    for number in range(RELOADS + 1):
        simulator.script(f"declared-{number}", queued=None)
    names = [f"lasting-{n}" for n in range(LASTING)] + [f"ending-{n}" for n in range(ENDING)]
    watches = [{"task_id": name, "callback_url": f"{receiver.url}/{name}"} for name in names]
    with running(daemon):
        assert daemon.call("POST", "/v1/watches/batch", {"watches": watches})[0] == 200
        for number in range(1, RELOADS + 1):
            time.sleep(0.4)
            variant(daemon, simulator, receiver, number)
            if number % 2:
                daemon.signal(signal.SIGHUP)
                wait_until(lambda done=number: len(daemon.events("config.reloaded")) == done, "the reload is done")
            else:
                assert daemon.call("POST", "/v1/reload")[0] == 200
        ended = {f"/ending-{number}" for number in range(ENDING)}
        wait_until(lambda: {hook.path for hook in receiver.delivered()} == ended, "every end is told")
        assert daemon.events("config.rejected") == daemon.events("daemon.fault") == []
        tasks = simulator.stats()["tasks"]
        assert daemon.stop() == 0
    assert max(Counter(hook.path for hook in receiver.hooks).values()) == 1
    assert all(verified(hook) for hook in receiver.hooks)
    apart = [gap for number in range(LASTING) for gap in gaps(tasks[f"lasting-{number}"])[1:]]
    record_property("figure", f"{RELOADS} reloads, interval 1 s: polls {min(apart):.2f} to {max(apart):.2f} s apart")
    assert min(apart) > INTERVAL * 0.9 - SLACK
    assert max(apart) < INTERVAL * 1.1 + SLACK
    assert polled_once_an_interval(tasks)


def verified(hook: Any) -> bool:
    """By the secret that every variant signs with."""
    return bool(Webhook(SECRET).verify(hook.body, hook.headers))


def polled_once_an_interval(tasks: dict[str, Any]) -> bool:
    """No reload brings a burst: so many polls as there were intervals, give or take one or two."""
    counts = [tasks[f"lasting-{number}"]["polls"] for number in range(LASTING)]
    seconds = [times[-1] - times[0] for times in (tasks[f"lasting-{n}"]["polled_at"] for n in range(LASTING))]
    return all(abs(count - 1 - span / INTERVAL) <= 2 for count, span in zip(counts, seconds, strict=True))
