"""What an uninstallation has to do on a machine: pure, from what was found there."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from notifier.installation import starter
from notifier.installation.layout import ACCOUNT, Layout, saved_path
from notifier.installation.machine import Absent, Found, Machine, Unseen
from notifier.installation.plan import ONLY_ROOT, Wishes, refuse_ways_out
from notifier.installation.step import Blocked, Keep, Remove, RemoveAll, Run, SetAside, Skip, Step
from notifier.installation.unit import Edited, compare


def plan_uninstall(wishes: Wishes, machine: Machine, *, purge: bool) -> tuple[Step, ...]:
    """Units go; configuration, credentials and data only with `purge`, and then all of them."""
    if machine.ways_out:
        return tuple(refuse_ways_out(wishes.layout, machine))
    units = tuple(_units(wishes, machine, purge=purge))
    here = wishes.layout.is_live and machine.booted
    names = [name for name in wishes.units if isinstance(machine.at(wishes.layout.units / name), Found)]
    return (
        *(_stop(names) if here and names else ()),
        *units,
        *(_forget() if here else ()),
        *_belongings(wishes.layout, machine, purge=purge),
    )


def _stop(names: Iterable[str]) -> Iterator[Step]:
    # Sockets first, lest one starts again what is being stopped; instances are known by their names only.
    ordered = sorted(names, key=lambda name: not name.endswith(".socket"))
    plain = [name for name in ordered if "@" not in name]
    templates = [name for name in ordered if "@" in name]
    if plain:
        yield Run(("systemctl", "disable", "--now", *plain), "")
    for name in templates:
        yield Run(("systemctl", "stop", name.replace("@", "@*")), "")
        yield Run(("systemctl", "disable", name), "")


def _forget() -> Iterator[Step]:
    """Also when no unit is left: a removal that was cut off may have told nobody."""
    yield Run(("systemctl", "daemon-reload"), "")
    yield Run(("systemctl", "reset-failed", "notifier*"), "", may_fail=True)


def _units(wishes: Wishes, machine: Machine, *, purge: bool) -> Iterator[Step]:
    layout = wishes.layout
    for name, body in wishes.units.items():
        yield from _unit(layout.units / name, body, machine, purge=purge)
    folders = [layout.units / f"{name}.d" for name in wishes.units]
    if purge:
        yield from (RemoveAll(folder) for folder in folders if isinstance(machine.at(folder), Found))
    else:
        yield from _drop_in(layout.drop_in, machine)


def _unit(path: Path, body: str, machine: Machine, *, purge: bool) -> Iterator[Step]:
    match machine.at(path):
        case Absent():
            return
        case Unseen():
            yield Skip(str(path), ONLY_ROOT)
        case Found(text=str() as found) if not purge and isinstance(compare(found, body), Edited):
            yield _set_aside(path, machine)
        case Found(kind="folder"):
            yield Keep(path, "it is a folder, and no unit of ours")
        case Found():
            yield Remove(path)


def _set_aside(path: Path, machine: Machine) -> Step:
    saved = saved_path(path)
    if isinstance(machine.at(saved), Absent):
        return SetAside(path, saved)
    return Blocked(str(saved), "an edited unit was saved there before: move it away and run this again")


def _drop_in(path: Path, machine: Machine) -> Iterator[Step]:
    match machine.at(path):
        case Found(text=str() as found) if isinstance(compare(found, starter.DROP_IN), Edited):
            yield Keep(path, "it was edited; without its unit it does nothing")
        case Found():
            yield Remove(path)
            yield Remove(path.parent)
        case Unseen():
            yield Skip(str(path), ONLY_ROOT)
        case Absent():
            return


def _belongings(layout: Layout, machine: Machine, *, purge: bool) -> Iterator[Step]:
    for path, what in ((layout.config_folder, "configuration and credentials"), (layout.state, "the store")):
        match machine.at(path):
            case Absent():
                continue
            case Unseen():
                yield Skip(str(path), ONLY_ROOT)
            case Found():
                yield RemoveAll(path) if purge else Keep(path, f"{what}; --purge removes it")
    if layout.is_live and machine.user:
        yield from _account(machine, purge=purge)


def _account(machine: Machine, *, purge: bool) -> Iterator[Step]:
    if not machine.user_is_ours:
        yield Skip(f"user {ACCOUNT}", "it is kept: it is no system account with the store's folder as its home")
    elif purge:
        yield Run(("userdel", ACCOUNT), "and its group")
    else:
        yield Skip(f"user {ACCOUNT}", "it is kept, for the store belongs to it; --purge removes it")
