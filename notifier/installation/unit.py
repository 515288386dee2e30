"""Unit files: the shipped ones as they are installed, and what became of one since.

The first line of an installed unit holds a checksum of the rest, so that one which nobody edited can be told from one
that somebody did: the first is brought up to date, the second is kept.
"""

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHIPPED_FOLDER = "/opt/notifier/bin/"
"""Where the shipped units expect Notifier's programs."""
_SHIPPED = re.compile(rf"{SHIPPED_FOLDER}(?P<command>notifier(?= ))?")
_MEANING_MORE = re.compile(r"""[\s"'%$\\]""")
_SUFFIXES = (".service", ".socket")
_MARK = re.compile(r"# Installed by notifier (?P<version>\S+), sha256 (?P<digest>[0-9a-f]{64})\. ")
_ADVICE = "Change it by a drop-in (systemctl edit); once edited, it is kept as it is."


def shipped_units() -> Mapping[str, str]:
    """Name → text of the units that came with this package; from the source tree when it is not a built one."""
    built = Path(__file__).parent / "systemd"
    folder = built if built.is_dir() else Path(__file__).parents[2] / "systemd"
    if not folder.is_dir():
        raise FileNotFoundError(f"the unit files are missing: {folder} is not there; install the package again")
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    return {path.name: path.read_text() for path in files}


def with_program(text: str, program: Path) -> str:
    """The unit with its commands taken from where `program` is."""
    return _SHIPPED.sub(lambda found: str(program) if found["command"] else f"{program.parent}/", text)


def fits_a_unit(program: Path) -> bool:
    """Whether its path means itself in a unit: blanks, quotes, %, $ and backslashes mean more (systemd.syntax(7))."""
    return str(program).isprintable() and not _MEANING_MORE.search(str(program))


def marked(body: str, version: str) -> str:
    """What is written to disk: a line that says where it is from, and the unit."""
    return f"# Installed by notifier {version}, sha256 {_digest(body)}. {_ADVICE}\n{body}"


@dataclass(frozen=True, slots=True)
class Same:
    """It says what we would write."""


@dataclass(frozen=True, slots=True)
class Older:
    """Another version's, or for a program at another place, and as it was written then."""

    version: str


@dataclass(frozen=True, slots=True)
class Edited:
    """Somebody's own now; the lines that differ from ours, as `diff` writes them."""

    difference: tuple[str, ...]


def compare(found: str, body: str) -> Same | Older | Edited:
    """What an installed unit is, beside the body that would be written now."""
    first, _, rest = found.partition("\n")
    mark = _MARK.match(first)
    theirs = rest if mark else found
    if theirs == body:
        return Same()
    if mark and mark["digest"] == _digest(rest):
        return Older(mark["version"])
    return Edited(tuple(_difference(body, theirs)))


def _difference(ours: str, theirs: str) -> list[str]:
    lines = difflib.unified_diff(ours.splitlines(), theirs.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
