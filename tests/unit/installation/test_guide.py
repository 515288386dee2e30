"""What a person is told to do after an installation."""

from dataclasses import replace
from pathlib import Path

from notifier.installation.guide import next_tasks
from notifier.installation.layout import CREDENTIAL_FILE, FOR_ALL, Layout
from notifier.installation.machine import Found, Machine
from notifier.installation.plan import Wishes, plan_install
from tests.unit.installation.machines import KEY, LIVE, NEW, SERVICE, WISHES, but, installed, unit_sight

PROGRAM = Path("/opt/notifier/bin/notifier")


def commands(machine: Machine, wishes: Wishes = WISHES, *, sudo: bool = False) -> list[str]:
    tasks = next_tasks(plan_install(wishes, machine), wishes.layout, machine, PROGRAM, sudo=sudo)
    return [command for task in tasks for command in task.commands]


def test_a_new_service_wants_its_key_its_receivers_the_secret_and_a_start() -> None:
    """In this order, as commands to copy."""
    told = commands(NEW, sudo=True)
    assert told[:3] == [
        f"sudo tee {KEY} > /dev/null",
        f"sudo cat {LIVE.credentials}/webhook_secret",
        "sudo systemctl enable --now notifier",
    ]


def test_a_key_that_was_given_is_not_asked_for() -> None:
    """One that is still empty is, also at the next run."""
    assert not [line for line in commands(NEW, replace(WISHES, api_key="sk-1")) if "tee" in line]
    assert f"tee {KEY} > /dev/null" in commands(but(installed(), {KEY: Found("file", CREDENTIAL_FILE, 0)}))


def test_a_running_service_is_restarted() -> None:
    """An updated unit is used from the next start on; so is a newer program, of which no step tells."""
    assert [line for line in commands(installed()) if "systemctl" in line] == ["systemctl restart notifier"]
    older = but(installed(), {SERVICE: unit_sight("[Service]\n", "1.0")})
    assert "systemctl restart notifier" in commands(older)
    assert "systemctl enable notifier" in commands(replace(installed(), enabled=False))


def test_who_edited_a_unit_is_told_how_to_get_ours() -> None:
    """Their own file stays under another name."""
    edited = but(installed(), {SERVICE: Found("file", FOR_ALL, 1, "[Service]\n")})
    assert commands(edited)[0] == f"mv {SERVICE} {SERVICE}.mine"


def test_who_fills_a_tree_is_warned_of_a_shared_secret() -> None:
    """Machines made from one image must not sign with one secret; on each, an installation completes it."""
    told = commands(replace(NEW, sights={}), replace(WISHES, layout=Layout(Path("/srv/image"))))
    assert told == ["rm /srv/image/etc/notifier/credentials/webhook_secret", f"{PROGRAM} install"]
