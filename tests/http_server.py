"""An HTTP server in threads of this process, which a test steers."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler as Request

Handle = Callable[[Request], None]
"""Answers one request, as with `send`."""


def send(request: Request, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
    request.send_response(status)
    for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


class HttpServer:
    """Hands every request of every connection to `handle`; whoever goes away in the middle is no matter."""

    def __init__(self, handle: Handle, host: str = "127.0.0.1") -> None:
        class Handler(Request):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                handle(self)

            do_GET = do_POST = do_PUT = handle_one  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_: object) -> None: ...

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *_: object) -> None: ...

        self._server = Server((host, 0), Handler)
        self.url = f"http://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def http_server(handle: Handle) -> Iterator[str]:
    """Its URL, for as long as the block runs."""
    server = HttpServer(handle)
    try:
        yield server.url
    finally:
        server.close()
