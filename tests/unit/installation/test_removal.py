"""What an uninstallation plans to do, from what it found."""

from dataclasses import replace
from pathlib import Path

from notifier.installation import starter
from notifier.installation.layout import FOR_ALL, Layout, saved_path
from notifier.installation.machine import Found, Machine
from notifier.installation.removal import plan_uninstall
from notifier.installation.step import CHANGES, Blocked, Keep, Remove, RemoveAll, Run, SetAside, Skip
from tests.unit.installation.machines import LIVE, NEW, SERVICE, UNITS, WISHES, but, installed, unit_sight


def edited() -> Machine:
    """With a unit and the drop-in changed by hand."""
    service = Found("file", FOR_ALL, 1, (unit_sight("[Service]\n").text or "") + "Nice=5\n")
    return but(installed(), {SERVICE: service, LIVE.drop_in: Found("file", FOR_ALL, 1, starter.DROP_IN + "# mine\n")})


def test_units_go_and_data_stays() -> None:
    """The service is stopped before its units are removed, and systemd is told after; the rest is named and left."""
    steps = plan_uninstall(WISHES, installed(), purge=False)
    removed = {step.path for step in steps if isinstance(step, Remove)}
    assert removed == {*(LIVE.units / name for name in UNITS), LIVE.drop_in, LIVE.drop_in.parent}
    assert [step.path for step in steps if isinstance(step, Keep)] == [LIVE.config_folder, LIVE.state]
    commands = [step.command for step in steps if isinstance(step, Run)]
    assert commands == [
        ("systemctl", "disable", "--now", "notifier.socket", "notifier.service"),
        ("systemctl", "stop", "notifier@*.service"),
        ("systemctl", "disable", "notifier@.service"),
        ("systemctl", "daemon-reload"),
        ("systemctl", "reset-failed", "notifier*"),
    ]
    kinds = [type(step) for step in steps]
    assert kinds.index(Run) < kinds.index(Remove) < len(kinds) - 1 - kinds[::-1].index(Run)


def test_purge_leaves_nothing() -> None:
    """Configuration, credentials, store, drop-ins and the account that the installation made."""
    machine = but(edited(), {SERVICE.with_name("notifier@.service.d"): Found("folder", FOR_ALL)})
    steps = plan_uninstall(WISHES, machine, purge=True)
    assert all(isinstance(step, CHANGES) for step in steps)
    assert {step.path for step in steps if isinstance(step, RemoveAll)} == {
        LIVE.config_folder,
        LIVE.state,
        LIVE.drop_in.parent,
        SERVICE.with_name("notifier@.service.d"),
    }
    assert steps[-1] == Run(("userdel", "notifier"), "and its group")


def test_what_was_edited_is_not_lost() -> None:
    """A unit is renamed, so that systemd does not use it; a drop-in stays, and does nothing without its unit."""
    steps = plan_uninstall(WISHES, edited(), purge=False)
    assert SetAside(SERVICE, Path("/etc/systemd/system/notifier.service.saved")) in steps
    assert LIVE.drop_in in [step.path for step in steps if isinstance(step, Keep)]


def test_an_edited_unit_that_was_saved_before_is_not_overwritten() -> None:
    """A second uninstallation must not take the place of the first one's file."""
    steps = plan_uninstall(WISHES, but(edited(), {saved_path(SERVICE): Found("file", FOR_ALL)}), purge=False)
    assert [step.what for step in steps if isinstance(step, Blocked)] == [f"{SERVICE}.saved"]


def test_where_nothing_is_installed_nothing_is_done() -> None:
    """Uninstalling twice is no error. systemd is told all the same: an earlier run may have been cut off."""
    told = (Run(("systemctl", "daemon-reload"), ""), Run(("systemctl", "reset-failed", "notifier*"), "", may_fail=True))
    assert plan_uninstall(WISHES, NEW, purge=False) == told
    assert plan_uninstall(WISHES, NEW, purge=True) == told
    assert plan_uninstall(WISHES, replace(NEW, booted=False), purge=True) == ()


def test_somebody_elses_account_is_kept_even_by_purge() -> None:
    """A person may be called notifier, too."""
    steps = plan_uninstall(WISHES, replace(installed(), user_is_ours=False), purge=True)
    assert isinstance(steps[-1], Skip)
    assert not [step for step in steps if isinstance(step, Run) and "userdel" in step.command]


def test_another_systems_tree_is_emptied_without_commands() -> None:
    """No systemctl and no userdel: they would be about this machine."""
    layout = Layout(Path("/srv/image"))
    sights = {layout.root / path.relative_to("/"): sight for path, sight in installed().sights.items()}
    steps = plan_uninstall(replace(WISHES, layout=layout), replace(installed(), sights=sights), purge=True)
    assert not [step for step in steps if isinstance(step, Run)]
    assert layout.state in [step.path for step in steps if isinstance(step, RemoveAll)]
