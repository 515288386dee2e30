"""The main job: a file and an intake full of watches, and every callback told exactly once."""

import base64
import random
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook

from tests.acceptance.harness import SECRET, DaemonProcess, Hook, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator

SEED = bytes(range(32))
ED25519 = "whsk_" + base64.b64encode(SEED).decode()
INTERVALS = ("200ms", "500ms", "1s", "2s", "5s")


def test_fifty_declared_and_twenty_registered_watches_are_each_told_once(
    tmp_path: Path, store: dict[str, str], simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Every callback is told exactly once, every signature verifies with foreign code, and no task is polled after its
    end was told."""
    dice = random.Random(1)
    for number in range(70):
        outcome = "failed" if number % 7 == 0 else "completed"
        simulator.script(task_name(number), queued=dice.uniform(0, 1), processing=dice.uniform(0, 3), outcome=outcome)
    declared = [
        {
            "task_id": task_name(number),
            "callback_url": f"{receiver.url}/declared/{number}",
            "interval": INTERVALS[number % len(INTERVALS)],
            "metadata": {"number": number},
        }
        for number in range(50)
    ]
    webhooks = {"secrets": [SECRET, ED25519]}
    config = {"store": store, "providers": simulator.provider(), "webhooks": webhooks, "watches": declared}
    daemon = DaemonProcess(tmp_path, config)
    daemon.fresh = True
    del daemon.config["webhooks"]["secret"]
    daemon.write()
    with running(daemon):
        for number in range(50, 70):
            interval = INTERVALS[number % len(INTERVALS)]
            url = f"{receiver.url}/registered/{number}"
            daemon.watch(task_name(number), url, interval=interval, metadata={"number": number})
        wait_until(lambda: len(receiver.delivered()) >= 70, "seventy webhooks")
        wait_until(lambda: len(daemon.call("GET", "/v1/watches?state=watching")[1]["watches"]) == 0, "nothing watched")
        assert daemon.stop() == 0
    assert sorted(hook.event["data"]["metadata"]["number"] for hook in receiver.hooks) == list(range(70))
    for hook in receiver.hooks:
        check_hook(hook)
    stats = simulator.stats()
    assert sum(task["polls_after_end"] for task in stats["tasks"].values()) == 0


def task_name(number: int) -> str:
    return f"task-{number}"


def check_hook(hook: Hook) -> None:
    """The event fits its task, and all its signatures are right."""
    event = hook.event
    number = event["data"]["metadata"]["number"]
    assert event["data"]["task_id"] == task_name(number)
    assert event["type"] == ("task.failed" if number % 7 == 0 else "task.completed")
    assert bool(event["data"]["urls"]) == (event["type"] == "task.completed")
    assert (event["data"]["error"] is None) == (event["type"] == "task.completed")
    StandardWebhook(SECRET).verify(hook.body, hook.headers)
    SvixWebhook(SECRET).verify(hook.body, hook.headers)
    signed = f"{hook.id}.{hook.headers['webhook-timestamp']}.".encode() + hook.body
    (asymmetric,) = [part for part in hook.headers["webhook-signature"].split(" ") if part.startswith("v1a,")]
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    public.verify(base64.b64decode(asymmetric.removeprefix("v1a,")), signed)
