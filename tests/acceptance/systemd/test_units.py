"""The unit files by themselves."""

from collections.abc import Iterator

import pytest

from tests.acceptance.systemd.lab import Lab
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


def test_the_service_waits_for_the_time() -> None:
    """Wanted and waited for: only then does a machine that can tell hold the start back until its clock is right."""
    unit = directives((UNITS / "notifier.service").read_text())
    assert {"Wants=time-sync.target", "After=time-sync.target"} <= set(unit)


@pytest.fixture
def installed(lab: Lab) -> Iterator[Service]:
    """The units, which nobody starts."""
    service = Service(lab, None)
    service.install()
    yield service
    service.remove()


def test_systemd_finds_nothing_to_say_about_the_units(installed: Service) -> None:
    """Not a word, also with the drop-ins: about what it does not know it only warns."""
    for name in DROP_INS:
        installed.drop_in(name, (UNITS / "drop-ins" / f"{name}.conf").read_text())
    units = [f"/etc/systemd/system/{unit}" for unit in ("notifier.service", "notifier@one.service", "notifier.socket")]
    verified = installed.lab.run("systemd-analyze", "verify", "--man=no", *units)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_exposure_is_at_most_1_2(installed: Service) -> None:
    """As `systemd-analyze security` counts it, without drop-ins."""
    installed.lab.do("rm", "-r", "/etc/systemd/system/notifier.service.d")
    for unit in ("notifier.service", "notifier@one.service"):
        judged = installed.lab.run("systemd-analyze", "security", "--offline=true", "--threshold=12", unit)
        assert judged.returncode == 0, judged.stdout
