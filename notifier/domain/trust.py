"""Which hosts answer. Those that hang, or of which nothing is known yet, must not take the places of those that do."""

from collections import OrderedDict

MOST_KNOWN = 10_000
"""Hosts that are remembered; of the one that was heard of longest ago nothing is known again."""


class Trust:
    """Half of all places are for hosts that have answered. The others share the rest: one place each once half of that
    is taken, for fifty new hosts that hang must not take it all; and a host that ran into the time-out has one place
    at all, until it answers."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, bool] = OrderedDict()

    def learn(self, host: str, *, answers: bool) -> None:
        """It has answered, or ran into the time-out."""
        self._answers[host] = answers
        self._answers.move_to_end(host)
        if len(self._answers) > MOST_KNOWN:
            self._answers.popitem(last=False)

    def trusted(self, host: str) -> bool:
        return self._answers.get(host, False)

    def room(self, host: str, *, per_host: int, doubted: int, places: int) -> int:
        """How many may be in flight to this host, while `doubted` of all `places` are taken by hosts that are not
        trusted."""
        answers = self._answers.get(host)
        if answers is None:
            return per_host if doubted < max(places // 4, per_host) else 1
        return per_host if answers else 1


def doubted_places(places: int, per_host: int) -> int:
    """How many of all places hosts that are not trusted may take together: half of them, and enough for one host."""
    return min(max((places + 1) // 2, per_host), places)
