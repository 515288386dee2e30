"""What one client may take of the server: time for each stage of a request, and one of a bounded number of connections.

uvicorn bounds the time between two requests only. Who sends no whole head, goes on sending a body that nobody reads,
or does not read its answer would keep a connection for ever, and each costs a file descriptor that polls need.
"""

import asyncio
import resource
import socket
from collections import OrderedDict
from contextlib import suppress
from itertools import islice
from typing import Any, Literal, TypeAlias

import h11
import structlog
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger()

Stage: TypeAlias = Literal["idle", "head", "serving", "rest", "closing"]
"""Between requests; within a request's head, or before the first; answering; still receiving the body of a request that
is answered; closed by us and not yet by the client."""

SECONDS: dict[Stage, float] = {"idle": 75.0, "head": 10.0, "rest": 5.0, "closing": 30.0}
"""How long each stage may last. `serving` is not limited here: reading a body and all else has deadlines of its own.

Idle is longer than clients usually keep a connection, so that it is they who close it, and never in mid-request."""
UNREAD_SECONDS = 30.0
"""How long an answer may wait for a client that does not read it."""
UNSENT_BYTES = 128 * 1024
"""What the kernel takes of an answer beyond what is on its way. A slow client that goes on reading is seen to read."""
MOST_HEAD_BYTES = 16 * 1024
PIECE_BYTES = 2048
MOST_CONNECTIONS = 4096
BEGUN_AT_ONCE = 16
"""Requests in one turn of the event loop. Polls get a turn in between, however many clients ask at the same moment."""


class Connections:
    """All that are open, at most `most`: then who has waited longest without a request has to go.

    `line` are those that have sent something which may be a request; a few of them at a time are looked at.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: set[Connection] = set()
        self.waiting: OrderedDict[Connection, None] = OrderedDict()
        self.line: OrderedDict[Connection, None] = OrderedDict()

    def line_up(self, connection: "Connection") -> None:
        if not self.line:
            connection.loop.call_soon(self._begin, connection.loop)
        self.line[connection] = None
        self.waiting.pop(connection, None)  # now it is we who are late

    def forget(self, connection: "Connection") -> None:
        self.open.discard(connection)
        self.waiting.pop(connection, None)
        self.line.pop(connection, None)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whatever happens to one of them, the others get their turn: nobody else would call this again."""
        try:
            for connection in list(islice(self.line, BEGUN_AT_ONCE)):
                self._begin_one(connection)
        finally:
            if self.line:
                loop.call_soon(self._begin, loop)

    def _begin_one(self, connection: "Connection") -> None:
        try:
            connection.proceed()
        except Exception as error:  # a callback has nobody to raise to
            hint = "a fault of Notifier itself, or of uvicorn's version; please report it"
            log.error("connection.failed", exc_info=error, hint=hint)
            connection.leave()
        finally:
            self.line.pop(connection, None)

    def make_room(self) -> bool:
        """After a new one came; False when it has to go itself, for everybody else is being served."""
        if len(self.open) <= self.most:
            return True
        if len(self.waiting) <= 1:  # the new one itself
            return False
        oldest, _ = self.waiting.popitem(last=False)
        oldest.leave()
        return True

    def expire(self) -> None:
        """Look after everybody; to be called about once a second."""
        for connection in list(self.open):
            connection.expire()


class Connection(H11Protocol):
    """uvicorn's, and in which stage it is since when.

    Relied upon, beside the methods overridden here: `handle_events` gives `conn` (h11) what came, makes `cycle` of a
    request (with `response_started` and `response_complete`), and is called after an answer; `flow` pauses reading;
    `send_400_response` is called for what h11 does not take; `transport` and `loop` are there; `app` is what answers.
    """

    def __init__(self, *args: Any, others: Connections, **more: Any) -> None:
        super().__init__(*args, **more)
        self._others = others
        self._stage: Stage = "head"
        self._until: float | None = None
        self._unread_until: float | None = None
        self._inbox = bytearray()
        self._answer, self.app = self.app, self._answer_or_hang_up

    async def _answer_or_hang_up(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer of known length that cannot be finished has no better end than no end."""
        scope["notifier.hang_up"] = self.transport.abort
        await self._answer(scope, receive, send)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        _keep_little_unsent(transport)
        self._others.open.add(self)
        self._enter("head")
        if not self._others.make_room():
            self._refuse(503, "Service Unavailable", "all connections are taken; try again", "Retry-After: 5\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Within a request at once; what may be a new one waits for its turn."""
        if self._stage in ("serving", "rest"):
            self._feed(data)
            return
        self._enter("head")
        self._inbox += data
        if len(self._inbox) > MOST_HEAD_BYTES:
            self.flow.pause_reading()
        self._others.line_up(self)

    def proceed(self) -> None:
        """Give the parser what has come. A head in small pieces, for it measures only what is not complete."""
        data, self._inbox = bytes(self._inbox), bytearray()
        self.flow.resume_reading()
        if not data:
            super().handle_events()  # a request came together with the one before
            self._enter(self._now_in("idle"))
        while data and self._stage == "head":
            self._feed(data[:PIECE_BYTES])
            data = data[PIECE_BYTES:]
        if data and self._stage != "closing":
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        super().data_received(data)
        self._enter(self._now_in("idle" if self._stage == "rest" else "head"))

    def on_response_complete(self) -> None:
        self._stage, self._until = "idle", None
        super().on_response_complete()
        self._enter(self._now_in("idle"))

    def handle_events(self) -> None:
        """After an answer uvicorn goes on with what the client sent meanwhile: that waits for its turn, too."""
        if self._stage != "idle":
            super().handle_events()
        elif self.conn.trailing_data[0]:
            self._others.line_up(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_until = self.loop.time() + UNREAD_SECONDS

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread_until = None

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or a head that is too large. Too late for an answer within another one."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.leave()
            return
        self._refuse(400, "Bad Request", f"this is no HTTP request, or its head is over {MOST_HEAD_BYTES // 1024} KiB")

    def expire(self) -> None:
        """End a stage that lasts too long."""
        now = self.loop.time()
        if self.transport.is_closing():
            self._enter("closing")
        if self._unread_until is not None and now >= self._unread_until:
            self.transport.abort()
        elif self._until is not None and now >= self._until and self not in self._others.line:
            self._end_stage()

    def leave(self) -> None:
        """Close at once; whatever the client has not read of an earlier answer is dropped."""
        self._enter("closing")
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _now_in(self, otherwise: Stage) -> Stage:
        if self.transport.is_closing():
            return "closing"
        if self.cycle is None or self.cycle.response_complete:
            return "rest" if self.conn.their_state is h11.SEND_BODY else otherwise
        return "serving"

    def _enter(self, stage: Stage) -> None:
        if stage != self._stage or self._until is None:
            self._stage = stage
            self._until = self.loop.time() + SECONDS[stage] if stage in SECONDS else None
        if stage in ("idle", "head"):
            self._others.waiting.setdefault(self)
        else:
            self._others.waiting.pop(self, None)

    def _end_stage(self) -> None:
        match self._stage:
            case "head" if self.conn.trailing_data[0]:
                seconds = f"{SECONDS['head']:g}"
                self._refuse(408, "Request Timeout", f"the head of the request did not arrive within {seconds} s")
            case "closing":
                self.transport.abort()
            case _:
                self.leave()

    def _refuse(self, status: int, title: str, detail: str, headers: str = "") -> None:
        """A problem document (RFC 9457) without an application behind it, and the end of the connection."""
        body = f'{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}'
        head = f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n{headers}\r\n{body}".encode())
        self._enter("closing")
        self.transport.close()


def _keep_little_unsent(transport: asyncio.Transport) -> None:
    """Otherwise it takes megabytes, and tells of progress after a third of them: at 100 kB a second, too late."""
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # the client is gone already
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def affordable() -> int:
    """How many connections may be open: half of the file descriptors are left to polls, attempts and the store."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, soft // 2)


def raise_file_limit() -> None:
    """Take all the file descriptors that we may have. The usual soft limit of 1024 is for select(2), which nobody here
    calls (systemd.exec(5), LimitNOFILE=)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a hard limit from before the system's own was lowered
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
