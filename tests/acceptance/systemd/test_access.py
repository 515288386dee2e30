"""What the service may read, write and reach: what it must, and nothing else."""

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.harness import ReceiverServer, wait_until
from tests.acceptance.simulator import Simulator
from tests.acceptance.systemd.lab import PREFIX, Lab
from tests.acceptance.systemd.service import CONFIG, CREDENTIALS, STATE, UNITS, Service

MINE = "/run/credentials/notifier.service"
READABLE = (CONFIG, f"{MINE}/videos_api_key", f"{MINE}/webhook_secret", "/etc/resolv.conf")
SECRET_TO_IT = ("/etc/shadow", "/root/secret", "/home/secret", "/tmp/secret", f"{CREDENTIALS}/videos_api_key")
UNWRITABLE = ("/", "/etc", "/etc/notifier", "/usr/bin", "/opt/notifier", "/var/lib", "/var/log", "/dev", MINE)


def probe(service: Service) -> dict[str, str]:
    """Start the service, and before it, in the same process, a probe; what that found."""
    for path in SECRET_TO_IT[1:4]:
        service.lab.write(path, "private")
    wishes = [f"READ:{path}" for path in READABLE + SECRET_TO_IT] + [f"WRITE:{folder}" for folder in UNWRITABLE]
    wishes += [f"WRITE:{STATE}", "READ:/proc/1/cmdline"]
    first = f"{PREFIX}/bin/python {PREFIX}/faults/probe.py {STATE}/found.json {' '.join(wishes)}"
    start = f"/bin/sh -c '{first}; exec {PREFIX}/bin/notifier run --config {CONFIG}'"
    service.drop_in("probe", f"[Service]\nExecStart=\nExecStart={start}\n")
    service.start()
    return dict(json.loads(service.lab.path(f"{STATE}/found.json").read_text()))


def allowed(found: dict[str, str]) -> None:
    for path in READABLE:
        assert found[f"READ:{path}"][:1] not in ("", "!"), path
    assert found[f"WRITE:{STATE}"] == ""
    for path in SECRET_TO_IT:
        assert found[f"READ:{path}"][:1] == "!", path
    for folder in UNWRITABLE:
        assert found[f"WRITE:{folder}"][:1] == "!", folder
    assert found["READ:/proc/1/cmdline"][:1] == "!"
    assert found["uid"] != "0"
    facts = dict(line.split(":\t") for line in found["status"].splitlines() if ":\t" in line)
    assert (facts["CapBnd"], facts["NoNewPrivs"], facts["Seccomp"]) == ("0" * 16, "1", "2")


def stored(lab: Lab) -> list[str]:
    """Mode and owner of the state folder, and of the store's files in it."""
    listed = lab.do("find", "-L", STATE, "-name", "notifier*", "-printf", "%m %u %y %P\\n")
    return sorted(listed.splitlines())


def test_the_user_can_read_what_it_must_and_nothing_else(service: Service) -> None:
    """Its configuration, its credentials and its state; no secret of root's, nobody's home, no other process."""
    allowed(probe(service))
    assert stored(service.lab) == [
        "600 notifier f notifier.db",
        "600 notifier f notifier.db-shm",
        "600 notifier f notifier.db-wal",
        "600 notifier f notifier.db.lock",
        "700 notifier d ",
    ]


@pytest.fixture
def no_user(service: Service) -> Iterator[None]:
    """As on a machine without the user."""
    service.lab.do("userdel", "notifier")
    yield
    service.lab.run("systemctl", "stop", service.unit)
    service.lab.do("systemd-sysusers", "/etc/systemd/system/notifier.sysusers")


def test_a_dynamic_user_can_do_the_same(service: Service, no_user: None) -> None:
    """With the drop-in, and the configuration open to all as the drop-in says."""
    service.drop_in("dynamic-user", (UNITS / "drop-ins" / "dynamic-user.conf").read_text())
    service.lab.do("chown", "-R", "root:root", "/etc/notifier")
    service.lab.do("chmod", "0755", "/etc/notifier")
    service.lab.do("chmod", "0644", CONFIG)
    found = probe(service)
    allowed(found)
    assert int(found["uid"]) >= 61184  # systemd.exec(5): where the range of dynamic users begins
    assert service.call("GET", "/readyz")[0] == 200


def test_two_instances_share_nothing_but_the_program(
    lab: Lab, service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Each has its configuration, its store, its credentials and its intake."""
    simulator.script("stays", queued=None)
    instances = [Service(lab, simulator, f"notifier@{name}.service", f"127.0.0.1:{port}") for name, port in PORTS]
    try:
        for instance in instances:
            instance.install()
            instance.start()
        first, second = instances
        watch = first.watch("stays", f"{receiver.url}/first")
        assert first.call("GET", f"/v1/watches/{watch['id']}")[0] == 200
        assert second.call("GET", f"/v1/watches/{watch['id']}")[0] == 404
        for name, _ in PORTS:
            assert lab.do("stat", "-c", "%a %U", f"{STATE}/{name}").strip() == "700 notifier"
        first.stop()
        assert second.call("GET", "/readyz")[0] == 200
    finally:
        for instance in instances:
            lab.run("systemctl", "stop", instance.unit)


PORTS = (("first", 8471), ("second", 8472))


def test_the_egress_drop_in_lets_nothing_else_through(
    service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """What is not listed is not reached, whatever the configuration allows."""
    simulator.script("task", queued=0, processing=0)
    service.drop_in("egress-0", (UNITS / "drop-ins" / "egress.conf").read_text())
    service.drop_in("egress-1", "[Service]\nIPAddressAllow=\nIPAddressAllow=127.0.0.1\n")
    service.config["webhooks"]["timeout"] = "500ms"
    service.configure()
    service.start()
    if service.says("IP firewalling"):
        pytest.skip("this kernel cannot filter the packets of a cgroup (BPF)")
    service.watch("task", f"{receiver.url.replace('127.0.0.1', '127.0.0.2')}/task")  # where else nobody listens
    wait_until(lambda: service.says("delivery.attempted", "outcome=failed"), "an attempt fails")
    assert not service.says("delivery.attempted", "refused")
    service.watch("task", f"{receiver.url}/task")
    wait_until(receiver.delivered, "what is listed is reached")
