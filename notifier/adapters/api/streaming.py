"""An answer that is read while it is sent: as fast as the client takes it, and no further ahead than one piece."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from notifier.adapters.api.problems import not_found, unavailable
from notifier.ports import ArchiveUnavailableError, ElsewhereError, FileGoneError

log = structlog.get_logger()

MOST_STREAMS = 32
"""Files that are sent at a time: each keeps a piece or two in memory."""
PIECE_BYTES = 256 * 1024
READ_SECONDS = 30.0
"""How long a piece may take to be read: a bucket, or a mounted disk, that hangs is one that cannot be read."""
LOOK_EVERY_SECONDS = 0.5


@dataclass(slots=True)
class Streams:
    """How many files are being sent."""

    open: int = 0

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Whether there is room for another, which is taken for the block."""
        room = self.open < MOST_STREAMS
        self.open += room
        try:
            yield room
        finally:
            self.open -= room


class FileAnswer(Response):
    """Sends `opened`, which must be as long as the headers say.

    What cannot be read at all is a problem document. In the middle of an answer it is too late for that: then, and when
    the daemon stops, the connection is closed, so that the client sees that something is missing.
    """

    def __init__(
        self,
        opened: AsyncIterator[bytes],
        status: int,
        headers: Mapping[str, str],
        *,
        streams: Streams,
        stopping: Callable[[], bool],
    ) -> None:
        super().__init__(status_code=status)
        self.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._opened = opened
        self._streams = streams
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.one() as room:
            if not room:
                busy = unavailable(f"{MOST_STREAMS} files are being sent, which is the most at a time; try again")
                await busy.response()(scope, receive, send)
                return
            try:
                await self._send(scope, receive, send)
            finally:
                await _close(self._opened)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            first = await self._read()
        except FileGoneError:
            gone = not_found("this file is not at its place in the archive any more, though nothing here deleted it")
            await gone.response()(scope, receive, send)
        except ElsewhereError as error:
            log.warning("file.unread", path=scope["path"], error=str(error))
            await not_found(str(error)).response()(scope, receive, send)
        except ArchiveUnavailableError as error:
            log.warning("file.unread", path=scope["path"], error=str(error))
            await unavailable(f"the archive cannot be read now: {error}").response()(scope, receive, send)
        else:
            if not await self._send_beside(first, scope["path"], receive, send):
                await _hang_up(scope)

    async def _send_beside(self, first: bytes, path: str, receive: Receive, send: Send) -> bool:
        """Send until all is sent (True), the client is gone, the daemon stops or the archive fails (False)."""
        sending = asyncio.ensure_future(self._send_all(first, path, send))
        leaving = asyncio.ensure_future(self._until_over(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            return sending.done() and sending.result()
        finally:
            for one in (sending, leaving):
                one.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await one

    async def _send_all(self, piece: bytes, path: str, send: Send) -> bool:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            while piece:
                for begin in range(0, len(piece), PIECE_BYTES):
                    body = piece[begin : begin + PIECE_BYTES]
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                piece = await self._read()
        except ArchiveUnavailableError as error:
            hint = "the client's connection was closed in the middle of the file; it can go on from there (Range)"
            log.warning("file.unread", path=path, error=str(error), hint=hint)
            return False
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    async def _read(self) -> bytes:
        """The next bytes, none at the end."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                while not (piece := await anext(self._opened, None)) and piece is not None:
                    pass
        except TimeoutError:
            raise ArchiveUnavailableError(f"it gave nothing for {READ_SECONDS:g} s") from None
        return piece or b""

    async def _until_over(self, receive: Receive) -> None:
        """Until the client is gone, or the daemon stops."""
        while not self._stopping():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    return


async def _hang_up(scope: Scope) -> None:
    """Close the connection without a word, where the server lets us (adapters/connections.py)."""
    leave: Callable[[], None] | None = scope.get("notifier.hang_up")
    if leave is None:
        raise ConnectionAbortedError("an answer ends before its end")
    leave()
    await asyncio.sleep(0)  # what is closed is noticed in the next turn, before the server looks for the rest


async def _close(opened: AsyncIterator[bytes]) -> None:
    """At once, and not when it is collected: it holds a file or a connection."""
    close = getattr(opened, "aclose", None)
    if close is not None:
        await close()
