"""What an installation has to do on a machine: pure, from what was found there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from notifier.installation import starter
from notifier.installation.layout import (
    ACCOUNT,
    API_KEY,
    CONFIG_FILE,
    CONFIG_FOLDER,
    CREDENTIAL_FILE,
    CREDENTIAL_FOLDER,
    FOR_ALL,
    NEW_FOLDER,
    STATE_FOLDER,
    UNIT_FILE,
    WEBHOOK_SECRET,
    Layout,
    Ownership,
)
from notifier.installation.machine import Absent, Found, Machine, Unseen
from notifier.installation.step import Blocked, Hand, Keep, MakeFolder, Run, Skip, Step, WriteFile
from notifier.installation.unit import Edited, Older, Same, compare, marked

ONLY_ROOT = "only root can see whether it is there; run this with sudo"
_IN_THE_WAY = "is in the way: move it away and run this again (a masked unit: systemctl unmask NAME)"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be installed. `units`: name → text with its commands in place; secrets are written where none is."""

    layout: Layout
    version: str
    units: Mapping[str, str]
    webhook_secret: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)


def plan_install(wishes: Wishes, machine: Machine) -> tuple[Step, ...]:
    """Every step in order, also those that keep something; nothing may be done while one of them is Blocked."""
    if machine.ways_out:
        return tuple(refuse_ways_out(wishes.layout, machine))
    planner = _Planner(wishes, machine, wishes.layout)
    return (
        *planner.account(),
        *planner.folders(),
        *planner.credentials(),
        *planner.config(),
        *planner.units(),
        *planner.reload(),
    )


def refuse_ways_out(layout: Layout, machine: Machine) -> Iterator[Blocked]:
    """Through such a link we would write to, or remove from, the system that we run on."""
    for link, target in machine.ways_out.items():
        advice = f"it leads to {target}, outside {layout.root}: make it relative, or a folder, and run this again"
        yield Blocked(str(link), advice)


@dataclass(frozen=True, slots=True)
class _Planner:
    wishes: Wishes
    machine: Machine
    layout: Layout

    def account(self) -> Iterator[Step]:
        if not self.layout.is_live:
            yield Skip(
                "system user and group notifier, owners, systemctl", f"that is for the system below {self.layout.root}"
            )
        elif not self.machine.user:
            yield self._new_account()
        elif not self.machine.group:
            advice = f"the user is there and its group is not: groupadd --system {ACCOUNT}, and run this again"
            yield Blocked(f"system group {ACCOUNT}", advice)

    def _new_account(self) -> Step:
        purpose = "system user and group"
        match self.machine.account_tool:
            case "useradd":
                group = ("--gid", ACCOUNT) if self.machine.group else ("--user-group",)
                home = ("--home-dir", str(self.layout.state), "--no-create-home", "--shell", "/usr/sbin/nologin")
                return Run(("useradd", "--system", *group, *home, ACCOUNT), purpose)
            case "systemd-sysusers":
                return Run(("systemd-sysusers", "--inline", f'u {ACCOUNT} - "Notifier" {self.layout.state}'), purpose)
            case None:
                advice = "neither useradd nor systemd-sysusers is here: create it and its group, and run this again"
                return Blocked(f"system user {ACCOUNT}", advice)
            case _:
                assert_never(self.machine.account_tool)

    def folders(self) -> Iterator[Step]:
        yield from self._folder(self.layout.config_folder, CONFIG_FOLDER)
        yield from self._folder(self.layout.credentials, CREDENTIAL_FOLDER)
        yield from self._folder(self.layout.state, STATE_FOLDER)

    def _folder(self, path: Path, ownership: Ownership) -> Iterator[Step]:
        match self.machine.at(path):
            case Absent():
                yield MakeFolder(path, ownership)
            case Unseen():
                yield Skip(str(path), ONLY_ROOT)
            case Found(kind="folder", ownership=found):
                if not self._is_right(found, ownership):
                    yield _mend(path, found, ownership)
            case Found():
                yield Blocked(str(path), _IN_THE_WAY)

    def _is_right(self, found: Ownership, wanted: Ownership) -> bool:
        """Owners in another system's tree are its own business."""
        return found == wanted or (found.mode == wanted.mode and not self.layout.is_live)

    def credentials(self) -> Iterator[Step]:
        """Those that the drop-in names, also one that somebody edited; and the API key when it is given."""
        drop_in = self.machine.at(self.layout.drop_in)
        text = (drop_in.text if isinstance(drop_in, Found) else None) or starter.DROP_IN
        secret, key = self.layout.credentials / WEBHOOK_SECRET, self.layout.credentials / API_KEY
        if starter.is_loaded(WEBHOOK_SECRET, text):
            yield from self._file(secret, f"{self.wishes.webhook_secret}\n", CREDENTIAL_FILE, "generated")
        if self.wishes.api_key is not None:
            yield self._given_key(key, self.wishes.api_key)
        elif starter.is_loaded(API_KEY, text):
            yield from self._file(key, "", CREDENTIAL_FILE, "empty: your API key goes here")

    def _given_key(self, path: Path, key: str) -> Step:
        match self.machine.at(path):
            case Found(kind="file", size=size) if size > 0:
                return Keep(path, "it holds a key already; to replace it, remove it and run this again")
            case Found(kind="folder" | "other"):
                return Blocked(str(path), _IN_THE_WAY)
            case _:
                return WriteFile(path, f"{key}\n", CREDENTIAL_FILE, "the given API key")

    def config(self) -> Iterator[Step]:
        yield from self._file(self.layout.config, starter.CONFIG, CONFIG_FILE)

    def _file(self, path: Path, text: str, ownership: Ownership, remark: str = "") -> Iterator[Step]:
        """A file that is somebody's own as soon as it is there."""
        match self.machine.at(path):
            case Absent():
                yield WriteFile(path, text, ownership, remark)
            case Unseen():
                yield Skip(str(path), ONLY_ROOT)
            case Found(kind="file", ownership=found):
                right = self._is_right(found, ownership)
                yield Keep(path, "it is there already") if right else _mend(path, found, ownership)
            case Found():
                yield Blocked(str(path), _IN_THE_WAY)

    def units(self) -> Iterator[Step]:
        drop_in = self.layout.drop_in
        yield from self._unit_folder(self.layout.units)
        for name, body in self.wishes.units.items():
            yield from self._unit(self.layout.units / name, body)
        yield from self._unit_folder(drop_in.parent)
        yield from self._unit(drop_in, starter.DROP_IN)

    def _unit_folder(self, path: Path) -> Iterator[Step]:
        """systemd's, not ours: whatever its mode is, it is right."""
        if isinstance(self.machine.at(path), Absent):
            yield MakeFolder(path, FOR_ALL)

    def _unit(self, path: Path, body: str) -> Iterator[Step]:
        text = marked(body, self.wishes.version)
        match self.machine.at(path):
            case Absent():
                yield WriteFile(path, text, UNIT_FILE)
            case Unseen():
                yield Skip(str(path), ONLY_ROOT)
            case Found(kind="file", text=str() as found):
                yield _same_or_not(path, compare(found, body), text)
            case Found():
                yield Blocked(str(path), _IN_THE_WAY)

    def reload(self) -> Iterator[Step]:
        """Also when no unit changes: an installation that was cut off may have written them and told nobody."""
        if not self.layout.is_live:
            return
        if self.machine.booted:
            yield Run(("systemctl", "daemon-reload"), "")
        else:
            yield Skip("systemctl daemon-reload", "systemd is not running here; it reads the units when it starts")


def _mend(path: Path, found: Ownership, wanted: Ownership) -> Step:
    """root:root is what an installation without accounts, or one that was cut off, leaves; all else was meant."""
    if found in (Ownership("root", "root", wanted.mode), NEW_FOLDER):
        return Hand(path, wanted)
    return Keep(path, f"it is {found} and should be {wanted}; mend it by hand if that was not meant")


def _same_or_not(path: Path, state: Same | Older | Edited, text: str) -> Step:
    match state:
        case Same():
            return Keep(path, "up to date")
        case Older(version):
            return WriteFile(path, text, UNIT_FILE, f"it was installed by {version}, and not edited since", "update")
        case Edited(difference):
            return Keep(path, "it was edited; what differs from ours:", difference)
        case _:
            assert_never(state)
