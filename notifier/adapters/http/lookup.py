"""Name look-ups that never block the loop, and never outlive their welcome.

The C library's resolver can hang for half a minute and cannot be cancelled. Each look-up has a daemon thread of its
own, so a hung one holds up neither the callers (their deadline ends the wait) nor the end of the process, which joins
the threads of an executor. One name is looked up once at a time, so a hung name server costs one thread for each of
its names, however many calls are waiting.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

Resolve: TypeAlias = Callable[[str], Sequence[str]]
"""Blocking: all addresses of a name, as text; OSError when there are none."""

AT_ONCE = 64


def system_addresses(host: str) -> Sequence[str]:
    """Ask the system's resolver (hosts file, DNS) for every address, so that every one can be judged."""
    # As bytes, because the codec for str refuses some names that exist.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Lookup:
    """Looks names up with a blocking function, `AT_ONCE` names at the most at the same time."""

    def __init__(self, resolve: Resolve = system_addresses) -> None:
        self._resolve = resolve
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._pending: dict[str, asyncio.Future[Sequence[str] | OSError]] = {}

    async def addresses(self, host: str) -> Sequence[str]:
        """At least one address, without repetition; OSError when the name has none or cannot be looked up now."""
        pending = self._pending.get(host) or await self._start(host)
        # Shielded: the others who wait for the same name go on when one of them gives up.
        result = await asyncio.shield(pending)
        if isinstance(result, OSError):
            # A fresh one for each waiter, as raising changes an exception.
            raise OSError(result.errno, result.strerror or "the look-up failed")
        return result

    async def _start(self, host: str) -> asyncio.Future[Sequence[str] | OSError]:
        await self._slots.acquire()
        if (pending := self._pending.get(host)) is not None:
            self._slots.release()
            return pending
        loop = asyncio.get_running_loop()
        pending = self._pending[host] = loop.create_future()
        threading.Thread(target=self._work, args=(host, loop), name="lookup", daemon=True).start()
        return pending

    def _work(self, host: str, loop: asyncio.AbstractEventLoop) -> None:
        result: Sequence[str] | OSError
        try:
            result = list(dict.fromkeys(self._resolve(host))) or OSError(None, "it has no address")
        except OSError as exc:
            result = exc
        except Exception as exc:  # noqa: BLE001  # a thread has nobody to raise to; the callers would wait for ever
            result = OSError(None, f"the look-up failed ({type(exc).__name__})")
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile; nobody waits
            loop.call_soon_threadsafe(self._finish, host, result)

    def _finish(self, host: str, result: Sequence[str] | OSError) -> None:
        self._slots.release()
        pending = self._pending.pop(host)
        if not pending.done():
            pending.set_result(result)
