"""Leases on shards: who may poll which tasks, and what a node does when it sees who else is there.

Every rule here only divides the work. That at most one node's writes count is the fence's doing: a number that grows
with each change of a shard's owner, and that each write of an owned task is checked against in its own transaction.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifier.domain.shard import SHARDS

TTL_SECONDS = 8.0
"""A node that has not been heard of for so long, on the database's clock, may be buried."""
BEAT_SECONDS = 1.5
STEADY_SECONDS = 2 * BEAT_SECONDS
"""Only who has beaten for so long without a gap buries others: after an outage of the database, or when its clock was
set, everybody gets a chance to beat first."""
ABANDONED_SECONDS = 4.0
"""After so long as nobody's a shard is anybody's, whoever should have claimed it."""
LEAP_SECONDS = 1.0
"""Between two beats the database's clock goes as a node's own does, but for this much; else it was set, or is another
one's since a failover."""
NEVER = float("-inf")
_FRESH = timedelta(seconds=TTL_SECONDS - 2 * BEAT_SECONDS - 0.5)
"""Whose lease has less left than this has missed two beats: it keeps what it has, and nobody counts on it for more."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as the database knows it. `alive` was judged on the database's clock; one that is `leaving` takes no more
    shards; `report` is a JSON object in which the node says how it fares."""

    id: str
    name: str
    version: str
    started_at: datetime
    alive_until: datetime
    alive: bool
    leaving: bool = False
    report: str = "{}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A shard's owner (a node's id; None: nobody), and the fence that goes with it."""

    owner: str | None
    fence: int


@dataclass(frozen=True, slots=True)
class Roll:
    """Who is there and who holds what, as one beat of the node `me` found it; `now` is the database's clock."""

    me: str
    now: datetime
    nodes: tuple[NodeRow, ...]
    shards: Mapping[int, Lease]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one node has to do about its shards. `lost`: it works on them, and they are not its own. `release`: more
    than its part. `claim`: nobody's, or its own by a claim whose answer it never got."""

    lost: tuple[int, ...] = ()
    release: tuple[int, ...] = ()
    claim: tuple[int, ...] = ()


class Pulse:
    """A node's own beats, by its monotonic clock (seconds)."""

    def __init__(self) -> None:
        self._latest = self._since = self._until = NEVER
        self._ahead = NEVER, -NEVER

    def beat(self, sent: float, answered: float, now: datetime) -> None:
        """A beat that was sent then was answered then, and meanwhile it was `now` in the database: it holds for a
        beat's time less than others wait."""
        leapt = self._look_at_clock(now.timestamp() - answered, now.timestamp() - sent)
        if leapt or sent - self._latest > STEADY_SECONDS:
            self._since = sent
        self._latest, self._until = sent, sent + TTL_SECONDS - BEAT_SECONDS

    def _look_at_clock(self, least: float, most: float) -> bool:
        """How far the database's clock is ahead of this node's lies between these two: whether it leapt."""
        (before_least, before_most), self._ahead = self._ahead, (least, most)
        return least - before_most > LEAP_SECONDS or before_least - most > LEAP_SECONDS

    def miss(self) -> None:
        """A beat was not answered. What the one before allows holds on."""
        self._latest = NEVER

    def stop(self) -> None:
        """Others took this node for dead, or it goes."""
        self._latest = self._since = self._until = NEVER

    def holds(self, now: float) -> bool:
        """Whether nobody can take this node for dead by now."""
        return now < self._until

    def left(self, now: float) -> float:
        """For how long that is so."""
        return max(self._until - now, 0.0)

    def steady(self) -> bool:
        """Whether it may bury others."""
        return self._latest - self._since >= STEADY_SECONDS


def dead(roll: Roll) -> tuple[NodeRow, ...]:
    """Who is to be buried."""
    return tuple(node for node in roll.nodes if not node.alive and node.id != roll.me)


def plan(roll: Roll, held: Collection[int], left: Collection[int] = ()) -> Plan:
    """What `roll.me`, which works on the shards `held`, does next. Those `left` have been nobody's for so long that who
    should have claimed them will not: anybody takes them, and fair parts come later.

    Every node makes the same sums, so that no two claim the same shards unless they saw different rolls.
    """
    owned = sorted(n for n, lease in roll.shards.items() if lease.owner == roll.me)
    excess = len(owned) - _parts(roll)[roll.me]
    unheld = [n for n in owned if n not in held]
    release = [*unheld, *_spread_out([n for n in owned if n in held], excess - len(unheld))][: max(excess, 0)]
    mine = {*_dealt(roll, roll.me), *left} if excess <= 0 else set[int]()
    free = {n for n in mine if roll.shards[n].owner is None}
    return Plan(
        lost=tuple(sorted(set(held) - set(owned))),
        release=tuple(sorted(release)),
        claim=tuple(sorted(free.union(unheld) - set(release))),
    )


def free_since(before: Mapping[int, float], roll: Roll, now: float) -> Mapping[int, float]:
    """Since when (monotonic) each free shard has been nobody's, as far as this node has seen."""
    return {n: before.get(n, now) for n in _unowned(roll)}


def abandoned(free: Mapping[int, float], now: float) -> frozenset[int]:
    return frozenset(n for n, since in free.items() if now - since >= ABANDONED_SECONDS)


def _unowned(roll: Roll) -> list[int]:
    return sorted(n for n, lease in roll.shards.items() if lease.owner is None)


def _parts(roll: Roll) -> dict[str, int]:
    """How many shards each node on which one can count should have: even to one, and the odd ones with those that have
    most already, so that as little as possible moves. What others hold stays with them until they are buried."""
    counts = Counter(lease.owner for lease in roll.shards.values())
    takers = [node.id for node in roll.nodes if node.id == roll.me or _takes(node, roll.now)]
    left = SHARDS - sum(count for owner, count in counts.items() if owner is not None and owner not in takers)
    part, odd = divmod(left, len(takers))
    ranked = sorted(takers, key=lambda one: (-counts[one], one))
    return {one: part + (rank < odd) for rank, one in enumerate(ranked)}


def _takes(node: NodeRow, now: datetime) -> bool:
    return node.alive and not node.leaving and node.alive_until - now >= _FRESH


def _dealt(roll: Roll, me: str) -> list[int]:
    """The free shards that fall to `me`. They are dealt like cards, in turns that are as long as what each lacks:
    tasks that were registered together have neighbouring shards and are not to stay together."""
    counts = Counter(lease.owner for lease in roll.shards.values())
    lacks = {one: part - counts[one] for one, part in sorted(_parts(roll).items()) if part > counts[one]}
    waited, total = dict.fromkeys(lacks, 0), sum(lacks.values())
    mine = []
    for n in _unowned(roll)[:total]:
        for one, lack in lacks.items():
            waited[one] += lack
        taker = max(waited, key=waited.__getitem__)
        waited[taker] -= total
        if taker == me:
            mine.append(n)
    return mine


def _spread_out(shards: Sequence[int], count: int) -> Iterable[int]:
    """So many of them, from all over, for the reason that they are dealt like cards."""
    count = min(count, len(shards))
    return [shards[i * len(shards) // count] for i in range(count)]
