"""A provider whose tasks are completed at once, and the file server that its URLs lead to."""

import http.server
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Serve: TypeAlias = Callable[[http.server.BaseHTTPRequestHandler, str, int], None]
"""Answers the GET of a file, by its task and how often that was asked for (from 1)."""

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def film(task_id: str, size: int = 100_000) -> bytes:
    """A video as far as its first bytes go, another for each task."""
    body = task_id.encode() + b" "
    return (MP4 + body * (size // len(body) + 1))[:size]


def serve_film(request: http.server.BaseHTTPRequestHandler, task_id: str, count: int) -> None:
    send(request, 200, film(task_id), "video/mp4")


def send(request: http.server.BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "text/plain") -> None:
    request.send_response(status)
    request.send_header("content-type", kind)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


class FilmServer:
    """`polls` counts the questions about each task, `gets` those for its file. Each poll names another URL."""

    def __init__(self, serve: Serve = serve_film) -> None:
        self.serve = serve
        self.polls: Counter[str] = Counter()
        self.gets: Counter[str] = Counter()
        films = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                films.handle(self)

            def log_message(self, *_: object) -> None: ...

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def handle(self, request: http.server.BaseHTTPRequestHandler) -> None:
        task_id = request.path.partition("?")[0].rpartition("/")[2]
        if not request.path.startswith("/v1/result/"):
            self.gets[task_id] += 1
            self.serve(request, task_id, self.gets[task_id])
            return
        self.polls[task_id] += 1
        url = f"{self.url}/films/{task_id}?poll={self.polls[task_id]}"
        answer = {"id": task_id, "object": "video", "status": "completed", "video_url": url}
        send(request, 200, json.dumps(answer).encode(), "application/json")

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
        server.server.shutdown()
        server.server.server_close()
