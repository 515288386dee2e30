"""Deliveries that come late: fresh result URLs under the old id, or a remark; also over kill -9."""

import time
from pathlib import Path

from standardwebhooks import Webhook

from tests.acceptance.harness import SECRET, DaemonProcess, Hook, ReceiverServer, running, wait_until
from tests.acceptance.simulator import Simulator

OLD, NEW = "https://cdn.example.com/old.mp4", "https://cdn.example.com/new.mp4"


def told(simulator: Simulator, daemon: DaemonProcess, receiver: ReceiverServer) -> str:
    """A completed task whose receiver was told, and whose URL is too old from now on; the delivery's id."""
    simulator.script("task", queued=0, processing=0, video_url=OLD)
    daemon.watch("task", f"{receiver.url}/hook")
    wait_until(lambda: receiver.hooks, "the webhook")
    delivery = receiver.hooks[0].id
    settled(daemon, delivery)
    set_age(daemon, "10ms")
    simulator.script("task", queued=0, processing=0, video_url=NEW)
    return delivery


def set_age(daemon: DaemonProcess, refresh_after: str) -> None:
    daemon.config["webhooks"]["refresh_after"] = refresh_after
    daemon.write()
    if daemon.running:
        assert daemon.call("POST", "/v1/reload")[0] == 200


def settled(daemon: DaemonProcess, delivery: str) -> None:
    wait_until(lambda: daemon.call("GET", f"/v1/deliveries/{delivery}")[1]["state"] == "delivered", "it is delivered")


def redelivered(daemon: DaemonProcess, receiver: ReceiverServer, delivery: str) -> Hook:
    count = len(receiver.hooks)
    assert daemon.call("POST", f"/v1/deliveries/{delivery}/redeliver")[0] == 202
    wait_until(lambda: len(receiver.hooks) > count, "the redelivery")
    return receiver.hooks[count]


def test_a_late_redelivery_brings_a_fresh_url_under_the_same_id(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Its signature is right for its new body; the next one is young enough again, and has the same bytes."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        delivery = told(simulator, daemon, receiver)
        second = redelivered(daemon, receiver, delivery)
        settled(daemon, delivery)
        set_age(daemon, "1h")
        third = redelivered(daemon, receiver, delivery)
    first = receiver.hooks[0]
    for hook in (first, second, third):
        assert hook.id == delivery
        Webhook(SECRET).verify(hook.body, hook.headers)
    before, after = first.event["data"], second.event["data"]
    assert (before["urls"], before["refreshed_at"]) == ([OLD], None)
    assert (after["urls"], after["response"]["video_url"]) == ([NEW], NEW)
    assert after["refreshed_at"] > first.event["timestamp"] == second.event["timestamp"]
    assert third.body == second.body
    (line,) = daemon.events("delivery.refreshed")
    assert (line["event_id"], line.get("error")) == (delivery, None)


def test_without_an_answer_the_old_url_goes_out_with_a_remark(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Here the provider no longer knows the task."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        delivery = told(simulator, daemon, receiver)
        simulator.script("task", misbehave=[{"status": 404, "repeat": 9}])
        hook = redelivered(daemon, receiver, delivery)
    Webhook(SECRET).verify(hook.body, hook.headers)
    data = hook.event["data"]
    assert (data["urls"], data["refreshed_at"]) == ([OLD], None)
    assert data["refresh_error"] == "the provider no longer tells of the task: HTTP 404"


def test_after_kill_9_what_was_saved_is_sent(tmp_path: Path, simulator: Simulator, receiver: ReceiverServer) -> None:
    """The attempt that was in flight is made again with the body that its receiver may have seen already."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider()})
    with running(daemon):
        delivery = told(simulator, daemon, receiver)
        receiver.answer = lambda path, count: 503
        second = redelivered(daemon, receiver, delivery)
        daemon.kill()
        receiver.answer = lambda path, count: 204
        set_age(daemon, "1h")
        daemon.start()
        settled(daemon, delivery)
    third = receiver.hooks[2]
    assert (second.id, second.body) == (third.id, third.body) == (delivery, third.body)
    assert third.event["data"]["urls"] == [NEW]


def test_a_stop_does_not_wait_for_the_provider(
    tmp_path: Path, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """What was being asked for is still owed, and the next start brings it."""
    daemon = DaemonProcess(tmp_path, {"providers": simulator.provider(timeout="60s")})
    with running(daemon):
        delivery = told(simulator, daemon, receiver)
        simulator.script("task", queued=0, processing=0, video_url=NEW, misbehave=[{"delay": 60}])
        polls = simulator.stats()["polls"]
        assert daemon.call("POST", f"/v1/deliveries/{delivery}/redeliver")[0] == 202
        wait_until(lambda: simulator.stats()["polls"] > polls, "the question")
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 9.5  # a question may take ten seconds
        assert len(receiver.hooks) == 1
        daemon.start()
        settled(daemon, delivery)
    assert (receiver.hooks[1].id, receiver.hooks[1].event["data"]["urls"]) == (delivery, [NEW])
