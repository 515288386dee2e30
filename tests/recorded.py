"""What the APIs of the presets answer, written down in `tests/answers/PRESET.yaml`, and what each answer means.

`asks` is the request that must be seen, `task` and `vars` what it is about, and each of `answers` one answer to it:
`http` (200 where nothing is said), `headers`, and the body as JSON (`body`), as it is (`text`) or as so many bytes
(`size`). `then` is the answer to the second request, for APIs that want one. What follows is the meaning: the outcome
(`is`) and what comes with it. The answers of `every.yaml` mean the same for every preset.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import yaml

from notifier.config.presets import PRESETS
from notifier.domain.answer import Answer, outcome_name

ANSWERS = Path(__file__).with_name("answers")
EVERY = "every"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it must be seen; names of headers are in lower case."""

    path: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as it goes over the wire."""

    http: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Api:
    """One preset's file: `settings` is the least that somebody must write for it, the key being KEY."""

    preset: str
    task: str
    variables: Mapping[str, str]
    settings: Mapping[str, Any]
    asks: Asked
    answers: tuple["Recorded", ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    preset: str
    name: str
    said: Said
    means: Mapping[str, Any]
    then: Said | None = None
    then_asks: Asked | None = None

    def __str__(self) -> str:
        return f"{self.preset}: {self.name}"


@cache
def apis() -> Sequence[Api]:
    """All of them; a file that no preset has is a mistake."""
    names = sorted(path.stem for path in ANSWERS.glob("*.yaml") if path.stem != EVERY)
    return [_api(name) for name in names]


def _api(name: str) -> Api:
    known, common = _read(name), _read(EVERY)["answers"]
    auth = PRESETS[name]["auth"] or {}
    key = {"auth": {"command": ["echo", "KEY"]}} if "command" in auth else {"api_key": "KEY"}
    base = {"base_url": known["base_url"]} if "base_url" in known else {}
    return Api(
        preset=name,
        task=known["task"],
        variables=known.get("vars", {}),
        settings={**base, **(key if auth else {})},
        asks=Asked(**known["asks"]),
        answers=tuple(_recorded(name, one) for one in [*known["answers"], *common]),
    )


def _read(name: str) -> dict[str, Any]:
    text = (ANSWERS / f"{name}.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found


def _recorded(preset: str, one: dict[str, Any]) -> Recorded:
    then = one.get("then")
    asks = then.get("asks") if then else None
    means = {key: value for key, value in one.items() if key not in ("name", "then", *SAID)}
    return Recorded(
        preset, one["name"], _said(one), means, _said(then) if then else None, Asked(**asks) if asks else None
    )


SAID = ("http", "headers", "body", "text", "size")


def _said(one: Mapping[str, Any]) -> Said:
    if "size" in one:
        body = b"x" * one["size"]
    elif "text" in one:
        body = one["text"].encode()
    else:
        body = json.dumps(one["body"]).encode()
    return Said(one.get("http", 200), one.get("headers", {}), body)


def differences(recorded: Recorded, answer: Answer, *, now: datetime, base_url: str) -> Iterator[str]:
    """Where an answer does not mean what was written down."""
    means = dict(recorded.means)
    wanted: dict[str, Any] = {"is": means.pop("is")}
    if wanted["is"] == "completed":
        wanted |= {"urls": [], "downloads": []}
    if wanted["is"] == "running":
        wanted["known"] = True
    if "expires_in" in means:
        wanted["expires_at"] = now + timedelta(seconds=means.pop("expires_in"))
    if "expires_at" in means:
        wanted["expires_at"] = datetime.fromisoformat(means.pop("expires_at"))
    wanted |= means
    if "urls" in wanted:
        wanted["urls"] = [urljoin(base_url, url) for url in wanted["urls"]]
    if "downloads" in wanted:
        wanted["downloads"] = [base_url + path for path in wanted["downloads"]]
    for name, value in wanted.items():
        if (found := _found(name, answer)) != value:
            yield f"{name} is {found!r} and should be {value!r} ({answer})"


def _found(name: str, answer: Answer) -> Any:
    match name:
        case "is":
            return outcome_name(answer)
        case "wait":
            return getattr(answer, "retry_after", None)
        case "error":
            error = getattr(answer, "error", None)
            given = {"code": error.code, "message": error.message} if error else {}
            return {key: value for key, value in given.items() if value is not None}
        case "urls" | "downloads":
            return list(getattr(answer, name, ()))
        case _:
            return getattr(answer, name, None)
