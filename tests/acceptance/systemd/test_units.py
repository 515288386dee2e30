"""The unit files by themselves."""

import pytest

from tests.acceptance.systemd.service import UNITS, Service

DROP_INS = ("credentials", "egress", "dynamic-user")
RENAMED = (
    ("Description=Notifier %i:", "Description=Notifier:"),
    ("/etc/notifier/%i.yaml", "/etc/notifier/config.yaml"),
    ("StateDirectory=notifier/%i", "StateDirectory=notifier"),
    ("RuntimeDirectory=notifier-%i", "RuntimeDirectory=notifier"),
    ("/var/lib/notifier/%i", "/var/lib/notifier"),
    ("SyslogIdentifier=notifier@%i", "SyslogIdentifier=notifier"),
)


def directives(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_an_instance_is_the_service_but_for_its_names() -> None:
    """The template repeats the unit, directive by directive."""
    instance = (UNITS / "notifier@.service").read_text()
    for its_name, name in RENAMED:
        instance = instance.replace(its_name, name)
    assert directives(instance) == directives((UNITS / "notifier.service").read_text())


@pytest.mark.parametrize("unit", ["notifier.service", "notifier@one.service", "notifier.socket"])
def test_systemd_finds_nothing_to_say_about_a_unit(service: Service, unit: str) -> None:
    """Not a word, also with the drop-ins: about what it does not know it only warns."""
    for name in DROP_INS:
        service.drop_in(name, (UNITS / "drop-ins" / f"{name}.conf").read_text())
    verified = service.lab.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{unit}")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", ["notifier.service", "notifier@one.service"])
def test_exposure_is_at_most_1_2(service: Service, unit: str) -> None:
    """As `systemd-analyze security` counts it, without drop-ins."""
    service.lab.run("rm", "-r", "/etc/systemd/system/notifier.service.d")
    judged = service.lab.run("systemd-analyze", "security", "--offline=true", "--threshold=12", "--no-pager", unit)
    assert judged.returncode == 0, judged.stdout
