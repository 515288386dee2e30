"""Both ways of the README to a service, on a real systemd, from nothing to a task that is told."""

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.acceptance.harness import ReceiverServer, wait_until
from tests.acceptance.simulator import Simulator
from tests.acceptance.systemd.lab import PREFIX, SOURCE, Lab
from tests.acceptance.systemd.service import CONFIG, CREDENTIALS, STATE, Service

NOTIFIER = f"{PREFIX}/bin/notifier"
KEPT = (CONFIG, f"{CREDENTIALS}/webhook_secret", f"{STATE}/notifier.db")


@pytest.fixture
def machine(lab: Lab, simulator: Simulator) -> Iterator[Service]:
    """No user, no folder, no unit of ours."""
    service = Service(lab, simulator)
    service.listen_to_the_journal()
    lab.run("userdel", "notifier")
    yield service
    service.remove()


def test_install_start_and_a_task_is_told(machine: Service, simulator: Simulator, receiver: ReceiverServer) -> None:
    """One command, the key, the addresses of this test in the configuration, and a start. Removing it leaves nothing
    that runs, and with --purge nothing at all."""
    simulator.script("task", queued=0, processing=0)
    lab = machine.lab
    lab.write("/run/key", "key-for-tests\n")
    lab.do(NOTIFIER, "install", "--api-key-file", "/run/key")
    config = yaml.safe_load(lab.path(CONFIG).read_text())
    config["providers"]["videos"] |= {"base_url": simulator.url, "interval": "200ms", "min_interval": "50ms"}
    config["webhooks"]["allow_networks"] = ["127.0.0.0/8"]
    lab.path(CONFIG).write_text(yaml.safe_dump(config))
    lab.do("systemctl", "enable", "--now", "notifier")
    machine.watch("task", f"{receiver.url}/task")
    (hook,) = wait_until(receiver.delivered, "the task is told")
    assert hook.event["type"] == "task.completed"
    assert lab.do("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/notifier.service") == ""
    lab.do(NOTIFIER, "uninstall")
    assert (machine.show("LoadState"), machine.pid) == ("not-found", 0)
    assert all(lab.path(path).exists() for path in KEPT)
    lab.do(NOTIFIER, "uninstall", "--purge")
    assert not any(lab.path(path).exists() for path in KEPT)
    assert "notifier" not in lab.path("/etc/passwd").read_text()


def test_the_same_by_hand(machine: Service, simulator: Simulator, receiver: ReceiverServer) -> None:
    """The README's commands, one by one as they stand there."""
    simulator.script("task", queued=0, processing=0)
    by_hand = re.search(r"The same by hand.*?```sh\n(.*?)```", (SOURCE / "README.md").read_text(), re.DOTALL)
    assert by_hand is not None
    clone = f"{PREFIX}/source"
    machine.lab.write(f"{clone}/config.yaml", yaml.safe_dump(machine.config | {"webhooks": BY_HAND}))
    machine.lab.write(f"{clone}/key.txt", "key-for-tests\n")
    machine.lab.do("sh", "-euc", f"cd {clone}\n{by_hand[1].replace('sudo ', '')}")
    machine.watch("task", f"{receiver.url}/task")
    wait_until(receiver.delivered, "the task is told")


BY_HAND = {"secret_file": "${CREDENTIALS_DIRECTORY}/webhook_secret", "allow_networks": ["127.0.0.0/8"]}
