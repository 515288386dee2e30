"""What an installation plans to do, from what it found."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from notifier.config import Loaded, parse
from notifier.installation import starter
from notifier.installation.layout import CREDENTIAL_FILE, FOR_ALL, Layout, Ownership
from notifier.installation.machine import Absent, Found, Unseen
from notifier.installation.plan import plan_install
from notifier.installation.step import CHANGES, Blocked, Hand, Keep, MakeFolder, Run, Skip, Step, WriteFile, tell
from tests.unit.installation.machines import (
    KEY,
    LIVE,
    NEW,
    SECRET,
    SERVICE,
    SERVICE_TEXT,
    UNITS,
    WISHES,
    but,
    installed,
    unit_sight,
)

RELOAD = Run(("systemctl", "daemon-reload"), "")


def changes(steps: Sequence[Step]) -> list[Step]:
    """But for telling systemd, which every run does."""
    return [step for step in steps if isinstance(step, CHANGES) and step != RELOAD]


def step_at(steps: Sequence[Step], path: Path) -> Step:
    (found,) = [step for step in steps if getattr(step, "path", None) == path]
    return found


def test_a_new_machine_gets_everything_in_an_order_that_works() -> None:
    """The account before what belongs to it, folders before files, units before systemd is told of them."""
    steps = plan_install(WISHES, NEW)
    assert steps == (*changes(steps), RELOAD)
    first = steps[0]
    assert isinstance(first, Run)
    assert first.command[:3] == ("useradd", "--system", "--user-group")
    made = [str(step.path) for step in steps if isinstance(step, MakeFolder | WriteFile)]
    assert made == [
        "/etc/notifier",
        "/etc/notifier/credentials",
        "/var/lib/notifier",
        "/etc/notifier/credentials/webhook_secret",
        "/etc/notifier/credentials/videos_api_key",
        "/etc/notifier/config.yaml",
        *[f"/etc/systemd/system/{name}" for name in UNITS],
        "/etc/systemd/system/notifier.service.d",
        "/etc/systemd/system/notifier.service.d/credentials.conf",
    ]


@pytest.mark.parametrize(
    ("path", "ownership"),
    [
        ("/etc/notifier", "root:notifier 0750"),
        ("/etc/notifier/config.yaml", "root:notifier 0640"),
        ("/etc/notifier/credentials", "root:root 0700"),
        ("/etc/notifier/credentials/webhook_secret", "root:root 0600"),
        ("/etc/notifier/credentials/videos_api_key", "root:root 0600"),
        ("/var/lib/notifier", "notifier:notifier 0700"),
        ("/etc/systemd/system/notifier.service", "root:root 0644"),
    ],
)
def test_everything_belongs_to_those_who_need_it_and_nobody_else(path: str, ownership: str) -> None:
    """The service reads its configuration and may not write it; credentials are root's alone."""
    step = step_at(plan_install(WISHES, NEW), Path(path))
    assert isinstance(step, MakeFolder | WriteFile)
    assert str(step.ownership) == ownership


def test_no_secret_is_in_what_a_plan_shows() -> None:
    """Neither in the lines that are printed nor in a `repr` that a traceback could show."""
    steps = plan_install(replace(WISHES, api_key="sk-planted"), NEW)
    shown = repr(WISHES) + "".join(repr(step) + " ".join(tell(step)) for step in steps)
    assert SECRET not in shown
    assert "sk-planted" not in shown


def test_the_starter_configuration_is_right_as_soon_as_its_credentials_are_filled_in(tmp_path: Path) -> None:
    """It reads the very credentials that the drop-in loads, and keeps its store in the state folder."""
    for name, text in (("webhook_secret", SECRET), ("videos_api_key", "sk-1")):
        assert starter.is_loaded(name, starter.DROP_IN)
        (tmp_path / name).write_text(text)
    loaded = parse(starter.CONFIG, "config.yaml", {"CREDENTIALS_DIRECTORY": str(tmp_path)}, secrets="required")
    assert isinstance(loaded, Loaded)
    assert loaded.settings.store.url == "sqlite:////var/lib/notifier/notifier.db"
    assert loaded.settings.providers["videos"].api_key.get_secret_value() == "sk-1"


def test_running_again_changes_nothing() -> None:
    """All that is there is kept, whatever is in it; but systemd is told, as an earlier run may have been cut off."""
    steps = plan_install(WISHES, installed())
    assert steps[-1] == RELOAD
    assert changes(steps) == []
    assert step_at(steps, LIVE.config) == Keep(LIVE.config, "it is there already")


def test_an_untouched_older_unit_is_updated_and_systemd_told() -> None:
    """Its checksum says that nobody edited what another version wrote."""
    older = but(installed(), {SERVICE: unit_sight("[Service]\nExecStart=/old/notifier run\n", "1.0")})
    steps = plan_install(WISHES, older)
    (update,) = changes(steps)
    assert isinstance(update, WriteFile)
    assert (update.path, update.verb) == (SERVICE, "update")
    assert update.text.endswith(SERVICE_TEXT)
    assert steps[-1] == RELOAD


def test_an_edited_unit_is_kept_and_its_difference_named() -> None:
    """Also one that was written by hand and never had a checksum."""
    for text in (unit_sight(SERVICE_TEXT).text or "", SERVICE_TEXT):
        edited = but(installed(), {SERVICE: Found("file", FOR_ALL, 1, text + "Restart=no\n")})
        steps = plan_install(WISHES, edited)
        assert changes(steps) == []
        kept = step_at(steps, SERVICE)
        assert isinstance(kept, Keep)
        assert kept.difference == ("+Restart=no",)


def test_a_given_key_fills_an_empty_credential_and_replaces_none() -> None:
    """A key that works is not lost to a wrong file name."""
    wishes = replace(WISHES, api_key="sk-1")
    empty = but(installed(), {KEY: Found("file", CREDENTIAL_FILE, 0)})
    assert changes(plan_install(wishes, empty)) == [WriteFile(KEY, "sk-1\n", CREDENTIAL_FILE, "the given API key")]
    assert changes(plan_install(wishes, installed())) == []


def test_credentials_that_nothing_loads_are_not_made_again() -> None:
    """Who edited the drop-in and removed a credential does not find it back."""
    mine = "[Service]\nLoadCredential=webhook_secret:/etc/notifier/credentials/webhook_secret\n"
    machine = but(installed(), {LIVE.drop_in: Found("file", FOR_ALL, 1, mine), KEY: Absent()})
    assert changes(plan_install(WISHES, machine)) == []


def test_what_a_cut_off_installation_left_to_root_is_handed_over() -> None:
    """root:root with the right mode was not anybody's wish; any other ownership may be, and is named."""
    cut_off = but(installed(), {LIVE.config_folder: Found("folder", Ownership("root", "root", 0o750))})
    just_made = but(installed(), {LIVE.config_folder: Found("folder", Ownership("root", "root", 0o700))})
    for machine in (cut_off, just_made):
        (hand,) = changes(plan_install(WISHES, machine))
        assert isinstance(hand, Hand)
        assert str(hand.ownership) == "root:notifier 0750"
    meant = but(installed(), {LIVE.config_folder: Found("folder", Ownership("root", "staff", 0o770))})
    steps = plan_install(WISHES, meant)
    assert changes(steps) == []
    kept = step_at(steps, LIVE.config_folder)
    assert isinstance(kept, Keep)
    assert "root:staff 0770" in kept.why
    assert "root:notifier 0750" in kept.why


def test_another_systems_tree_gets_no_account_no_owners_and_no_systemctl() -> None:
    """They are that system's; which is said."""
    layout = Layout(Path("/srv/image"))
    steps = plan_install(replace(WISHES, layout=layout), replace(NEW, sights={}))
    assert not [step for step in steps if isinstance(step, Run)]
    assert [step.what for step in steps if isinstance(step, Skip)] == [
        "system user and group notifier, owners, systemctl"
    ]
    ours = replace(NEW, sights={layout.config_folder: Found("folder", Ownership("builder", "builder", 0o750))})
    assert not [step for step in plan_install(replace(WISHES, layout=layout), ours) if isinstance(step, Hand | Keep)]


def test_without_systemd_running_it_is_not_told() -> None:
    """It reads the units when it starts."""
    steps = plan_install(WISHES, replace(NEW, booted=False))
    assert isinstance(steps[-1], Skip)
    assert not [step for step in steps if isinstance(step, Run) and "systemctl" in step.command]


def test_the_account_is_made_with_the_tool_that_is_there() -> None:
    """useradd, else systemd-sysusers; with neither, nothing is begun."""
    sysusers = plan_install(WISHES, replace(NEW, account_tool="systemd-sysusers"))[0]
    assert isinstance(sysusers, Run)
    assert sysusers.command[0] == "systemd-sysusers"
    joined = plan_install(WISHES, replace(NEW, group=True))[0]
    assert isinstance(joined, Run)
    assert "--gid" in joined.command
    assert isinstance(plan_install(WISHES, replace(NEW, account_tool=None))[0], Blocked)


def test_a_user_without_its_group_stops_it_before_anything_is_made() -> None:
    """Nothing could be given to the group, and the service could not read what it needs."""
    blocked = [step for step in plan_install(WISHES, replace(installed(), group=False)) if isinstance(step, Blocked)]
    assert [step.what for step in blocked] == ["system group notifier"]
    assert "groupadd --system notifier" in blocked[0].advice


@pytest.mark.parametrize("path", [LIVE.config_folder, LIVE.config, SERVICE, KEY])
def test_what_is_in_the_way_blocks_the_plan(path: Path) -> None:
    """A masked unit, a device, a link to nowhere: a person has to look at it."""
    steps = plan_install(WISHES, but(installed(), {path: Found("other", FOR_ALL)}))
    assert [step.what for step in steps if isinstance(step, Blocked)] == [str(path)]


def test_what_only_root_can_see_is_said_to_be_unknown() -> None:
    """A dry run needs no root, and does not pretend."""
    sights = {path: Unseen() for path in (LIVE.credentials, LIVE.credentials / "webhook_secret", KEY, LIVE.config)}
    steps = plan_install(WISHES, but(installed(), dict(sights)))
    assert changes(steps) == []
    assert {step.what for step in steps if isinstance(step, Skip)} == {str(path) for path in sights}
