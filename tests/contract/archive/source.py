"""A quick server of one large file, in a process of its own: threads and sendfile, as little CPU as possible.

python -m tests.contract.archive.source FILE   (prints its port; ends when its standard input does)

`/large` is the file, `/small` its first bytes, `/breaking` ends each answer after 10 MB but knows ranges, and
`/endless` never ends.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

BREAK_BYTES = 10_000_000
SMALL_BYTES = 1000


def answer(connection: socket.socket, head: bytes, file: int) -> None:
    size = os.fstat(file).st_size
    if b"/endless" in head:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            os.sendfile(connection.fileno(), file, 0, size)
    stop = SMALL_BYTES if b"/small" in head else size
    found = re.search(rb"\r\nrange: bytes=(\d+)-", head, re.IGNORECASE)
    start = int(found[1]) if found else 0
    status = b"206 Partial Content\r\nContent-Range: bytes %d-%d/%d" % (start, stop - 1, stop) if found else b"200 OK"
    connection.sendall(b'HTTP/1.1 %b\r\nETag: "v1"\r\nContent-Length: %d\r\n\r\n' % (status, stop - start))
    end = min(stop, start + BREAK_BYTES) if b"/breaking" in head else stop
    while start < end:
        start += os.sendfile(connection.fileno(), file, start, end - start)


def talk(connection: socket.socket, file: int) -> None:
    with connection, contextlib.suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := connection.recv(65_536)):
                return
            head += data
        answer(connection, head, file)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # until the other side has it all


def serve(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0], file), daemon=True).start()


@contextlib.contextmanager
def source(path: Path) -> Iterator[str]:
    """The URL of such a server, with a slash behind."""
    command = [sys.executable, "-m", "tests.contract.archive.source", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.terminate()


if __name__ == "__main__":
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    serve(sys.argv[1])
