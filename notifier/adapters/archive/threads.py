"""Threads for disks, which may hang for ever: nobody waits for them longer than agreed, not even the process's end."""

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

MOST_THREADS = 16

P = ParamSpec("P")
T = TypeVar("T")


class DiskThreads(Executor):
    """At most `most`, started as they are needed. They are daemon threads: those of the standard library's pool are
    joined when the process ends, so that one `fsync` on a network that is gone would keep it from ending."""

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `Executor`'s: RuntimeError after `shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the archive is closed")
            self._work.put((future, functools.partial(fn, *args, **kwargs)))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
                self._threads.append(threading.Thread(target=self._serve, name="archive", daemon=True))
                self._threads[-1].start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What has been submitted is still done, if the process lives for long enough."""
        self.end(float("inf") if wait else 0.0)

    def end(self, seconds: float) -> None:
        """Wait at most so long for what is being done."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._work.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, min(until - time.monotonic(), threading.TIMEOUT_MAX)))

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            _do(*work)
            del work  # what it holds is not kept until the next
            self._idle.release()


def _do(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001  # it belongs to who waits
        future.set_exception(error)


async def obtain(threads: Executor, work: Callable[[], T], give_back: Callable[[T], None]) -> T:
    """The result of `work` in a thread. Who is cancelled before it comes leaves nothing open: it is given back."""

    def left(late: Future[T]) -> None:
        if not late.cancelled() and late.exception() is None:
            give_back(late.result())

    future = threads.submit(work)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(left)
        raise
