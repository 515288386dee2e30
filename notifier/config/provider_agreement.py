"""What the settings of one provider must agree on: which are needed, which exclude each other, which variables there
are. As in `agreement`, it is judged on the file's own data, laid over the presets.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from notifier.config import described
from notifier.config.presets import PRESETS, Missing, preset_of
from notifier.config.problem import Fault, Path, Unusable, did_you_mean, shown
from notifier.domain.description import misfit
from notifier.domain.template import JsonTemplate, Template
from notifier.domain.variables import judge_value

API_KEY = "{api_key}"
"""Stands for the provider's `api_key` in what `auth` says."""
REQUIRED = "required"
"""What `vars` says of a value that each watch must give."""

AUTH_KINDS = ("bearer", "header", "query", "basic", "jwt_hs256", "body", "command")
_DESCRIBING = ("docs", "base_url", "auth", "poll", "vars", "rules", "status", "completed", "failed", "urls", "result")
_WHAT_TO_GIVE = {
    "base_url": "write where the API is, as in https://api.acme.example",
    "poll": 'write how to ask for a task, as in {path: "/v1/jobs/{task_id}"}',
    "status": "write where the answer has its status word, as in data.status, or give rules",
    "completed": "write the status words of a success, as in [succeeded, done]",
}
_EITHER = {
    "auth": (AUTH_KINDS, f"write {', '.join(AUTH_KINDS[:-1])} or command, or auth: null for no credentials"),
    "expires": (("after", "at"), "write after: 24h, or at: and the JMESPath of a time"),
    "hint": (("header", "seconds"), "write header: retry-after, or seconds: and a JMESPath"),
    "result": (("path", "url"), "write the path of the second request, or url: and a JMESPath"),
}


def provider_disagreements(providers: Mapping[str, Any]) -> Iterator[Fault]:
    """All faults inside providers' sections."""
    for name, body in providers.items():
        if not isinstance(body, dict):
            continue
        path: Path = ("providers", name)
        if preset_of(name, body) is None:
            if body.get("preset") is not None:
                continue  # a preset that is not there is reported already, and what it would give is not known
            if not any(key in body and not isinstance(body[key], Missing) for key in _DESCRIBING):
                yield Fault((*path, "preset"), f"is missing ({_choice()})")
                continue
        yield from _needed(body, path)
        yield from _exclusive(body, path)
        yield from _placeholders(body, path)
        yield from _anybody(body, path)
        yield from _words(body, path)
        yield from _defaults(body, path)


def _choice() -> str:
    known = ", ".join(PRESETS)
    return f"the provider's name is not that of a preset; write one of {known}, or describe the API: base_url, poll, …"


def _needed(body: dict[str, Any], path: Path) -> Iterator[Fault]:
    rules = [rule for rule in _items(body.get("rules")) if isinstance(rule, dict)]
    ends = any(rule.get("outcome") == "completed" for rule in rules)
    given = {
        "base_url": not isinstance(body.get("base_url"), Missing),
        "poll": not isinstance(body.get("poll"), Missing),
        "status": body.get("status") is not None or bool(rules),
        "completed": bool(body.get("completed")) or ends,
    }
    for key, there in given.items():
        if not there:
            yield Fault((*path, key), f"is missing ({_WHAT_TO_GIVE[key]})")
    if body.get("api_key") is None and uses_key(body.get("auth", API_KEY)):
        advice = "take it from the environment with ${NAME}, or give api_key_file"
        yield Fault((*path, "api_key"), f"is missing ({advice})")


def uses_key(auth: Any) -> bool:
    """Whether what `auth` says has the provider's key in it."""
    match auth:
        case dict():
            return any(uses_key(value) for value in auth.values())
        case SecretStr():
            return API_KEY in auth.get_secret_value()
        case str():
            return API_KEY in auth
        case _:
            return False


def _exclusive(body: dict[str, Any], path: Path) -> Iterator[Fault]:
    for key, (ways, advice) in _EITHER.items():
        if isinstance(section := body.get(key), dict):
            yield from _one_of(section, ways, advice, (*path, key))
    for key, section in (("rules", body), ("result", body.get("result"))):
        where: Path = (*path, "rules") if key == "rules" else (*path, key, "rules")
        rules = section.get("rules") if isinstance(section, dict) else None
        for index, rule in enumerate(_items(rules)):
            if isinstance(rule, dict) and not rule.get("http") and rule.get("when") is None:
                yield Fault((*where, index), "fits every answer (write http: [202], or when: and a JMESPath, or both)")
    poll = body.get("poll")
    if isinstance(poll, dict) and poll.get("body") is not None and poll.get("method", "GET") == "GET":
        yield Fault((*path, "poll", "body"), "is for a POST only (write method: POST, or remove it)")
    auth = body.get("auth")
    if isinstance(poll, dict) and isinstance(auth, dict) and auth.get("body") is not None and not _posts_object(poll):
        yield Fault((*path, "auth", "body"), "needs a poll that posts a JSON object (choose another way to send it)")


def _posts_object(poll: Mapping[str, Any]) -> bool:
    """Also an empty one, where no body is described."""
    return poll.get("method") == "POST" and isinstance(poll.get("body"), dict | None)


def _one_of(section: dict[str, Any], ways: tuple[str, ...], advice: str, path: Path) -> Iterator[Fault]:
    given = [way for way in ways if section.get(way) not in (None, [])]
    if not given:
        yield Fault(path, f"says nothing ({advice})")
    for way in given[1:]:
        yield Fault((*path, way), f"cannot stand beside {given[0]} (keep one of them)")


def _placeholders(body: dict[str, Any], path: Path) -> Iterator[Fault]:
    """Variables that are used and not declared."""
    declared = body.get("vars", {})
    if not isinstance(declared, dict):
        return
    for where, parse, value in _templates(body):
        for name in sorted(_names(parse, value)):
            variable = name.removeprefix("vars.")
            if variable != name and variable not in declared:
                near = did_you_mean(variable, declared) if declared else ""
                advice = near or f" (declare it, as in vars: {{{variable}: required}})"
                yield Fault((*path, *where), f"has {{{name}}}, and vars names no {variable}{advice}")


def _anybody(body: dict[str, Any], path: Path) -> Iterator[Fault]:
    """A poll that is the same for every task."""
    poll = body.get("poll")
    if not isinstance(poll, dict) or not isinstance(poll.get("path"), str):
        return
    values = [(value, _texts(parse, value)) for _, parse, value in _templates({"poll": poll})]
    if any(isinstance(value, str) and not texts for value, texts in values):
        return  # what is no template is reported already, and what it was meant to hold is not known
    if not any("task_id" in text.names for _, texts in values for text in texts):
        advice = 'write it where the API takes the id, as in path: "/v1/jobs/{task_id}"'
        yield Fault((*path, "poll"), f"names no {{task_id}}, so that one task's answer would end them all ({advice})")


def _words(body: dict[str, Any], path: Path) -> Iterator[Fault]:
    completed = {_word(value) for value in _items(body.get("completed"))}
    for index, value in enumerate(_items(body.get("failed"))):
        word = _word(value)
        if word is not None and word in completed:
            yield Fault((*path, "failed", index), f"{shown(value)} is one of completed too (keep one of them)")


def _word(value: Any) -> str | None:
    try:
        return described.word(value)
    except ValueError:
        return None


def _defaults(body: dict[str, Any], path: Path) -> Iterator[Fault]:
    """Defaults of variables that cannot be sent where they are used."""
    declared = body.get("vars", {})
    texts = tuple(text for _, parse, value in _templates(body) for text in _texts(parse, value))
    for name, value in declared.items() if isinstance(declared, dict) else ():
        if wrong := _unfit_default(name, value, texts):
            yield Fault((*path, "vars", name), f"{shown(value)} {wrong}")


def _unfit_default(name: str, value: Any, texts: tuple[Template, ...]) -> str | None:
    if not isinstance(value, str) or isinstance(value, Unusable) or value == REQUIRED:
        return None
    return judge_value(str(value)) or misfit(f"vars.{name}", str(value), texts)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a provider needs of a watch beside the task id: the names that it declares, the defaults of those that are
    right (None: required), and the texts that are filled with them."""

    declared: frozenset[str]
    usual: dict[str, str | None]
    texts: tuple[Template, ...]


def needs_of(body: dict[str, Any]) -> Needs | None:
    """None if that cannot be known."""
    declared = body.get("vars", {})
    if not isinstance(declared, dict):
        return None
    texts = tuple(text for _, parse, value in _templates(body) for text in _texts(parse, value))
    right = {
        name: value
        for name, value in declared.items()
        if isinstance(value, str) and not _unfit_default(name, value, texts)
    }
    usual = {
        name: None if value == REQUIRED else str(value)
        for name, value in right.items()
        if not isinstance(value, Unusable)
    }
    return Needs(frozenset(declared), usual, texts)


def _templates(body: dict[str, Any]) -> Iterator[tuple[Path, Callable[[Any], Template | JsonTemplate | None], Any]]:
    for key, path, query, header in (
        ("poll", described.path, described.query_value, described.header_template),
        ("result", described.later_path, described.later_query_value, described.later_header_template),
        ("download", described.later_path, described.later_query_value, described.later_header_template),
    ):
        section = body.get(key)
        if not isinstance(section, dict):
            continue
        yield (key, "path"), path, section.get("path")
        for part, parse in (("query", query), ("headers", header)):
            entries = section.get(part)
            for name, value in entries.items() if isinstance(entries, dict) else ():
                yield (key, part, name), parse, value
        for where, value in _leaves(section.get("body"), (key, "body")):
            yield where, described.body, value


def _names(parse: Callable[[Any], Template | JsonTemplate | None], value: Any) -> frozenset[str]:
    return frozenset(name for text in _texts(parse, value) for name in text.names)


def _texts(parse: Callable[[Any], Template | JsonTemplate | None], value: Any) -> tuple[Template, ...]:
    """What is no template is reported already."""
    if value is None or isinstance(value, Unusable):
        return ()
    try:
        found = parse(value)
    except ValueError:
        return ()
    if isinstance(found, Template):
        return (found,)
    return () if found is None else tuple(found.texts())


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    match value:
        case dict():
            for key, item in value.items():
                yield from _leaves(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                yield from _leaves(item, (*path, index))
        case _:
            yield path, value


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
