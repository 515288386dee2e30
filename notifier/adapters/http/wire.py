"""What comes over a connection, before the parser sees it: in which order, and how much.

The parser limits one header and the number of headers of one answer. It does not limit how many interim answers
(1xx), empty lines or chunk extensions come, nor all of a head together; and each costs time in which nothing else runs.
"""

import asyncio
import re
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")

MOST_HEADS = 100
"""Interim answers (RFC 9110, section 15.2) and empty lines before the answer itself."""
MOST_HEAD_BYTES = 128 * 1024
"""Of all heads of one answer. The parser keeps several copies of them."""
MOST_BODY_BYTES = 2 * 1024 * 1024
MOST_STRANGERS_BODY_BYTES = 48 * 1024
"""As they come over the wire, with all that is not body: sizes and extensions of chunks, trailers. A body in chunks of
one byte costs a thousand times its size; whoever may be called by anybody's wish gets less of that."""


MOST_FRAMING_BYTES = 1024 * 1024
"""Of a download in chunks: sizes and extensions of chunks, trailers, and what is not parsed yet. So much is free;
beyond it there must be FRAMED_BYTES of the file for each byte of framing."""
FRAMED_BYTES = 8


class HeadFirst(ResponseHandler):
    """Gives the parser the headers before the rest, also where both came in one packet, and neither without end.

    The parser forgets an answer whose body is malformed, or that has a body where there should be none (204), when
    it meets both at once. A status that has arrived counts, and how TCP cut the bytes must not decide about it.

    Relied upon, beside the methods overridden here: `set_response_params` begins each request, `feed_data` gets each
    (message, body) of the parser, `_payload` is the body that is being read, `set_exception` ends the wait for it.
    """

    _seam = b""
    """The last bytes of a head that is not complete: a blank line may be cut in two by the packets."""
    _heads = _head_bytes = _body_bytes = 0
    _answered = False
    """The head of the answer itself is in."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, most_body_bytes: int) -> None:
        super().__init__(loop)
        self._most_body_bytes = most_body_bytes

    def set_response_params(self, **params: Any) -> None:
        """Called when a request starts on this connection."""
        self._heads = self._head_bytes = self._body_bytes = 0
        self._answered = False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if not data:
            super().data_received(data)  # the parser goes on with what it held back while reading was paused
        while data and self._expects_head():
            if self._answered:
                self._hang_up()  # nobody asked for more, and the next request must not take it for its answer
                return
            head, data = self._cut(data)
            if self._heads > MOST_HEADS or self._head_bytes > MOST_HEAD_BYTES:
                self.set_exception(BadHttpMessage("too long a head, or too many"))
                self._hang_up()
                return
            super().data_received(head)
        if data:
            self._take_body(data)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """The parser has a message: an interim one, or the answer."""
        message, _ = data
        self._answered = message.code >= 200
        super().feed_data(data, size)

    def _expects_head(self) -> bool:
        return self._payload is None or self._payload.is_eof()

    def _cut(self, data: bytes) -> tuple[bytes, bytes]:
        """What belongs to the head, and the rest."""
        seam = len(self._seam)
        blank = _BLANK_LINE.search(self._seam + data)
        end = len(data) if blank is None else blank.end() - seam
        self._seam = (self._seam + data)[-3:] if blank is None else b""
        self._heads += blank is not None
        self._head_bytes += end
        return data[:end], data[end:]

    def _take_body(self, data: bytes) -> None:
        room = self._most_body_bytes - self._body_bytes
        self._body_bytes += len(data)
        if room > 0:
            self._parse_body(data[:room])
        if room < len(data) and self.transport is not None:
            # An error would take from the reader what it has not read yet. It reads that, and waits for no more than
            # it would for a body that does not go on.
            self.transport.pause_reading()

    def _parse_body(self, data: bytes) -> None:
        super().data_received(data)
        # The parser tells its own queue that the body is malformed, but not who is waiting for that body.
        if (error := self.exception()) is not None and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError("malformed body"), error)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class SurplusError(aiohttp.ClientPayloadError):
    """More came than the answer's Content-Length said."""


class Bulk(HeadFirst):
    """For bodies of any length, as long as they are mostly body: chunks of one byte cost a thousand times their size.

    What comes after the announced end is held against the body, for it is then most likely cut off at the wrong place.
    """

    _length: int | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, most_body_bytes=0)

    def feed_data(self, data: Any, size: int = 0) -> None:
        message, _ = data
        length = message.headers.get("Content-Length")
        self._length = None if length is None or message.chunked else int(length)
        super().feed_data(data, size)

    def _take_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        surplus = 0 if self._length is None else max(self._body_bytes - self._length, 0)
        self._parse_body(data[: len(data) - surplus] if surplus else data)
        if self._payload is not None and self._length is None:
            framing = self._body_bytes - self._payload.total_bytes
            if framing > MOST_FRAMING_BYTES + self._payload.total_bytes // FRAMED_BYTES:
                self._payload.set_exception(aiohttp.ClientPayloadError("more framing than body"))
                self._hang_up()
        if surplus:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._answered and self._payload is not None and self._payload.exception() is None:
            self._payload.set_exception(SurplusError("more than the announced length"))
        super()._hang_up()
