"""Who may go next: first come first served, within a concurrency, a rate and a pause.

Everything here is plain state driven from outside; `now` is a monotonic time in seconds.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

Key = TypeVar("Key", bound=Hashable)
PauseReason: TypeAlias = Literal["throttled", "unauthorized"]


PART_SAVES_SECONDS = 0.5
"""What a part of a rate saves up at most: with all parts together that is half a second's worth of the whole, so that
they keep to it within 10 % over ten seconds even if all of them burst at once."""


class TokenBucket:
    """At most `rate` a second on average, and one second's worth (at least one) at once.

    A `part` of a rate, whose other parts are somebody else's, saves less, and nothing at all while it is 0. One that is
    so small that what it saves is less than one token gathers the rest of it only while somebody waits: else the parts
    that are idle would have one each to spend at the same time.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._set(rate, part=False)
        self._tokens = self._burst
        self._filled_at = now

    def change(self, rate: float, now: float, *, part: bool = False) -> None:
        """Another rate from now on; what was saved up stays, within the new burst."""
        self._fill(now)
        self._set(rate, part=part)
        self._tokens = min(self._tokens, self._burst)

    def _set(self, rate: float, *, part: bool) -> None:
        self._rate = rate
        self._saved = rate * PART_SAVES_SECONDS if part else max(rate, 1.0)
        self._burst = max(self._saved, 1.0) if rate else 0.0
        self.thin = self._saved < self._burst
        """Whether `rest()` makes a difference."""

    def rest(self, now: float) -> None:
        """Nobody has been waiting until now: what was gathered meanwhile is no more than what it saves."""
        self._fill(max(now, self._filled_at))
        self._tokens = min(self._tokens, self._saved)

    def take(self, now: float) -> bool:
        self._fill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def refund(self) -> None:
        """The latest token that was taken was not needed."""
        self._tokens = min(self._tokens + 1.0, self._burst)

    def ready_at(self, now: float) -> float:
        """When the next token is there; never, without a rate."""
        self._fill(now)
        return now + max(1.0 - self._tokens, 0.0) / self._rate if self._rate else math.inf

    def _fill(self, now: float) -> None:
        # A hair more than time gives: else a token that is due "now" can miss by a rounding error and cost a wake-up.
        gained = max(now - self._filled_at, 0.0) * self._rate + 1e-9
        self._tokens = min(self._tokens + gained, self._burst)
        self._filled_at = now


@dataclass(frozen=True, slots=True)
class Pause:
    """Nobody goes before `until`; then one at a time, until an answer shows that the reason is gone.

    `strikes` counts the refusals in a row, `since` is when the latest of them was counted.
    """

    reason: PauseReason
    since: float
    until: float
    strikes: int


def pause_again(
    pause: Pause | None,
    reason: PauseReason,
    *,
    started: float,
    now: float,
    told: float | None,
    wait: float,
) -> Pause:
    """The pause after one more refusal: as long as `told` (seconds) says, else `wait` for this strike.

    A refusal of a request that `started` before the pause was counted already is the same strike: it can only
    prolong the pause, so that forty requests in flight do not double a backoff forty times.
    """
    if pause is not None and started <= pause.since:
        until = max(pause.until, now + told) if told is not None else pause.until
        return Pause(reason, pause.since, until, pause.strikes)
    strikes = next_strike(pause, started)
    return Pause(reason, now, now + (wait if told is None else told), strikes)


def next_strike(pause: Pause | None, started: float) -> int:
    """Which refusal in a row one is that answers a request `started` then."""
    if pause is None:
        return 1
    return pause.strikes if started <= pause.since else pause.strikes + 1


@dataclass(frozen=True, slots=True)
class Turn(Generic[Key]):
    """Whose turn it is, and since when it was waiting."""

    key: Key
    due: float


class Line(Generic[Key]):
    """A queue in which everybody stands at most once.

    Who waits or is busy already is not queued again: a firing that finds its task still waiting costs next to nothing.
    """

    def __init__(self, *, concurrency: int, rate: float | None = None, now: float = 0.0) -> None:
        self.concurrency = concurrency
        self.held_until: float | None = None
        """Nobody goes before then; afterwards one at a time, until this is None again."""
        self._bucket = None if rate is None else TokenBucket(rate, now)
        self._waiting: OrderedDict[Key, Turn[Key]] = OrderedDict()
        self._busy: set[Key] = set()
        self.taken = 0
        """How many turns there were."""

    def join(self, key: Key, now: float) -> bool:
        """Stand in line from `now`; False if `key` waits or is busy already."""
        if key in self._waiting or key in self._busy:
            return False
        if not self._waiting and self._bucket is not None and self._bucket.thin:
            self._bucket.rest(now)
        self._waiting[key] = Turn(key, now)
        return True

    def waits(self, key: Key) -> bool:
        return key in self._waiting

    def drop(self, key: Key) -> None:
        """Nobody needs this turn any more: it must not cost a token when it comes."""
        self._waiting.pop(key, None)

    def take(self, now: float) -> Turn[Key] | None:
        """The next one that may start now; it is busy until `leave()`."""
        if not self._waiting or len(self._busy) >= self._room():
            return None
        if self.held_until is not None and now < self.held_until:
            return None
        if self._bucket is not None and not self._bucket.take(now):
            return None
        self.taken += 1
        key, turn = self._waiting.popitem(last=False)
        self._busy.add(key)
        return turn

    def leave(self, key: Key) -> None:
        """`key`, which was taken, is done."""
        self._busy.discard(key)

    def is_busy(self, key: Key) -> bool:
        return key in self._busy

    def step_back(self, key: Key, now: float) -> None:
        """`key`, which was taken, has not gone: it is the next one, and what its turn cost is not lost."""
        self._busy.discard(key)
        self._waiting[key] = Turn(key, now)
        self._waiting.move_to_end(key, last=False)
        if self._bucket is not None:
            self._bucket.refund()
        self.taken -= 1

    def wake_at(self, now: float) -> float | None:
        """When `take()` is worth asking again; None when only a `join()` or a `leave()` can change its answer."""
        if not self._waiting or len(self._busy) >= self._room():
            return None
        resumed = now if self.held_until is None else max(self.held_until, now)
        ready_at = resumed if self._bucket is None else max(resumed, self._bucket.ready_at(now))
        return None if ready_at == math.inf else ready_at

    def change(self, *, concurrency: int, rate: float | None, now: float, part: bool = False) -> None:
        """Other limits from now on (a reload, or another share of the rate: then it is a part)."""
        self.concurrency = concurrency
        if rate is None:
            self._bucket = None
        else:
            if self._bucket is None:
                self._bucket = TokenBucket(rate, now)
            self._bucket.change(rate, now, part=part)

    def rationed(self, now: float) -> bool:
        """Whether somebody waits who could go if the rate were higher."""
        if not self._waiting or len(self._busy) >= self._room():
            return False
        return self._bucket is not None and (self.held_until or now) <= now < self._bucket.ready_at(now)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def busy(self) -> int:
        return len(self._busy)

    @property
    def rated(self) -> bool:
        """Whether it has a rate, which it remembers while it is idle."""
        return self._bucket is not None

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._busy

    def oldest(self) -> float | None:
        """Since when the one in front has been waiting."""
        return next(iter(self._waiting.values())).due if self._waiting else None

    def _room(self) -> int:
        return self.concurrency if self.held_until is None else 1
