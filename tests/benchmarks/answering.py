"""A server of the videos API that says of every task that it is processing, as cheaply as Python can.

    python -m tests.benchmarks.answering PORT

It reads no more of a request than its first line, and answers each within the turn in which it came: what is measured
must be the ones who ask. `GET /seen` tells about how many tasks requests came since the start.
"""

import asyncio
import json
import sys
from typing import ClassVar

_PATH = b"/v1/result/"
_BODY = b'{"id":"%b","object":"video","created":1763900000,"model":"kling-v2","status":"processing"}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Answering(asyncio.Protocol):
    tasks: ClassVar[set[bytes]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in whole:
            self._answer(head[4 : head.index(b" ", 4)])

    def _answer(self, path: bytes) -> None:
        if path == b"/seen":
            body = json.dumps({"tasks": len(self.tasks)}).encode()
        else:
            task = path[len(_PATH) :]
            body = _BODY % task
            self.tasks.add(task)
        self._transport.write(_HEAD % len(body) + body)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
