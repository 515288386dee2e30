"""A stretch of wire between a daemon and a server, in a thread of this process, that a test may cut."""

import asyncio
import contextlib
import threading


class Wire:
    """What is said to `port` reaches `target` (both on loopback), unless it is cut: then nobody is told anything, as
    when a network drops packets. What was on its way arrives once it is mended."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.tasks = set[asyncio.Task[None]]()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def cut(self) -> None:
        self.loop.call_soon_threadsafe(self.whole.clear)

    def mend(self) -> None:
        self.loop.call_soon_threadsafe(self.whole.set)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(10)

    def _run(self) -> None:
        self.whole, self.over = asyncio.Event(), asyncio.Event()
        self.whole.set()
        with contextlib.closing(self.loop):
            self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.over.wait()
        server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer.transport):
            await self.whole.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            with contextlib.closing(back.transport):
                await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one side ends, of which the other hears."""
        while piece := await reader.read(64 * 1024):
            await self.whole.wait()
            writer.write(piece)
            await writer.drain()
        await self.whole.wait()
        writer.transport.close()
