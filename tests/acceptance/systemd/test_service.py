"""The life of the service on a real systemd, with the units as they are shipped."""

import time

from tests.acceptance.harness import ReceiverServer, wait_until
from tests.acceptance.simulator import Simulator
from tests.acceptance.systemd.service import CREDENTIALS, Service


def test_it_starts_and_a_task_is_told(service: Service, simulator: Simulator, receiver: ReceiverServer) -> None:
    """Started means ready to take a watch. Both kinds of signatures work under all the hardening, the status line has
    the numbers, and the journal finds the task by its id."""
    simulator.script("task", queued=0, processing=0)
    simulator.script("goes-on", queued=None)
    service.drop_in("status", "[Service]\nWatchdogSec=1s\n")
    service.start()
    service.watch("goes-on", f"{receiver.url}/goes-on")
    service.watch("task", f"{receiver.url}/task")
    (hook,) = wait_until(lambda: receiver.at("/task"), "the task is told")
    assert hook.event["type"] == "task.completed"
    assert [one[:3] for one in hook.headers["webhook-signature"].split()] == ["v1,", "v1a"]
    status = "1 watches, 0 deliveries pending"
    wait_until(lambda: service.show("StatusText") == status, "the status line counts")
    told = service.journal("TASK_ID=task", "NOTIFIER_EVENT=task.ended")
    assert [(entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) for entry in told] == [("6", "notifier")]


def test_a_reload_applies_a_good_file_and_fails_on_a_bad_one(
    service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """The bad one fails `systemctl reload` and says why, and the daemon goes on with what it had. What only the daemon
    can find wrong, it refuses; the next reload works all the same."""
    for name in ("first", "second", "third"):
        simulator.script(name, queued=None)
    service.start()
    pid = service.pid

    def reload_with(task_id: str, **provider: str) -> int:
        service.config["watches"] = [{"task_id": task_id, "callback_url": f"{receiver.url}/{task_id}"}]
        service.config["providers"]["videos"].update(provider)
        service.configure()
        return service.lab.run("systemctl", "reload", service.unit).returncode

    def watched(task_id: str) -> bool:
        watches = service.call("GET", "/v1/watches?state=watching")[1]["watches"]
        return [watch["task_id"] for watch in watches] == [task_id]

    assert reload_with("first") == 0
    wait_until(lambda: watched("first"), "the good file applies")
    assert reload_with("second", intervall="5s") != 0
    assert service.says("config.yaml:", "providers.videos.intervall", "did you mean 'interval'")
    assert watched("first")
    del service.config["providers"]["videos"]["intervall"]
    assert reload_with("second", api_key_file="/nowhere") == 0  # a check needs no secrets
    wait_until(lambda: service.says("config.rejected", "api_key_file", "cannot be read"), "the daemon refuses")
    wait_until(lambda: service.show("ActiveState") == "active", "the refused reload is over")
    errors = service.journal("PRIORITY=3", "_SYSTEMD_UNIT=notifier.service")
    assert "config.rejected" in [entry.get("NOTIFIER_EVENT") for entry in errors]
    assert watched("first")
    assert reload_with("third", api_key_file="${CREDENTIALS_DIRECTORY}/videos_api_key") == 0
    wait_until(lambda: watched("third"), "the next reload applies")
    assert service.pid == pid


def fails_once(service: Service) -> str:
    """Start it; the exit status of its only failure."""
    service.drop_in("quick", "[Service]\nRestartSec=100ms\n")
    assert service.lab.run("systemctl", "start", service.unit).returncode != 0
    time.sleep(1.0)  # ten times what a restart would wait
    assert (service.show("ActiveState"), service.show("NRestarts")) == ("failed", "0")
    return service.show("ExecMainStatus")


def test_a_wrong_configuration_is_one_failure_and_no_loop(service: Service) -> None:
    """It fails with 78, the journal names the mistake once, and systemd does not try again by itself."""
    service.config["providers"]["videos"]["rate"] = "0/s"
    service.configure()
    assert fails_once(service) == "78"
    assert len(service.says("config.yaml:", "providers.videos.rate")) == 1


def test_a_credential_without_its_file_is_one_failure_too(service: Service) -> None:
    """Not the loop that systemd makes of it by itself."""
    service.lab.do("rm", f"{CREDENTIALS}/webhook_secret")
    assert fails_once(service) == "243"


def test_a_stop_finishes_the_attempts_in_flight(
    service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Well within its time-out, without a kill, even with an impatient watchdog; what the receiver said is saved."""

    def slowly(path: str, count: int) -> int:
        time.sleep(4)
        return 204

    receiver.answer = slowly
    simulator.script("task", queued=0, processing=0)
    service.drop_in("watchdog", "[Service]\nWatchdogSec=1s\n")
    service.start()
    service.watch("task", f"{receiver.url}/task")
    wait_until(lambda: receiver.busy.get("/task"), "the attempt is in flight")
    service.signal("SIGTERM")  # not systemctl's: systemd learns from the daemon itself that it stops
    wait_until(lambda: service.show("SubState") == "stop-sigterm", "systemd knows that it stops", 3)
    assert "attempts in flight" in service.show("StatusText")
    wait_until(lambda: service.says("daemon.stopped"), "the stop is over")
    assert not service.says("Watchdog timeout")
    service.lab.do("systemctl", "restart", service.unit)
    (delivery,) = service.call("GET", "/v1/deliveries")[1]["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    service.stop()
    assert (service.show("Result"), service.show("ExecMainStatus")) == ("success", "0")
