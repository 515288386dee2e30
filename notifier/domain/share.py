"""A provider's rate as one budget of all nodes: what each of them may take of it, by what each needs.

Shares never add up to more than the rate, whatever happens: a node lowers its own before it says so, and raises it only
to what the others' shares leave. So nobody has to agree with anybody; the rule in `wanted()` only says where they are
heading, and nodes that see different things get there a beat later. Rates are polls a second, times monotonic seconds.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

CATCH_UP_SECONDS = 2.0
"""In how many seconds a node wants to have polled the tasks that wait for their turns."""
REMEMBERED_SECONDS = 10.0
"""Over how long a node looks at how many polls it made, unless so many are enough to tell by (`TELLING_POLLS`)."""
TELLING_POLLS = 20
NEWS = 0.1
"""What part of a rate must become free for others to hear of it at once."""
SLACK = 0.02
"""By what part of a share it may differ from what is wanted: less is not worth a write."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a node would have of a provider's rate, and that rate as its configuration has it."""

    share: float
    rate: float


class Demand:
    """How many polls a second of one provider a node wants to make, as each beat finds it.

    That is what it has been making lately, and while the rate holds it back what its share allows and, beside that, the
    tasks that wait. So who has more tasks waiting for each poll that it may make wants more: when the rate is too low
    for all, shares come to stand where tasks wait equally long on every node.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, *, taken: int, waiting: int, rationed: bool, share: float) -> float:
        """The demand now: `taken` polls were begun so far, so many tasks wait, and whether they do so for the rate."""
        while len(self._seen) > 1 and self._is_enough(self._seen[1], now, taken):
            self._seen.popleft()
        since, before = self._seen[0] if self._seen else (now, taken)
        self._seen.append((now, taken))
        made = (taken - before) / max(now - since, 1.0)
        return max(made, share) + waiting / CATCH_UP_SECONDS if rationed else made

    def _is_enough(self, seen: tuple[float, int], now: float, taken: int) -> bool:
        """Whether so many polls were made since then, or it is so long ago, that what was before says no more."""
        since, before = seen
        return now - since >= REMEMBERED_SECONDS or (taken - before >= TELLING_POLLS and now - since >= 1.0)


def wanted(rate: float, demands: Mapping[str, float], node: str) -> float:
    """What this node should have of the rate, when each has told its demand: when there is enough for all of them that,
    and an equal part of what is left; else a part as great as its part of the demand."""
    total, own = sum(demands.values()), demands[node]
    if total > rate:
        return rate * own / total
    return own + (rate - total) / len(demands)


def lowered(share: float, want: float) -> float:
    """The share that a node keeps at once, whoever else wants it."""
    return want if want < share * (1 - SLACK) else share


def granted(wish: Wish, others: float) -> float:
    """The share that a node may take, of what the others' shares leave of the rate: also when that rate has become less
    meanwhile."""
    return max(min(wish.share, wish.rate - others), 0.0)


def is_news(before: float, after: float, rate: float) -> bool:
    """Whether so much became free when a share was lowered that others had better not wait for their next beats."""
    return before - after > NEWS * rate


def asks_for_more(share: float, want: float) -> bool:
    return want > share * (1 + SLACK)


def is_part(share: float, rate: float) -> bool:
    """Whether others take of the rate, too."""
    return share < rate * (1 - SLACK)
