"""A provider whose tasks are completed at once, and the file server that its URLs lead to."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from tests.http_server import HttpServer, Request, send

Serve: TypeAlias = Callable[[Request, str, int], None]
"""Answers the GET of a file, by its task and how often that was asked for (from 1)."""

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def film(task_id: str, size: int = 100_000) -> bytes:
    """A video as far as its first bytes go, another for each task."""
    body = task_id.encode() + b" "
    return (MP4 + body * (size // len(body) + 1))[:size]


def serve_film(request: Request, task_id: str, count: int) -> None:
    send(request, 200, film(task_id), "video/mp4")


class FilmServer:
    """`polls` counts the questions about each task, `gets` those for its file. Each poll names another URL."""

    def __init__(self, serve: Serve = serve_film) -> None:
        self.serve = serve
        self.polls: Counter[str] = Counter()
        self.gets: Counter[str] = Counter()
        self.server = HttpServer(self.handle)
        self.url = self.server.url

    def handle(self, request: Request) -> None:
        task_id = request.path.partition("?")[0].rpartition("/")[2]
        if not request.path.startswith("/v1/result/"):
            self.gets[task_id] += 1
            self.serve(request, task_id, self.gets[task_id])
            return
        self.polls[task_id] += 1
        url = f"{self.url}/films/{task_id}?poll={self.polls[task_id]}"
        answer = {"id": task_id, "object": "video", "status": "completed", "video_url": url}
        send(request, 200, json.dumps(answer).encode())

    def provider(self) -> dict[str, object]:
        """The `providers:` entry that polls it."""
        quick = {"interval": "200ms", "min_interval": "50ms", "rate": "1000/s", "timeout": "5s"}
        return {"videos": {"base_url": self.url, "api_key": "key-for-tests", **quick}}


@contextmanager
def film_server(serve: Serve = serve_film) -> Iterator[FilmServer]:
    server = FilmServer(serve)
    try:
        yield server
    finally:
        server.server.close()
