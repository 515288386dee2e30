"""The one place that asks for the time, and the one that rolls dice."""

import random
import secrets
import time
from datetime import UTC, datetime

from notifier.domain.jump import SettledTime


class SystemClock:
    def __init__(self) -> None:
        self._settled = SettledTime(self.now(), self.monotonic())

    def now(self) -> datetime:
        return datetime.now(UTC)

    def settled(self) -> datetime:
        return self._settled.at(self.now(), self.monotonic())

    def monotonic(self) -> float:
        return time.monotonic()


class SystemChance:
    """Jitter need not be unguessable; ids and secrets are."""

    def spread(self) -> float:
        return random.uniform(-1.0, 1.0)  # noqa: S311 -- spreads load, guards nothing

    def new_id(self, prefix: str) -> str:
        return prefix + secrets.token_hex(12)

    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)
