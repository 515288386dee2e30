"""A provider in a thread of this process that knows which node asked for which task when."""

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

ANSWERS_IN = 0.02
"""Seconds from a poll to its answer, so that two polls of one task at a time are seen."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll as it came in. `node` is told by its API key, `provider` by the path; `at` is monotonic."""

    provider: str
    task_id: str
    node: str
    at: float


class ProviderServer:
    """The videos API below each path (`/videos`, `/rated` …); tasks run until a test ends them.

    Nodes are known by their keys: `key-NODE`.
    """

    def __init__(self) -> None:
        self.polls: list[Poll] = []
        self.completed: dict[str, float] = {}
        self.told: dict[str, Poll] = {}
        """The poll that was first told of each end."""
        self.overlaps: list[tuple[Poll, Poll]] = []
        """Polls of one task by two nodes, the second while the first waited for its answer."""
        self.waiting: dict[tuple[str, str], Poll] = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.ready = threading.Event()
        self.thread.start()
        assert self.ready.wait(10)

    def _run(self) -> None:
        self.server = self.loop.run_until_complete(
            self.loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        )
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        self.ready.set()
        self.loop.run_forever()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.server.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def end(self, task_ids: Iterable[str]) -> None:
        """From now on these are completed."""
        self.completed.update(dict.fromkeys(task_ids, time.monotonic()))

    def asked(self, path: str, key: str, reply: Callable[[bytes], None]) -> None:
        """A poll came in; it is answered in a moment."""
        provider, _, task_id = unquote(path).lstrip("/").partition("/v1/result/")
        poll = Poll(provider, task_id, key.removeprefix("Bearer key-"), time.monotonic())
        self.polls.append(poll)
        other = self.waiting.setdefault((provider, task_id), poll)
        if other.node != poll.node:
            self.overlaps.append((other, poll))
        self.loop.call_later(ANSWERS_IN, self._answer, poll, reply)

    def _answer(self, poll: Poll, reply: Callable[[bytes], None]) -> None:
        self.waiting.pop((poll.provider, poll.task_id), None)
        body = {"id": poll.task_id, "object": "video", "created": 1, "model": "m", "status": "processing"}
        if poll.task_id in self.completed:
            body |= {"status": "completed", "video_url": f"https://files.example.com/{poll.task_id}.mp4"}
            self.told.setdefault(poll.task_id, poll)
        reply(json.dumps(body).encode())

    def since(self, at: float, until: float = float("inf"), *, provider: str | None = None) -> list[Poll]:
        """Polls from one moment until another, oldest first."""
        found = []
        for poll in reversed(self.polls):
            if poll.at < at:
                break
            if poll.at < until and provider in (None, poll.provider):
                found.append(poll)
        return found[::-1]

    def askers(self, at: float, until: float = float("inf"), *, provider: str | None = None) -> dict[str, list[str]]:
        """For each task the nodes that polled it, in their order, each once in a row."""
        found = defaultdict[str, list[str]](list)
        for poll in self.since(at, until, provider=provider):
            if found[poll.task_id][-1:] != [poll.node]:
                found[poll.task_id].append(poll.node)
        return dict(found)


class _Connection(asyncio.Protocol):
    """Reads GETs one after another, which is what clients with a pool send."""

    def __init__(self, provider: ProviderServer) -> None:
        self.provider = provider
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.provider.asked(first.split(" ")[1], headers.get("authorization", ""), self.reply)

    def reply(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)
