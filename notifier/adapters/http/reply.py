"""An answer, while it is read and when that is over."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

TURN_BYTES = 4096
"""A body of which more has come is not read in one go."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status. `headers` is case-insensitive, `body` is as it came (nothing is inflated).

    `truncated`: there was, or may have been, more of the body than was read. `elapsed`: seconds from the start.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    elapsed: float


class Incoming:
    """An answer whose headers are in; what has been read of its body stays when reading is broken off."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._body = bytearray()
        self._complete = False

    async def read(self, cap: int) -> None:
        """Read up to `cap` bytes. A body that is not read to its end costs the connection."""
        stream = self._response.stream
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101  # tells the type; every answer here is async
        try:
            async for chunk in stream:
                self._body += chunk
                if len(self._body) > cap:
                    del self._body[cap:]
                    return
                if len(self._body) > TURN_BYTES:
                    await asyncio.sleep(0)  # what is there already would be parsed without letting others have a turn
            self._complete = True
        finally:
            await stream.aclose()

    def reply(self, elapsed: float) -> Reply:
        """The answer as far as it was read."""
        response = self._response
        return Reply(response.status_code, response.headers, bytes(self._body), not self._complete, elapsed)
