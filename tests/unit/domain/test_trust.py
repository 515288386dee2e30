"""Which hosts answer, and what that gives them."""

import pytest

from notifier.domain import trust
from notifier.domain.trust import Trust, doubted_places


def room(known: Trust, host: str, doubted: int = 0) -> int:
    return known.room(host, per_host=8, doubted=doubted, places=256)


def test_a_host_has_its_places_when_it_answers_and_one_when_it_hangs():
    """One of which nothing is known has them while a quarter of all places is not yet taken by its like."""
    known = Trust()
    assert (known.trusted("a"), room(known, "a"), room(known, "a", 63), room(known, "a", 64)) == (False, 8, 8, 1)
    known.learn("a", answers=True)
    assert (known.trusted("a"), room(known, "a", 128)) == (True, 8)
    known.learn("a", answers=False)
    assert (known.trusted("a"), room(known, "a")) == (False, 1)


@pytest.mark.parametrize(("places", "doubted"), [(1, 1), (4, 4), (8, 8), (10, 8), (17, 9), (256, 128)])
def test_half_of_all_places_and_enough_for_one_host_are_for_hosts_that_are_not_trusted(places, doubted):
    """Or a new receiver would never get its first chance."""
    assert doubted_places(places, per_host=8) == doubted


def test_only_so_many_hosts_are_remembered(monkeypatch):
    """Whoever makes up hosts fills no memory; the one heard of longest ago goes."""
    monkeypatch.setattr(trust, "MOST_KNOWN", 2)
    known = Trust()
    for host in ("a", "b", "a", "c"):
        known.learn(host, answers=True)
    assert [known.trusted(host) for host in "abc"] == [True, False, True]
