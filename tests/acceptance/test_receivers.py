"""Receivers that are slow, busy, gone or down, and the real sender."""

import time
from pathlib import Path
from typing import Any

from tests.acceptance.harness import DaemonProcess, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator


def delivery_of(daemon: DaemonProcess, watch: dict[str, Any]) -> dict[str, Any]:
    event_id = daemon.call("GET", f"/v1/watches/{watch['id']}")[1]["delivery"]["id"]
    return dict(daemon.call("GET", f"/v1/deliveries/{event_id}")[1])


def test_a_receiver_says_when_to_come_back_or_that_it_is_gone(
    tmp_path: Path, store: dict[str, str], simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Retry-After is waited for without using up the schedule; 410 ends the delivery at once; a redirect is a failure;
    what is exhausted is kept and can be sent again under the same id and with the same body."""
    answers: dict[str, list[Any]] = {
        "/busy": [(503, {"Retry-After": "2"}), 204],
        "/gone": [410, 204],
        "/moved": [(301, {"Location": "/elsewhere"}), (302, {"Location": "/elsewhere"}), 204],
    }
    receiver.answer = lambda path, count: answers[path][count - 1]
    config = {"store": store, "providers": simulator.provider(), "webhooks": {"retry": ["100ms"]}}
    daemon = DaemonProcess(tmp_path, config)
    with running(daemon):
        watches = {}
        for path in answers:
            simulator.script(path[1:], queued=0, processing=0)
            watches[path] = daemon.watch(path[1:], receiver.url + path)
        wait_until(lambda: len(receiver.hooks) == 5, "two attempts at busy, one at gone, two at moved")
        wait_until(lambda: delivery_of(daemon, watches["/busy"])["state"] == "delivered", "busy is delivered")
        first, second = receiver.at("/busy")
        assert second.at - first.at >= 2
        assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
        gone, moved = delivery_of(daemon, watches["/gone"]), delivery_of(daemon, watches["/moved"])
        assert (gone["state"], gone["reason"], gone["attempts"]) == ("exhausted", "gone", 1)
        assert (moved["state"], moved["reason"], moved["attempts"]) == ("exhausted", "schedule", 2)
        assert receiver.at("/elsewhere") == []
        for path in ("/gone", "/moved"):
            assert daemon.call("POST", f"/v1/deliveries/{delivery_of(daemon, watches[path])['id']}/redeliver")[0] == 202
        wait_until(lambda: len(receiver.delivered()) == 3, "both are delivered after all")
        for path in answers:
            assert len({(hook.id, hook.body) for hook in receiver.at(path)}) == 1


def test_a_slow_receiver_has_its_share_and_holds_up_nobody_else(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """While one receiver hangs into the time-out, a healthy one gets every event at once; the hung one has at most
    `per_host` attempts in flight, and one at a time after the first time-out."""
    slow = ReceiverServer(lambda path, count: time.sleep(3) or 204)
    webhooks = {"per_host": 3, "timeout": "1s", "retry": ["1s"] * 30}
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(), "webhooks": webhooks})
    with running(daemon):
        for number in range(10):
            simulator.script(f"slow-{number}", queued=0, processing=0)
            daemon.watch(f"slow-{number}", f"{slow.url}/slow")
        wait_until(lambda: slow.busy.get("/slow"), "the slow receiver is busy")
        began = time.time()
        for number in range(10):
            simulator.script(f"fast-{number}", queued=0, processing=0)
            daemon.watch(f"fast-{number}", f"{receiver.url}/fast")
        wait_until(lambda: len(receiver.at("/fast")) == 10, "the healthy receiver is told", 5)
        assert max(hook.at for hook in receiver.at("/fast")) - began < 2
        wait_until(lambda: len(daemon.events("delivery.attempted")) >= 14, "time-outs at the slow one")
        assert slow.most_busy["/slow"] <= 6  # 3 at once, and 3 threads still asleep for attempts that were given up
        daemon.kill()
    slow.close()


def test_test_events_go_through_the_same_guard_and_signer(tmp_path: Path, simulator: Simulator) -> None:
    """A test event is sent once, signed, and not kept; a forbidden address is refused before anything is dialled."""
    receiver = ReceiverServer(lambda path, count: 500)
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        status, result = daemon.call("POST", "/v1/endpoints/test", {"callback_url": receiver.url + "/hook"})
        assert (status, result["outcome"], result["http_status"]) == (200, "failed", 500)
        (hook,) = receiver.hooks
        assert hook.event["type"] == "notifier.test"
        status, problem = daemon.call("POST", "/v1/endpoints/test", {"callback_url": "https://169.254.169.254/latest"})
        assert status == 422
        assert problem["pointer"] == "#/callback_url"
        assert daemon.call("GET", "/v1/deliveries")[1]["deliveries"] == []
    receiver.close()
