"""The steps of an installation or a removal: closed types, each with the line that tells it."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, assert_never, get_args

from notifier.installation.layout import Ownership


@dataclass(frozen=True, slots=True)
class MakeFolder:
    path: Path
    ownership: Ownership


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write it whole or not at all; what was there is replaced."""

    path: Path
    text: str = field(repr=False)
    ownership: Ownership
    remark: str = ""
    verb: str = "create"


@dataclass(frozen=True, slots=True)
class Hand:
    """Give what an installation without accounts left to root to those whom it should belong to."""

    path: Path
    ownership: Ownership


@dataclass(frozen=True, slots=True)
class Run:
    """A command; `may_fail` when its success changes nothing for the steps that follow."""

    command: tuple[str, ...]
    purpose: str
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class SetAside:
    """Rename what somebody edited, so that it is no longer in use and not lost."""

    path: Path
    to: Path


@dataclass(frozen=True, slots=True)
class Remove:
    """A file, or a folder if it is empty."""

    path: Path


@dataclass(frozen=True, slots=True)
class RemoveAll:
    """A folder with all that is in it."""

    path: Path


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing is done; `difference` are the lines in which it is not what would be written."""

    path: Path
    why: str
    difference: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """Something that cannot be done here, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """Something is in the way of the whole plan; `advice` says how to clear it."""

    what: str
    advice: str


Change: TypeAlias = MakeFolder | WriteFile | Hand | Run | SetAside | Remove | RemoveAll
Step: TypeAlias = Change | Keep | Skip | Blocked

CHANGES = get_args(Change)
"""The kinds that change something."""


def tell(step: Step) -> tuple[str, str, str]:
    """Verb, object and remark of the line that a person reads, before and after the fact alike."""
    match step:
        case Keep(path, why):
            return "keep", str(path), why
        case Skip(what, why):
            return "skip", what, why
        case Blocked(what, advice):
            return "STOP", what, advice
        case _:
            return _tell_change(step)


def _tell_change(step: Change) -> tuple[str, str, str]:
    match step:
        case MakeFolder(path, ownership):
            return "create", str(path), str(ownership)
        case WriteFile(path, _, ownership, remark, verb):
            return verb, str(path), ", ".join(filter(None, (str(ownership), remark)))
        case Hand(path, ownership):
            return "hand", str(path), f"to {ownership.user}:{ownership.group}"
        case Run(command, purpose):
            return "run", shlex.join(command), purpose
        case SetAside(path, to):
            return "rename", str(path), f"to {to.name}, because it was edited"
        case Remove(path):
            return "remove", str(path), ""
        case RemoveAll(path):
            return "remove", str(path), "with all that is in it"
        case _:
            assert_never(step)

