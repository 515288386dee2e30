"""What was found on the machine, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from notifier.installation.layout import Ownership


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing is there."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Only root may look."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something is there; `text` only of unit files, `size` in bytes."""

    kind: Literal["file", "folder", "other"]
    ownership: Ownership
    size: int = 0
    text: str | None = None


Sight: TypeAlias = Absent | Unseen | Found
AccountTool: TypeAlias = Literal["useradd", "systemd-sysusers"]


@dataclass(frozen=True, slots=True)
class Machine:
    """`booted`: systemd is running here (sd_booted(3)); `active`: it runs the service; `enabled`: at every boot."""

    sights: Mapping[Path, Sight]
    user: bool = False
    user_is_ours: bool = False
    """A system account whose home is our state folder: one that an installation made."""
    group: bool = False
    account_tool: AccountTool | None = None
    booted: bool = False
    active: bool = False
    enabled: bool = False
    ways_out: Mapping[Path, Path] = field(default_factory=dict)
    """Links in another system's tree that lead out of it, and where to; nothing is done through them."""

    def at(self, path: Path) -> Sight:
        return self.sights.get(path, Absent())
