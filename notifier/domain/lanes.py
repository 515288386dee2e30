"""Whose turn it is to be sent: a lane for each callback URL, hosts above the lanes, and a limit for all together.

Hosts take turns, and so do the lanes of a host, so that many deliveries to one receiver never stand before a few to
another. `now` is a monotonic time in seconds.
"""

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from notifier.domain.pace import Line, Turn
from notifier.domain.receiver import Receivers, host_of
from notifier.domain.sleepers import Sleepers
from notifier.domain.trust import Trust, doubted_places

Key = TypeVar("Key", bound=Hashable)


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
    limits: LaneLimits
    offered: bool = False


@dataclass(slots=True)
class _Host:
    """`turns` are its lanes in which somebody may be able to go, the next one first."""

    turns: deque[str] = field(default_factory=deque)
    busy: int = 0
    lanes: int = 0
    queue: bool | None = None
    """Where it stands in line: with those that are trusted, with the others, or not at all."""
    doubted: int = 0
    """How many of those in flight went while it was not trusted."""


class Lanes(Generic[Key]):
    """Everybody stands at most once in the lane of a callback URL, and is taken when it, its host and all together have
    room. Hosts that are not trusted stand in a queue of their own, for the places that they may take together.
    """

    def __init__(
        self, *, concurrency: int, per_host: int, limits: Mapping[str, LaneLimits] | None = None
    ) -> None:
        self.concurrency = concurrency
        self.per_host = per_host
        self._limits: Mapping[str, LaneLimits] = limits or {}
        self._lanes: dict[str, _Lane[Key]] = {}
        self._hosts: dict[str, _Host] = {}
        self._turns: dict[bool, deque[str]] = {True: deque(), False: deque()}
        self._asleep = Sleepers[str]()
        self._held: dict[str, float] = {}
        self._trust = Trust()
        self._busy = 0
        self._doubted = 0

    def join(self, url: str, key: Key, now: float) -> bool:
        """Stand in the lane of this URL from `now`; False if `key` waits there or is busy already."""
        lane = self._lanes.get(url) or self._open(url, now)
        joined = lane.line.join(key, now)
        if joined:
            self._offer(url, lane)
        return joined

    def take(self, now: float) -> tuple[str, Turn[Key]] | None:
        """The next one that may start, and the URL it is for: of the host that waited longest for its turn."""
        for url in self._asleep.due(now):  # somebody waits in each, so each is still there
            self._offer(url, self._lanes[url])
        return self._take_from(True, now) or self._take_from(False, now)

    def leave(self, url: str, key: Key) -> None:
        """`key`, which was taken, is done."""
        self.step_aside(url)
        self.give_up(url, key)

    def step_aside(self, url: str) -> None:
        """One of those who were taken has something else to do than to be sent: its place among those of its host, and
        of all together, is for others; the one in its lane is kept until it has stepped back."""
        name = self._lanes[url].host
        host = self._hosts[name]
        self._busy -= 1
        host.busy -= 1
        if host.doubted:
            host.doubted -= 1
            self._doubted -= 1
        self._offer_host(name, host)

    def step_back(self, url: str, key: Key, now: float) -> None:
        """`key`, which had stepped aside, is the next one of its lane."""
        lane = self._lanes[url]
        lane.line.step_back(key, now)
        self._asleep.wake(url)
        self._offer(url, lane)

    def give_up(self, url: str, key: Key) -> None:
        """`key`, which had stepped aside, does not come back."""
        lane = self._lanes[url]
        lane.line.leave(key)
        if lane.line.idle and not lane.line.rated:
            self._close(url, lane)
        else:
            self._offer(url, lane)

    def wake_at(self) -> float | None:
        """When `take()` is worth asking again although nobody joined or left; None: only that can change its answer."""
        return self._asleep.next_at()

    def learn(self, url: str, *, answers: bool) -> None:
        """This URL's host has answered, or ran into the time-out."""
        name = host_of(url)
        self._trust.learn(name, answers=answers)
        host = self._hosts.get(name)
        if host is not None and host.queue is not None and host.queue != answers:
            host.queue = None  # what is left of it in the other queue is passed over
            self._offer_host(name, host)

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
        resized = per_host != self.per_host
        self.concurrency, self.per_host, self._limits = concurrency, per_host, limits
        for url, lane in list(self._lanes.items()):
            asked = limits.get(url, LaneLimits())
            if asked != lane.limits or resized:
                self._limit(url, lane, asked, now)
        for name, host in self._hosts.items():
            self._offer_host(name, host)

    @property
    def busy(self) -> int:
        return self._busy

    @property
    def waiting(self) -> int:
        return sum(lane.line.waiting for lane in self._lanes.values())

    def oldest(self) -> float | None:
        """Since when the longest waiting one has been waiting of those that nothing holds but their turn."""
        waiting = (host for host in self._hosts.values() if host.queue is not None)
        free = (self._lanes[url].line.oldest() for host in waiting for url in host.turns)
        return min((due for due in free if due is not None), default=None)

    def _open(self, url: str, now: float) -> _Lane[Key]:
        asked = self._limits.get(url, LaneLimits())
        line = Line[Key](concurrency=self._room_of(asked), rate=asked.rate, now=now)
        line.held_until = self._held.get(url)
        lane = self._lanes[url] = _Lane(host_of(url), line, asked)
        self._hosts.setdefault(lane.host, _Host()).lanes += 1
        return lane

    def _close(self, url: str, lane: _Lane[Key]) -> None:
        host = self._hosts[lane.host]
        del self._lanes[url]
        host.lanes -= 1
        if host.lanes:
            self._offer_host(lane.host, host)
        else:
            del self._hosts[lane.host]

    def _limit(self, url: str, lane: _Lane[Key], asked: LaneLimits, now: float) -> None:
        lane.limits = asked
        lane.line.change(concurrency=self._room_of(asked), rate=asked.rate, now=now)
        if lane.line.idle and not lane.line.rated:
            self._close(url, lane)
        else:
            self._asleep.wake(url)
            self._offer(url, lane)

    def _take_from(self, trusted: bool, now: float) -> tuple[str, Turn[Key]] | None:
        turns = self._turns[trusted]
        while turns and self._busy < self.concurrency:
            if not trusted and self._doubted >= doubted_places(self.concurrency, self.per_host):
                return None
            name = turns.popleft()
            host = self._hosts.get(name)
            if host is None or host.queue != trusted:
                continue
            host.queue = None
            taken = self._take_of(name, host, now)
            if taken is not None:
                self._count(host, trusted)
                self._offer(taken[0], self._lanes[taken[0]])
                self._offer_host(name, host)
                return taken
        return None

    def _count(self, host: _Host, trusted: bool) -> None:
        self._busy += 1
        host.busy += 1
        if not trusted:
            host.doubted += 1
            self._doubted += 1

    def _take_of(self, name: str, host: _Host, now: float) -> tuple[str, Turn[Key]] | None:
        while host.turns and host.busy < self._room(name):
            url = host.turns.popleft()
            lane = self._lanes[url]
            lane.offered = False
            turn = lane.line.take(now)
            if turn is not None:
                return url, turn
            # One that is full is offered again when somebody leaves; any other one only time can help.
            if (until := lane.line.wake_at(now)) is not None:
                self._asleep.put(url, until)
        return None

    def _adjust(self, url: str) -> None:
        lane = self._lanes.get(url)
        if lane is not None:
            lane.line.held_until = self._held.get(url)
            self._asleep.wake(url)
            self._offer(url, lane)

    def _offer(self, url: str, lane: _Lane[Key]) -> None:
        if lane.offered or url in self._asleep or not lane.line.waiting:
            return
        host = self._hosts[lane.host]
        lane.offered = True
        host.turns.append(url)
        self._offer_host(lane.host, host)

    def _offer_host(self, name: str, host: _Host) -> None:
        if host.queue is None and host.turns and host.busy < self._room(name):
            host.queue = self._trust.trusted(name)
            self._turns[host.queue].append(name)

    def _room(self, name: str) -> int:
        return self._trust.room(name, per_host=self.per_host, doubted=self._doubted, places=self.concurrency)

    def _room_of(self, asked: LaneLimits) -> int:
        return self.per_host if asked.concurrency is None else asked.concurrency
