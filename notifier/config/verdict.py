"""What pydantic finds wrong, in the words of the reader of the file."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from notifier.config import model, secret
from notifier.config.archive import ArchiveSettings
from notifier.config.problem import Fault, Path, Unusable, did_you_mean, shown
from notifier.config.secret import ANY

SECTIONS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): model.Settings,
    ("store",): model.StoreSettings,
    ("intake",): model.IntakeSettings,
    ("intake", "tokens", ANY): model.TokenSettings,
    ("providers", ANY): model.ProviderSettings,
    ("webhooks",): model.WebhookSettings,
    ("archive",): ArchiveSettings,
    ("endpoints", ANY): model.EndpointSettings,
    ("watches", ANY): model.WatchSettings,
    ("node",): model.NodeSettings,
    ("log",): model.LogSettings,
}
"""Where each mapping of the file is, and what it must be."""

_WHAT_TO_GIVE: Mapping[tuple[str, ...], str] = {
    ("providers",): "name at least one, as in videos: {api_key: ${VIDEOS_API_KEY}}",
    ("webhooks",): "events must be signed; begin with secret: ${WEBHOOK_SECRET}",
    ("archive", "url"): "say where, as in file:///var/lib/notifier/results",
    ("intake", "tokens", ANY, "name"): "say whose token it is",
    ("providers", ANY, "preset"): f"the provider's name is not that of a preset; write {' or '.join(model.PRESETS)}",
    ("endpoints", ANY, "url"): "write the callback URL that these settings are for",
    ("watches", ANY, "task_id"): "write the provider's id of the task",
    ("watches", ANY, "callback_url"): "write who is told how the task ended",
    ("watches", ANY, "provider"): "there are several; name the one that runs the task",
}


def keys_of(where: tuple[str, ...]) -> list[str]:
    """Every key that a mapping may have: its fields, and the other ways to give its secrets."""
    twins = [key for slot in secret.SLOTS if slot.where == where for key in slot.keys]
    return list(dict.fromkeys([*SECTIONS[where].model_fields, *twins]))


def faults_of(error: ValidationError) -> Iterator[Fault]:
    for detail in error.errors(include_url=False):
        if not _is_echo(detail):
            yield _fault(detail)


def _is_echo(detail: Any) -> bool:
    """Whether it only follows from a fault that is reported anyway; pydantic counts just the items that are right."""
    value = detail["input"]
    match detail["type"]:
        case "default_factory_not_called":
            return True
        case "too_short":
            return bool(value)
        case _:
            return isinstance(value, Unusable)


def _fault(detail: Any) -> Fault:
    path: Path = detail["loc"]
    if path and path[-1] == "[key]":
        return Fault(path[:-1], _message(detail), "key")
    match detail["type"]:
        case "extra_forbidden":
            return Fault(path, "unknown key" + did_you_mean(str(path[-1]), _known_beside(path)), "key")
        case "missing":
            return Fault(path, f"is missing ({_what_to_give(path)})")
        case _:
            return Fault(path, _message(detail))


def _message(detail: Any) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "model_type" | "dict_type":
            return f"{shown(value)} is not a mapping (write the settings below it, or remove the line)"
        case "tuple_type":
            return f"{shown(value)} is not a list (write [first, second], or [] for none)"
        case "too_short":
            return "is empty (give at least one, or remove the line for the default)"
        case "too_long":
            return f"has {context['actual_length']} items (at most {context['max_length']})"
        case _:
            return str(detail["msg"])


def _known_beside(path: Path) -> list[str]:
    return next((keys_of(where) for where in SECTIONS if secret.matches(path[:-1], where)), [])


def _what_to_give(path: Path) -> str:
    return next((what for where, what in _WHAT_TO_GIVE.items() if secret.matches(path, where)), "write it")
