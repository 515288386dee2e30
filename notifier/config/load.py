"""FILE → Settings, or everything that is wrong with it."""

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from notifier.config.agreement import disagreements
from notifier.config.model import Settings
from notifier.config.nodes import decode
from notifier.config.presets import lay
from notifier.config.problem import START, Fault, Path, Problem, Unusable, locate
from notifier.config.secret import is_secret, settle
from notifier.config.substitute import substitute
from notifier.config.tree import Tree, plant
from notifier.config.verdict import faults_of

Secrets: TypeAlias = Literal["required", "optional"]
"""Whether a secret whose variable is not set, or whose file cannot be read, is a problem."""

Part: TypeAlias = Literal["all", "providers"]
"""What of the file is judged: with "providers" the rest is as if it were not written, and nothing is missing there."""

MOST_BYTES = 16 * 1024 * 1024
"""Of a configuration; a hundred thousand watches take less."""

_ADVICE = {
    errno.ENOENT: "give its path with --config, or in the environment variable NOTIFIER_CONFIG",
    errno.EISDIR: "name the file in it",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings


@dataclass(frozen=True, slots=True)
class Rejected:
    """Everything that is wrong, in the order of the file; never empty."""

    problems: tuple[Problem, ...]


def load(
    path: str | FilePath, environ: Mapping[str, str], *, secrets: Secrets, part: Part = "all"
) -> Loaded | Rejected:
    """Read and judge a file. Relative paths, its own and those in it, begin at the working directory."""
    match _read(FilePath(path)):
        case Fault() as fault:
            return _rejected(fault, str(path))
        case text:
            return parse(text, str(path), environ, secrets=secrets, part=part)


def parse(
    text: str, name: str, environ: Mapping[str, str], *, secrets: Secrets, part: Part = "all"
) -> Loaded | Rejected:
    """Judge a text; `name` stands for the file in its problems. Files that the text names as secrets are read."""
    match plant(text):
        case Fault() as fault:
            return _rejected(fault, name)
        case tree:
            judged = _only_providers(tree) if part == "providers" else tree
            return _judge(judged, name, environ, required=secrets == "required")


def _only_providers(tree: Tree) -> Tree:
    """The file as if only its providers were written, and a secret that nobody asks for."""
    providers = {key: value for key, value in tree.data.items() if key == "providers"}
    return replace(
        tree,
        data={**providers, "webhooks": {"secret": Unusable()}},
        faults=[fault for fault in tree.faults if fault.path[:1] == ("providers",)],
        others=tuple(_only_providers(other) for other in tree.others),
    )


def needs_restart(old: Settings, new: Settings) -> tuple[str, ...]:
    """The changed settings that a reload does not apply."""
    pairs = {
        "store": (old.store, new.store),
        "node": (old.node, new.node),
        "intake.listen": (old.intake.listen, new.intake.listen),
    }
    return tuple(key for key, (before, after) in pairs.items() if before != after)


def as_reloaded(old: Settings, new: Settings) -> Settings:
    """The new settings, but for those that need a restart."""
    intake = new.intake.model_copy(update={"listen": old.intake.listen})
    return new.model_copy(update={"store": old.store, "node": old.node, "intake": intake})


def _judge(tree: Tree, name: str, environ: Mapping[str, str], *, required: bool) -> Loaded | Rejected:
    settings, faults = _verdict(tree, environ, required=required)
    if settings is not None and not faults:
        return Loaded(settings)
    problems = locate(faults, tree.values, tree.keys, name)
    for other in tree.others:
        _, faults = _verdict(other, environ, required=required)
        problems += locate(_below(other.later, faults), other.values, other.keys, name)
    return Rejected(tuple(sorted(set(problems))))


def _verdict(tree: Tree, environ: Mapping[str, str], *, required: bool) -> tuple[Settings | None, list[Fault]]:
    """The settings, if they are right by themselves, and all that is wrong with them or the tree."""
    filled, unset = substitute(tree.data, environ, lambda path: not required and is_secret(path))
    settled, wrong_secrets = settle(filled, required=required)
    laid = lay(settled)
    settings = _validate(laid)
    faults = [*tree.faults, *unset, *wrong_secrets, *disagreements(laid)]
    if isinstance(settings, Settings):
        return settings, faults
    return None, [*faults, *settings]


def _below(paths: set[Path], faults: list[Fault]) -> Iterator[Fault]:
    """What is wrong at these paths and below them; what is outside is judged with the values that count."""
    return (fault for fault in faults if any(fault.path[:depth] in paths for depth in range(len(fault.path) + 1)))


def _validate(data: dict[str, Any]) -> Settings | list[Fault]:
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        return list(faults_of(error))


def _rejected(fault: Fault, name: str) -> Rejected:
    return Rejected(tuple(locate([fault], {}, {}, name)))


def _read(path: FilePath) -> str | Fault:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check its path and permissions")
        return Fault((), f"cannot be read: {error.strerror} ({advice})", START)
    except ValueError:
        return Fault((), "cannot be read: its name has a NUL character in it (remove it)", START)
    if len(raw) > MOST_BYTES:
        return Fault((), f"has more than {MOST_BYTES} bytes (register watches through the intake instead)", START)
    return decode(raw)
