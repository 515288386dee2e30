"""What the daemon talks to while it is measured: a provider and a receiver so cheap that they are not what is measured.

They answer from one asyncio protocol, without a framework, in a thread of the measuring process.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s"
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Peers:
    """`open` says whether tasks are completed; while it is not, the provider asks for a pause of one second.
    `received` is what came to the receiver: the body, and when (seconds since the epoch)."""

    open: bool = True
    received: list[tuple[bytes, float]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def latencies(self, skipped: float = 0.0) -> list[float]:
        """Seconds from learning an end (the event's timestamp) to its webhook, sorted; of what was learned in the
        first `skipped` seconds none."""
        pairs = sorted((learned(body), at) for body, at in self.received)
        return sorted(at - since for since, at in pairs if since >= pairs[0][0] + skipped)

    def span(self) -> float:
        """Seconds from learning the first end to the last webhook."""
        return max(at for _, at in self.received) - min(learned(body) for body, _ in self.received)

    def answer(self, request: bytes, body: bytes) -> bytes:
        if request.startswith(b"POST"):
            self.received.append((body, time.time()))
            return _NO_CONTENT
        if not self.open:
            return _HEAD % (b"429 Too Many Requests", 0, b"Retry-After: 1\r\n", b"")
        task_id = request.partition(b"/v1/result/")[2].partition(b" ")[0]
        answer = (
            b'{"id":"%s","object":"video","created":1763818380,"model":"film-1","status":"completed",'
            b'"video_url":"https://cdn.example.com/videos/%s.mp4","actualDuration":8}' % (task_id, task_id)
        )
        return _HEAD % (b"200 OK", len(answer), b"", answer)


def learned(body: bytes) -> float:
    event: dict[str, Any] = json.loads(body)
    return datetime.fromisoformat(event["timestamp"]).timestamp()


class _Connection(asyncio.Protocol):
    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            head, _, rest = self._read.partition(b"\r\n\r\n")
            _, _, length = head.lower().partition(b"content-length:")
            size = int(length.split(b"\r\n", 1)[0]) if length else 0
            if len(rest) < size:
                return
            self._read = rest[size:]
            self._transport.write(self._peers.answer(head, rest[:size]))


@contextmanager
def peers() -> Iterator[Peers]:
    both, loop = Peers(), asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: _Connection(both), "127.0.0.1", 0, backlog=1000))
    both.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield both
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()
