"""Secrets out of log lines."""

from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, TypeAlias

Fields: TypeAlias = MutableMapping[str, Any]
"""An event on its way through structlog's processors."""

MASK = "***"
SIGNING = "whs"
"""What every signing secret begins with."""
SHORTEST_SECRET = 6
"""Shorter values are not masked in running text: they would turn ordinary words into asterisks."""


class Scrubber:
    """Puts a mask over every secret, wherever in a line it turns up: also inside error texts and tracebacks."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._lasting = frozenset(secrets)
        self.learn(())

    def learn(self, secrets: Collection[str]) -> None:
        """Mask these beside the lasting ones from now on, in place of those that were learned before."""
        known = {one for one in (*self._lasting, *secrets) if len(one) >= SHORTEST_SECRET}
        self._secrets = sorted(known, key=len, reverse=True)
        self._others = [one for one in self._secrets if not one.startswith(SIGNING)]

    def __call__(self, _logger: Any, _name: str, fields: Fields) -> Fields:
        if self._secrets and self._suspicious(fields):
            for key, value in fields.items():
                fields[key] = self._clean(value)
        return fields

    def _suspicious(self, fields: Fields) -> bool:
        """Whether a closer look is needed: a glance at all the texts together is cheaper than one at each."""
        texts = []
        for value in fields.values():
            if isinstance(value, str):
                texts.append(value)
            elif not isinstance(value, int | float):
                return True
        together = "\n".join(texts)
        return SIGNING in together or any(secret in together for secret in self._others)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            # With a thousand endpoints there are a thousand signing secrets, and hardly a line that could hold one.
            for secret in self._secrets if SIGNING in value else self._others:
                value = value.replace(secret, MASK)
            return value
        if isinstance(value, Mapping):
            return {key: self._clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        return value
