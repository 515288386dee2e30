"""Outgoing HTTP by hand: scripted answers, and a record of what was sent where."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from notifier.adapters.http import Fault, Reply
from tests.fakes import FakeClock


@dataclass(frozen=True, slots=True)
class Sent:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def reply(status: int = 200, body: Any = None, *, truncated: bool = False, **headers: str) -> Reply:
    """An answer; `body` is bytes, or any JSON. Headers are written with underscores."""
    raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    fields = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Reply(status, fields, raw, truncated, 0.1)


class FakeHttp:
    """Implements what providers use of Http. Each request takes `seconds` and the next scripted answer."""

    def __init__(self, clock: FakeClock, *answers: Reply | Fault, seconds: float = 0.0) -> None:
        self._clock = clock
        self._answers = deque(answers)
        self._seconds = seconds
        self.sent: list[Sent] = []

    async def get(self, url: str, *, headers: Mapping[str, str], timeout: float, cap: int) -> Reply | Fault:
        assert cap == 1_048_576
        return self._next(Sent("GET", url, dict(headers), None, timeout))

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout: float, cap: int, grace: float | None
    ) -> Reply | Fault:
        assert (cap, grace) == (1_048_576, None)
        return self._next(Sent("POST", url, dict(headers), body, timeout))

    def _next(self, sent: Sent) -> Reply | Fault:
        self.sent.append(sent)
        self._clock.move_to(self._clock.monotonic() + self._seconds)
        return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
