"""One file's way from its URL into a partial file: resumed after breaks as long as there is progress.

Each leg is one GET. A leg that gets further than any before it clears the strikes; MOST_STRIKES legs in a row that do
not end the try. What is here already is built upon only if the next answer proves to be about the same file.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import structlog

from notifier.adapters.archive.partial import Partial
from notifier.adapters.archive.version import Version, part, whole
from notifier.adapters.http import Downloads, Fault, Flow, FlowError, Home
from notifier.ports import SaveOrder, Unsaved

MOST_STRIKES = 3
MOST_CHANGES = 3
"""Of the file, in one try: then it is most likely still being written."""
GOOD_LEG_BYTES = 1024 * 1024
"""A leg that brings so much is followed by the next one at once; after others there is a wait, which doubles."""
SHORT_WAIT_SECONDS = 0.1
LONG_WAIT_SECONDS = 10.0
LONGEST_TOLD_WAIT_SECONDS = 60.0

DEAD = frozenset({400, 401, 403, 404, 410})
"""What storages say of a signed URL that is over. S3 and GCS say 400 of a temporary token (`ExpiredToken`)."""
REFUSED = "this URL, or where it redirects to, is refused; the log says why (result.refused)"
"""Told to receivers: the reason may hold addresses of our own network, which are nothing for outsiders."""

log = structlog.get_logger()

Sleep: TypeAlias = Callable[[float], Awaitable[None]]


class Whole:
    """The leg brought the rest."""


@dataclass(frozen=True, slots=True)
class Broke:
    """The leg ended before the file did. `told`: so many seconds the server wants to be left alone."""

    message: str
    told: float = 0.0


Leg: TypeAlias = Whole | Broke | Unsaved


class Fetch:
    """One try. OSError when the disk does not take what comes."""

    def __init__(
        self,
        downloads: Downloads,
        partial: Partial,
        *,
        order: SaveOrder,
        home: Home,
        max_size: int,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._downloads = downloads
        self._partial = partial
        self._url, self._provider, self._name = order.url, order.provider, order.name
        self._home = home
        self._max_size = max_size
        self._sleep = sleep
        self._version: Version | None = None
        self._furthest = 0
        self._changes = 0

    async def run(self) -> Unsaved | None:
        """None: the file is there as a whole."""
        strikes, wait = 0, SHORT_WAIT_SECONDS
        while True:
            begun = self._partial.size
            leg = await self._leg()
            if not isinstance(leg, Broke):
                return None if isinstance(leg, Whole) else leg
            await self._partial.settle()
            strikes = 0 if self._partial.size > self._furthest else strikes + 1
            self._furthest = max(self._furthest, self._partial.size)
            if strikes >= MOST_STRIKES or self._changes > MOST_CHANGES:
                return Unsaved("broken", self._account(leg))
            wait = SHORT_WAIT_SECONDS if self._partial.size - begun >= GOOD_LEG_BYTES else wait
            await self._sleep(max(wait, leg.told))
            wait = min(2 * wait, LONG_WAIT_SECONDS)

    @property
    def progress(self) -> str:
        """For messages: how much there is of how much."""
        total = self._version.total if self._version else None
        return f"{self._partial.size} of {'an unknown number of' if total is None else total} bytes came"

    def _account(self, leg: Broke) -> str:
        if self._changes > MOST_CHANGES:
            return f"{leg.message}; the file changes while it is fetched"
        return f"{leg.message}; {self.progress}, and {MOST_STRIKES} tries in a row got no further"

    async def _leg(self) -> Leg:
        if self._partial.size and not (self._version and self._version.recognisable):
            await self._begin_anew()
        async with self._downloads.get(self._url, self._headers(), self._home) as answer:
            match answer:
                case Fault(kind="refused", message=message):
                    log.warning("result.refused", provider=self._provider, file=self._name, error=message)
                    return Unsaved("refused", REFUSED)
                case Fault(message=message):
                    return Broke(message)
                case Flow(status=200):
                    return await self._take_whole(answer)
                case Flow(status=206) if self._partial.size:
                    return await self._take_part(answer)
                case Flow():
                    return await self._judge(answer)

    def _headers(self) -> dict[str, str]:
        size, version = self._partial.size, self._version
        if not size or version is None:
            return {}
        condition = {"if-range": version.mark} if version.mark else {}
        return {"range": f"bytes={size}-", **condition}

    async def _begin_anew(self) -> None:
        await self._partial.restart()
        self._version = None

    async def _take_whole(self, flow: Flow) -> Leg:
        """From its first byte: the server knows no ranges, or the file has changed."""
        version = whole(flow.headers)
        if self._version is not None and not self._version.goes_on(version):
            self._count_change()
        await self._begin_anew()
        self._version = version
        return await self._take(flow, version.total)

    async def _take_part(self, flow: Flow) -> Leg:
        found, known = part(flow.headers), self._version
        if found is not None and known is not None and found.start == self._partial.size:
            if known.goes_on(found.version):
                self._version = replace(known, total=found.version.total)
                return await self._take(flow, found.stop)
            self._count_change()
        await self._begin_anew()
        return Broke(f"{flow.where}: what came is not the rest of the file that was begun")

    def _count_change(self) -> None:
        self._changes += 1
        self._furthest = 0

    async def _take(self, flow: Flow, stop: int | None) -> Leg:
        """What comes now, up to `stop` (None: to its end, wherever that is)."""
        total = self._version.total if self._version else None
        if total is not None:
            if total > self._max_size:
                return self._too_large(flow, f"the file has {total} bytes")
            await self._partial.expect(total)
        try:
            async for chunk in flow.chunks():
                if self._partial.size + len(chunk) > self._max_size:
                    return self._too_large(flow, "the file goes on")
                await self._partial.write(chunk)
        except FlowError as error:
            if error.fault.kind == "surplus":  # where the file really ends is anybody's guess
                await self._begin_anew()
            return Broke(error.fault.message)
        size = self._partial.size
        if size == total or total is None:
            return Whole()
        if stop is not None and size > stop:
            await self._begin_anew()
        return Broke(f"{flow.where}: the answer ended after {size} of {total} bytes")

    async def _judge(self, flow: Flow) -> Leg:
        if flow.status in DEAD:
            return Unsaved("expired", f"{flow.where}: HTTP {flow.status}: the URL has expired, or was never good")
        message = f"{flow.where}: HTTP {flow.status} instead of the file"
        if flow.status in {206, 416}:
            await self._begin_anew()
        elif flow.status not in {408, 429} and flow.status < 500:
            return Unsaved("broken", message)
        told = flow.headers.get("retry-after", "").strip()
        return Broke(message, min(float(told), LONGEST_TOLD_WAIT_SECONDS) if told.isascii() and told.isdigit() else 0.0)

    def _too_large(self, flow: Flow, what: str) -> Unsaved:
        return Unsaved("too_large", f"{flow.where}: {what}; archive.max_size allows {self._max_size}")
