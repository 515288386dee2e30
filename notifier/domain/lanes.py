"""Whose turn it is to be sent: a lane for each callback URL, hosts above the lanes, and a limit for all together.

Hosts take turns, and so do the lanes of a host, so that many deliveries to one receiver never stand before a few to
another. `now` is a monotonic time in seconds.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Generic, TypeVar

from notifier.domain.pace import Line, Turn
from notifier.domain.receiver import Receivers, host_of

Key = TypeVar("Key", bound=Hashable)

MOST_KNOWN = 10_000
"""Hosts that are remembered by whether they answer; of the one that was heard of longest ago nothing is known again."""


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What one callback URL may have at most: attempts in flight, and attempts a second. None: as its host has."""

    concurrency: int | None = None
    rate: float | None = None


def limits_of(receivers: Receivers) -> Mapping[str, LaneLimits]:
    """The callback URLs that have limits of their own."""
    own = {url: LaneLimits(one.concurrency, one.rate) for url, one in receivers.endpoints.items()}
    return {url: limits for url, limits in own.items() if limits != LaneLimits()}


@dataclass(slots=True)
class _Lane(Generic[Key]):
    host: str
    line: Line[Key]
    offered: bool = False
    asleep_until: float | None = None


@dataclass(slots=True)
class _Host:
    """`turns` are its lanes in which somebody may be able to go, the next one first."""

    turns: deque[str] = field(default_factory=deque)
    busy: int = 0
    lanes: int = 0
    offered: bool = False


class Lanes(Generic[Key]):
    """Everybody stands at most once in the lane of a callback URL, and is taken when it, its host and all together have
    room.

    A host that ran into the time-out gets one at a time, so that a receiver which hangs costs one place and not
    `per_host`. So does one of which nothing is known yet once half of all places are taken: fifty new ones that hang
    must not take them all.
    """

    def __init__(
        self, *, concurrency: int, per_host: int, limits: Mapping[str, LaneLimits] | None = None
    ) -> None:
        self.concurrency = concurrency
        self.per_host = per_host
        self._limits: Mapping[str, LaneLimits] = limits or {}
        self._lanes: dict[str, _Lane[Key]] = {}
        self._hosts: dict[str, _Host] = {}
        self._turns: deque[str] = deque()
        self._asleep: list[tuple[float, str]] = []
        self._held: dict[str, float] = {}
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._busy = 0

    def join(self, url: str, key: Key, now: float) -> bool:
        """Stand in the lane of this URL from `now`; False if `key` waits there or is busy already."""
        lane = self._lanes.get(url) or self._open(url, now)
        joined = lane.line.join(key, now)
        if joined:
            self._offer(url, lane)
        return joined

    def take(self, now: float) -> tuple[str, Turn[Key]] | None:
        """The next one that may start, and the URL it is for: of the host that waited longest for its turn."""
        self._wake(now)
        while self._turns and self._busy < self.concurrency:
            name = self._turns.popleft()
            host = self._hosts[name]
            host.offered = False
            taken = self._take_of(name, host, now)
            if taken is not None:
                self._busy += 1
                host.busy += 1
                self._offer(taken[0], self._lanes[taken[0]])
                self._offer_host(name, host)
                return taken
        return None

    def leave(self, url: str, key: Key) -> None:
        """`key`, which was taken, is done."""
        lane = self._lanes[url]
        host = self._hosts[lane.host]
        self._busy -= 1
        host.busy -= 1
        lane.line.leave(key)
        if lane.line.idle and not lane.line.rated:
            self._close(url, lane)
        else:
            self._offer(url, lane)
        self._offer_host(lane.host, host)

    def wake_at(self) -> float | None:
        """When `take()` is worth asking again although nobody joined or left; None: only that can change its answer."""
        return self._asleep[0][0] if self._asleep else None

    def learn(self, url: str, *, answers: bool) -> None:
        """This URL's host has answered, or ran into the time-out."""
        host = host_of(url)
        self._known[host] = answers
        self._known.move_to_end(host)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def hold(self, url: str, until: float) -> None:
        """Nobody goes to this URL before then, and after it one at a time, until it is released."""
        self._held[url] = until
        self._adjust(url)

    def release(self, url: str) -> None:
        if self._held.pop(url, None) is not None:
            self._adjust(url)

    def change(
        self, *, concurrency: int, per_host: int, limits: Mapping[str, LaneLimits], now: float
    ) -> None:
        """Other limits from now on (a reload)."""
        self.concurrency, self.per_host, self._limits = concurrency, per_host, limits
        for url, lane in list(self._lanes.items()):
            asked = self._limits.get(url, LaneLimits())
            lane.line.change(concurrency=self._room_of(asked), rate=asked.rate, now=now)
            if lane.line.idle and not lane.line.rated:
                self._close(url, lane)
            else:
                self._awaken(url, lane)
                self._offer_host(lane.host, self._hosts[lane.host])

    @property
    def busy(self) -> int:
        return self._busy

    @property
    def waiting(self) -> int:
        return sum(lane.line.waiting for lane in self._lanes.values())

    def oldest(self) -> float | None:
        """Since when the longest waiting one has been waiting of those that nothing holds but their turn."""
        free = (self._lanes[url].line.oldest() for name in self._turns for url in self._hosts[name].turns)
        return min((due for due in free if due is not None), default=None)

    def _open(self, url: str, now: float) -> _Lane[Key]:
        asked = self._limits.get(url, LaneLimits())
        line = Line[Key](concurrency=self._room_of(asked), rate=asked.rate, now=now)
        line.held_until = self._held.get(url)
        lane = self._lanes[url] = _Lane(host_of(url), line)
        self._hosts.setdefault(lane.host, _Host()).lanes += 1
        return lane

    def _close(self, url: str, lane: _Lane[Key]) -> None:
        del self._lanes[url]
        self._hosts[lane.host].lanes -= 1

    def _take_of(self, name: str, host: _Host, now: float) -> tuple[str, Turn[Key]] | None:
        while host.turns and host.busy < self._room(name):
            url = host.turns.popleft()
            lane = self._lanes[url]
            lane.offered = False
            turn = lane.line.take(now)
            if turn is not None:
                return url, turn
            self._let_sleep(url, lane, lane.line.wake_at(now))
        return None

    def _let_sleep(self, url: str, lane: _Lane[Key], until: float | None) -> None:
        """A lane that only time can help; one that is full is offered again when somebody leaves."""
        if until is not None:
            lane.asleep_until = until
            heappush(self._asleep, (until, url))

    def _wake(self, now: float) -> None:
        while self._asleep and self._asleep[0][0] <= now:
            until, url = heappop(self._asleep)
            lane = self._lanes.get(url)
            if lane is not None and lane.asleep_until == until:
                self._awaken(url, lane)

    def _adjust(self, url: str) -> None:
        lane = self._lanes.get(url)
        if lane is not None:
            lane.line.held_until = self._held.get(url)
            self._awaken(url, lane)

    def _awaken(self, url: str, lane: _Lane[Key]) -> None:
        lane.asleep_until = None
        self._offer(url, lane)

    def _offer(self, url: str, lane: _Lane[Key]) -> None:
        if lane.offered or lane.asleep_until is not None or not lane.line.waiting:
            return
        host = self._hosts[lane.host]
        lane.offered = True
        host.turns.append(url)
        self._offer_host(lane.host, host)

    def _offer_host(self, name: str, host: _Host) -> None:
        if not host.lanes:
            self._hosts.pop(name, None)
        elif not host.offered and host.turns and host.busy < self._room(name):
            host.offered = True
            self._turns.append(name)

    def _room(self, name: str) -> int:
        roomy = self._known.get(name, self._busy < self.concurrency / 2)
        return self.per_host if roomy else 1

    def _room_of(self, asked: LaneLimits) -> int:
        return self.per_host if asked.concurrency is None else asked.concurrency
