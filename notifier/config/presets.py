"""The known APIs: what `presets.yaml` says of each, and how a provider's own settings are laid over it."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from notifier.config.interval import AUTO
from notifier.config.problem import Fault, Unusable
from notifier.config.tree import plant

NEEDED = ("base_url", "poll")
"""Settings that only a preset makes superfluous, if it has them; `provider_agreement` tells when they are missing."""


class Missing(Unusable):
    """Stands where something must be given and is not."""

    __slots__ = ()


def _load() -> Mapping[str, Mapping[str, Any]]:
    tree = plant((files("notifier.config") / "presets.yaml").read_text("utf-8"))
    if isinstance(tree, Fault) or tree.faults:
        raise ValueError(f"presets.yaml cannot be read: {tree}")
    return tree.data


PRESETS = _load()
"""By name, each as plain data of the form of a provider's section."""


def lay(data: dict[str, Any]) -> dict[str, Any]:
    """A copy of a file's data with each provider laid over its preset, which by default is that of its name. What a
    provider must have and has not is `Missing`."""
    providers = data.get("providers")
    if not isinstance(providers, dict):
        return data
    return {**data, "providers": {name: _laid(name, body) for name, body in providers.items()}}


def _laid(name: str, body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    chosen = preset_of(name, body)
    known = {} if chosen is None else {**PRESETS[chosen], "preset": chosen}
    laid = {**dict.fromkeys(NEEDED, Missing()), **known, **body}
    if body.get("interval") == AUTO and "interval" in known:  # no more polls than the preset's own
        laid["interval"] = f"{AUTO} {known['interval']}"
    return laid


def preset_of(name: str, body: Mapping[str, Any]) -> str | None:
    """The preset that a provider's section builds upon; None if there is none, or it names one that is not there."""
    chosen = body.get("preset", name)
    return str(chosen) if isinstance(chosen, str) and chosen in PRESETS else None
