"""Secrets: given in the file, through the environment or in a file of their own (`x_file`), and checked when known."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from pydantic import SecretStr

from notifier.config.problem import Fault, Path, Substituted, Unusable
from notifier.domain.headers import header_value
from notifier.domain.signature import parse_secret

ANY = "*"
"""Stands for every key or index in a pattern of paths."""

MOST_BYTES = 65_536
"""Of a file that holds secrets; a larger one is some other file."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Mappings that hold one secret, or a list of them; `keys` are the ways to write it, the usual one first."""

    where: tuple[str, ...]
    keys: tuple[str, ...]
    judge: Callable[[str], None]
    needed: bool = True

    @property
    def target(self) -> str:
        """The one setting that all ways lead to."""
        return "secrets" if "secrets" in self.keys else self.keys[0]


_VISIBLE = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def judge_bearer(text: str) -> None:
    """ValueError for what cannot be a key or a token, without quoting it."""
    if not _VISIBLE.fullmatch(text):
        raise ValueError("cannot go into an HTTP header (only visible ASCII characters without spaces can)")


def _judge_signing(text: str) -> None:
    parse_secret(text)


def _judge_header(text: str) -> None:
    header_value(text)


def _judge_text(text: str) -> None:
    if _CONTROL.search(text):
        raise ValueError("has a control character in it (write it on one line)")


def _judge_user(text: str) -> None:
    """RFC 7617, section 2."""
    _judge_text(text)
    if ":" in text:
        raise ValueError("has a colon in it, which the name of a user cannot have (remove it)")


_AUTH = ("providers", ANY, "auth")
_SIGNING_KEYS = ("secret", "secret_file", "secrets", "secrets_file")

SLOTS = (
    Slot(("intake", "tokens", ANY), ("token", "token_file"), judge_bearer),
    Slot(("providers", ANY), ("api_key", "api_key_file"), judge_bearer, needed=False),
    Slot((*_AUTH, "header"), ("value", "value_file"), _judge_header),
    Slot((*_AUTH, "query"), ("value", "value_file"), _judge_text),
    Slot((*_AUTH, "body"), ("value", "value_file"), _judge_text),
    Slot((*_AUTH, "basic"), ("username", "username_file"), _judge_user),
    Slot((*_AUTH, "basic"), ("password", "password_file"), _judge_text, needed=False),
    Slot((*_AUTH, "jwt_hs256"), ("access_key", "access_key_file"), _judge_text),
    Slot((*_AUTH, "jwt_hs256"), ("secret_key", "secret_key_file"), _judge_text),
    Slot(_AUTH, ("bearer", "bearer_file"), judge_bearer, needed=False),
    Slot(("webhooks",), _SIGNING_KEYS, _judge_signing),
    Slot(("endpoints", ANY), ("secrets", "secrets_file", "secret", "secret_file"), _judge_signing, needed=False),
)


def matches(path: Path, where: tuple[str, ...]) -> bool:
    return len(path) == len(where) and all(want in (ANY, step) for step, want in zip(path, where, strict=True))


def is_secret(path: Path) -> bool:
    """Whether a value at this path is a secret, or names the file of one."""
    for slot in SLOTS:
        depth = len(slot.where)
        if matches(path[:depth], slot.where) and len(path) > depth and path[depth] in slot.keys:
            return True
    return False


def settle(data: dict[str, Any], *, required: bool) -> tuple[dict[str, Any], list[Fault]]:
    """A copy of `data` with a `SecretStr` (or a list of them) instead of every way to give one.

    Secrets that are not known are faults only if `required`; so are those that the environment or a file has as
    nothing yet. Without a value, a single one is empty and a list lacks it.
    """
    settler = _Settler(required)
    result: Any = data
    for slot in SLOTS:
        result = _rewrite(result, slot.where, (), partial(settler.settle, slot))
    return result, settler.faults


def _rewrite(data: Any, where: tuple[str, ...], path: Path, change: Callable[[dict[str, Any], Path], Any]) -> Any:
    """A copy of `data` with the mappings at `where` changed; what has another shape than expected stays."""
    if not where:
        return change(data, path) if isinstance(data, dict) else data
    head, *rest = where
    if isinstance(data, dict):
        return {
            key: _rewrite(value, tuple(rest), (*path, key), change) if head in (ANY, key) else value
            for key, value in data.items()
        }
    if isinstance(data, list) and head == ANY:
        return [_rewrite(value, tuple(rest), (*path, index), change) for index, value in enumerate(data)]
    return data


@dataclass(frozen=True, slots=True)
class _Settler:
    required: bool
    faults: list[Fault] = field(default_factory=list)

    def settle(self, slot: Slot, mapping: Mapping[str, Any], path: Path) -> dict[str, Any]:
        rest = {key: value for key, value in mapping.items() if key not in slot.keys}
        given = [key for key in mapping if key in slot.keys]
        if not given and not slot.needed:
            return rest
        if not given:
            advice = f"take it from the environment with ${{NAME}}, or give {slot.keys[1]}"
            self._fault((*path, slot.keys[0]), f"is missing ({advice})")
        for key in given[1:]:
            self._fault((*path, key), f"cannot stand beside {given[0]} (keep one of them)")
        secrets = [SecretStr(text) for key in given[:1] for text in self._read(mapping[key], (*path, key), slot.judge)]
        rest[slot.target] = secrets if slot.target == "secrets" else (secrets or [SecretStr("")])[0]
        return rest

    def _read(self, value: Any, path: Path, judge: Callable[[str], None]) -> Iterator[str]:
        match path[-1]:
            case "secrets":
                yield from self._list(value, path, judge)
            case "secrets_file":
                for line in self._file(value, path, several=True):
                    yield from self._judged(line, path, judge)
            case str() as key if key.endswith("_file"):
                for text in self._file(value, path, several=False):
                    yield from self._judged(text, path, judge)
            case _:
                yield from self._judged(value, path, judge)

    def _list(self, value: Any, path: Path, judge: Callable[[str], None]) -> Iterator[str]:
        if isinstance(value, Unusable):
            return
        if not isinstance(value, list):
            self._fault(path, "is not a list of secrets (write [newest, older], or use secret for a single one)")
        elif not value:
            self._fault(path, "is empty (give at least one secret)")
        else:
            for index, item in enumerate(value):
                yield from self._judged(item, (*path, index), judge)

    def _file(self, value: Any, path: Path, *, several: bool) -> list[str]:
        """The secrets in the file that `value` names: every line, or the whole without its line ending."""
        if self._is_unknown(value):
            return []
        if not isinstance(value, str) or not value or "\0" in value:
            self._fault(path, "is not the path of a file (relative ones begin at the working directory)")
            return []
        match _read_text(value):
            case Fault() as fault:
                if self.required:
                    self._fault(path, fault.message)
                return []
            case text if not text.strip():
                if self.required:
                    self._fault(path, f"{FilePath(value)} is empty (write the secret into it)")
                return []
            case text:
                return [line for line in text.splitlines() if line.strip()] if several else [text.rstrip("\r\n")]

    def _judged(self, value: Any, path: Path, judge: Callable[[str], None]) -> Iterator[str]:
        if self._is_unknown(value):
            return
        if value is None or value == "":
            self._fault(path, "is empty (write the secret, or ${NAME} to take it from the environment)")
        elif not isinstance(value, str):
            self._fault(path, "is not text (put the secret in quotes)")
        else:
            try:
                judge(value)
            except ValueError as error:
                self._fault(path, str(error))
            else:
                yield str(value)

    def _is_unknown(self, value: Any) -> bool:
        """Whether there is nothing to judge; what the file itself has as "" stays so, and is judged."""
        empty = isinstance(value, Substituted) and not value
        return isinstance(value, Unusable) or (empty and not self.required)

    def _fault(self, path: Path, message: str) -> None:
        self.faults.append(Fault(path, message))


def _read_text(name: str) -> str | Fault:
    try:
        with FilePath(name).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            return Fault((), f"names a file of more than {MOST_BYTES} bytes (name the file that holds just the secret)")
        return raw.decode()
    except UnicodeDecodeError:
        return Fault((), "names a file that is not text (secrets are ASCII)")
    except OSError as error:
        # The name is not told: people put the secret itself here by mistake.
        return Fault((), f"names a file that cannot be read: {error.strerror} (check its path and permissions)")
