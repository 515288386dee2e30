"""Name look-ups that never block the loop, and never outlive their welcome.

The C library's resolver can hang for half a minute and cannot be cancelled. Each look-up has a daemon thread of its
own, so a hung one holds up neither the callers (their deadline ends the wait) nor the end of the process, which joins
the threads of an executor. One name is looked up once at a time, so a hung name server costs one thread for each of
its names, however many calls are waiting.

Anybody can own a thousand names whose server never answers. So a look-up that takes long gives its place to the next
one and goes on beside; so many may hang like that, and when there are more, names that are not known to be quick are
refused at once. Those that are known to be quick have places of their own.
"""

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeAlias

Resolve: TypeAlias = Callable[[str], Sequence[str]]
"""Blocking: all addresses of a name, as text; OSError when there are none."""

AT_ONCE = 64
PATIENCE_SECONDS = 0.5
"""So long a look-up keeps its place among those."""
MOST_HUNG = 256
"""Threads that wait for name servers, beside those who have a place; twice as many for names that were quick before."""
MOST_KNOWN = 10_000


class CrowdedError(OSError):
    """No look-up was begun, as too many others hang. That is our shortage, and says nothing about the name."""


def system_addresses(host: str) -> Sequence[str]:
    """Ask the system's resolver (hosts file, DNS) for every address, so that every one can be judged."""
    # As bytes, because the codec for str refuses some names that exist.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Lookup:
    """Looks names up with a blocking function: AT_ONCE names at the same time, and as many that are known to be quick;
    those that have taken longer than PATIENCE_SECONDS do not count."""

    def __init__(self, resolve: Resolve = system_addresses) -> None:
        self._resolve = resolve
        self._places = {quick: asyncio.Semaphore(AT_ONCE) for quick in (True, False)}
        self._pending: dict[str, asyncio.Future[Sequence[str] | OSError]] = {}
        self._quick: OrderedDict[str, None] = OrderedDict()
        self._patience: dict[str, asyncio.TimerHandle] = {}

    async def addresses(self, host: str) -> Sequence[str]:
        """At least one address, without repetition; OSError when the name has none or cannot be looked up now
        (CrowdedError when that is because of other names)."""
        pending = self._pending.get(host) or await self._start(host)
        # Shielded: the others who wait for the same name go on when one of them gives up.
        result = await asyncio.shield(pending)
        if isinstance(result, OSError):
            # A fresh one for each waiter, as raising changes an exception.
            raise OSError(result.errno, result.strerror or "the look-up failed")
        return result

    async def _start(self, host: str) -> asyncio.Future[Sequence[str] | OSError]:
        quick = host in self._quick
        place = self._places[quick]
        await place.acquire()
        if (pending := self._pending.get(host)) is not None:
            place.release()
            return pending
        if len(self._pending) - len(self._patience) >= MOST_HUNG * (1 + quick):
            place.release()
            raise CrowdedError(None, "the look-ups of too many other names hang; try again in a minute")
        return self._launch(host, place)

    def _launch(self, host: str, place: asyncio.Semaphore) -> asyncio.Future[Sequence[str] | OSError]:
        loop = asyncio.get_running_loop()
        pending = self._pending[host] = loop.create_future()
        self._patience[host] = loop.call_later(PATIENCE_SECONDS, self._leave_place, host, place)
        try:
            threading.Thread(target=self._work, args=(host, place, loop), name="lookup", daemon=True).start()
        except RuntimeError:
            self._finish(host, place, OSError(None, "the machine has no thread left for it; raise its limit of tasks"))
        return pending

    def _work(self, host: str, place: asyncio.Semaphore, loop: asyncio.AbstractEventLoop) -> None:
        result: Sequence[str] | OSError
        try:
            result = list(dict.fromkeys(self._resolve(host))) or OSError(None, "it has no address")
        except OSError as exc:
            result = exc
        except Exception as exc:  # noqa: BLE001  # a thread has nobody to raise to; the callers would wait for ever
            result = OSError(None, f"the look-up failed ({type(exc).__name__})")
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile; nobody waits
            loop.call_soon_threadsafe(self._finish, host, place, result)

    def _finish(self, host: str, place: asyncio.Semaphore, result: Sequence[str] | OSError) -> None:
        in_time = self._leave_place(host, place)
        self._remember(host, quick=in_time and not isinstance(result, OSError))
        pending = self._pending.pop(host)
        if not pending.done():
            pending.set_result(result)

    def _leave_place(self, host: str, place: asyncio.Semaphore) -> bool:
        """False if the look-up had lost its place already, because it took too long."""
        timer = self._patience.pop(host, None)
        if timer is None:
            return False
        timer.cancel()
        place.release()
        return True

    def _remember(self, host: str, *, quick: bool) -> None:
        self._quick.pop(host, None)
        if quick:
            self._quick[host] = None
            if len(self._quick) > MOST_KNOWN:
                self._quick.popitem(last=False)
