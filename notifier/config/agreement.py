"""What settings must agree on with each other.

It is judged on the file's own data, so that a mistake in one setting hides nothing about the others: each rule looks
at the values that are right by themselves, and is silent where one that it needs is not.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, TypeVar

from pydantic import SecretStr

from notifier.config import fields
from notifier.config.listen import is_private, parse_listen
from notifier.config.model import IntakeSettings
from notifier.config.problem import Fault, Path, Unusable, did_you_mean, shown
from notifier.config.provider_agreement import Needs, needs_of, provider_disagreements
from notifier.config.providers import ProviderSettings
from notifier.domain.address import Refusal, examine
from notifier.domain.description import misfit, misfits
from notifier.domain.quantity import format_duration
from notifier.domain.template import VARIABLE_NAME
from notifier.domain.variables import variables_text

T = TypeVar("T")

_EVERYTHING = [ip_network("0.0.0.0/0"), ip_network("::/0")]


def disagreements(data: dict[str, Any]) -> Iterator[Fault]:
    """All faults between settings; `data` has its variables filled in, and
    providers laid over their presets."""
    yield from provider_disagreements(_mapping(data, "providers"))
    yield from _intake(_mapping(data, "intake"))
    yield from _callbacks(data)
    yield from _repeated(data, "endpoints", "url")
    yield from _watches(data)


def _intake(intake: dict[str, Any]) -> Iterator[Fault]:
    for fault in _repeated(intake, "tokens", "name"):
        yield Fault(("intake", *fault.path), fault.message)
    yield from _shared_tokens(intake)
    try:
        listen = parse_listen(intake.get("listen", IntakeSettings.model_fields["listen"].default))
    except ValueError:
        return
    if not is_private(listen) and intake.get("tokens", []) == []:
        advice = "give at least one {name: …, token: ${…}}, or listen on 127.0.0.1 or a unix socket"
        yield Fault(("intake", "tokens"), f"is needed when listening beyond this machine ({advice})")


def _shared_tokens(intake: dict[str, Any]) -> Iterator[Fault]:
    """Two names for one token: whoever sends it would have the rights of one of them. Those not known are empty."""
    first: dict[str, int] = {}
    for index, entry in _entries(intake, "tokens"):
        secret = entry.get("token")
        value = secret.get_secret_value() if isinstance(secret, SecretStr) else ""
        if value and first.setdefault(value, index) != index:
            message = f"is the same as that of tokens[{first[value]}] (give each caller a token of its own)"
            yield Fault(("intake", "tokens", index, "token"), message)


def _callbacks(data: dict[str, Any]) -> Iterator[Fault]:
    allow = _networks(_mapping(data, "webhooks"))
    for section, key in (("endpoints", "url"), ("watches", "callback_url")):
        for index, entry in _entries(data, section):
            url = _text(entry, key)
            if url is not None and isinstance(refusal := examine(url, allow), Refusal):
                yield Fault((section, index, key), refusal.message)


def _networks(webhooks: dict[str, Any]) -> list[fields.Network]:
    """While one of them is wrong, everything: then only what no network could allow is told."""
    written = webhooks.get("allow_networks", [])
    if not isinstance(written, list):
        return _EVERYTHING
    networks = [_known(fields.network, network) for network in written]
    return _EVERYTHING if None in networks else [network for network in networks if network is not None]


def _repeated(data: dict[str, Any], section: str, key: str) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, entry in _entries(data, section):
        value = _text(entry, key)
        if value is not None and first.setdefault(value, index) != index:
            yield Fault((section, index, key), f"is the same as in {section}[{first[value]}] (keep one of them)")


def _watches(data: dict[str, Any]) -> Iterator[Fault]:
    providers = _mapping(data, "providers")
    needs = {name: needs_of(body) for name, body in providers.items() if isinstance(body, dict)}
    first: dict[tuple[str, ...], int] = {}
    for index, watch in _entries(data, "watches"):
        path = ("watches", index)
        name = _provider_of(watch, providers)
        if name is not None:
            yield from _provider(watch, name, providers, path)
        given = {key: _known(fields.variable, value) for key, value in _mapping(watch, "vars").items()}
        need = needs.get(name or "")
        if need is not None:
            yield from _misfits(given, need, (*path, "vars"))
            task_id = _known(fields.task_id, watch.get("task_id"))
            if task_id is not None and (wrong := misfit("task_id", task_id, need.texts)) is not None:
                yield Fault((*path, "task_id"), wrong)
        variables = _identity(given)
        identity = (name, _text(watch, "task_id"), variables, _text(watch, "callback_url"))
        whole = tuple(part for part in identity if part is not None)
        if len(whole) == len(identity) and first.setdefault(whole, index) != index:
            yield Fault(path, f"is the same task and callback_url as watches[{first[whole]}] (keep one of them)")


def _misfits(given: dict[str, str | None], need: Needs, path: Path) -> Iterator[Fault]:
    """Variables that the provider does not know, or needs, or cannot take; None is one that is wrong by itself."""
    right = {name: value for name, value in given.items() if value is not None}
    usual = {name: value for name, value in need.usual.items() if given.get(name, "") is not None}
    for name, wrong in misfits(usual, need.texts, right):
        if name in usual:
            yield Fault((*path, name), wrong)
        elif name not in need.declared and re.fullmatch(VARIABLE_NAME, name):
            yield Fault((*path, name), wrong, "key")


def _identity(given: dict[str, str | None]) -> str | None:
    """What makes the watch's task another than that of the same id; None if that is not known."""
    known = {name: value for name, value in given.items() if value is not None}
    return variables_text(known) if len(known) == len(given) else None


def _provider_of(watch: dict[str, Any], providers: dict[str, Any]) -> str | None:
    if "provider" not in watch and len(providers) == 1:
        return next(iter(providers))
    return _text(watch, "provider")


def _provider(watch: dict[str, Any], name: str, providers: dict[str, Any], path: Path) -> Iterator[Fault]:
    """Whether the watch's provider is there, and polls as often as the watch wants."""
    if name not in providers:
        if providers:
            what = shown(watch["provider"])
            yield Fault((*path, "provider"), f"{what} is not a provider of this file{did_you_mean(name, providers)}")
        return
    interval = _known(fields.duration, watch["interval"]) if "interval" in watch else None
    written = _mapping(providers, name).get("min_interval", ProviderSettings.model_fields["min_interval"].default)
    least = _known(fields.duration, written)
    if interval is not None and least is not None and interval < least:
        below = f"{format_duration(interval)} is below the provider's min_interval, {format_duration(least)}"
        yield Fault((*path, "interval"), f"{below} (write at least that, or lower min_interval)")


def _mapping(data: dict[str, Any], key: str) -> dict[str, Any]:
    """The mapping under a key; an empty one where there is something else, which is reported elsewhere."""
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _entries(data: dict[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings in the list under a key, with their indices."""
    found = data.get(key)
    for index, entry in enumerate(found if isinstance(found, list) else []):
        if isinstance(entry, dict):
            yield index, entry


def _text(entry: dict[str, Any], key: str) -> str | None:
    value = entry.get(key)
    return value if isinstance(value, str) and not isinstance(value, Unusable) else None


def _known(parse: Callable[[Any], T], value: Any) -> T | None:
    try:
        return parse(value)
    except ValueError:
        return None
