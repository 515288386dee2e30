"""Time, chance, and who runs beside whom; providers and receivers at the other end."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Protocol

from notifier.domain.address import Refusal
from notifier.domain.answer import Answer
from notifier.domain.delivery import Receipt


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, UTC; it may jump."""
        ...

    def settled(self) -> datetime:
        """The wall clock for what cannot be undone: it takes part in a jump ahead only when that has lasted a while."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...


class Chance(Protocol):
    def spread(self) -> float:
        """Evenly distributed in [-1, 1]."""
        ...

    def new_id(self, prefix: str) -> str:
        """An unguessable id, `prefix` first."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """So many unguessable bytes, for a secret."""
        ...


class Crew(Protocol):
    """Owner of everything that runs beside: nothing is started that nobody waits for at the stop."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside; an exception out of it is logged as our own fault."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call `call` once, in so many seconds; the answer cancels it."""
        ...


class Timetable(Protocol):
    """One interval job for each watched task; each firing calls the poller's `due(key, seconds_late)`. When that is
    False the next firings may be left out: the poller postpones the job itself."""

    def repeat(self, key: int, interval: float, *, delay: float) -> None:
        """Fire first in `delay` seconds, then one interval apart (±6 %); replaces the task's job if there is one."""
        ...

    def postpone(self, key: int, delay: float) -> None:
        """Fire next in `delay` seconds, and then by the interval again; nothing if there is no such job."""
        ...

    def drop(self, key: int) -> None:
        """No more firings; nothing if there is no such job."""
        ...

    def next_at(self, key: int) -> datetime | None: ...


class Alarms(Protocol):
    def ring(self, delivery_id: str, url: str, at: datetime) -> None:
        """Call the dispatcher's `due(delivery_id, url)` once at that time (at once when it has passed)."""
        ...


class Provider(Protocol):
    async def poll(self, task_id: str, variables: Mapping[str, str]) -> Answer:
        """Ask once, within the provider's time-out; never raises for what the other side does. `variables` are the
        task's own values for the provider's path."""
        ...


class Sender(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """One HTTP POST within the attempt's deadline, to an address that the guard allows; never raises for what
        the other side does."""
        ...


class GuardBusyError(Exception):
    """So many look-ups of names hang that no other can begin: nothing is known of this URL, and nothing is wrong with
    it. Try again later."""


class Guard(Protocol):
    async def check(self, url: str) -> Refusal | None:
        """Whether `url` may be called as far as can be known now, name look-up included; None is yes. GuardBusyError
        when that cannot be found out now."""
        ...
