"""What each node may take of a provider's rate."""

import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

from notifier.domain.share import Demand, Wish, asks_for_more, granted, is_news, is_part, lowered, wanted


def note(demand, now, **found):
    return demand.note(now, **{"taken": 0, "waiting": 0, "rationed": False, "share": 0.0, **found})


def test_enough_for_all_is_what_each_wants_and_an_equal_part_of_the_rest():
    """So a node that has nothing to do yet can begin at once."""
    demands = {"a": 4.0, "b": 1.0, "c": 0.0}
    assert [wanted(11.0, demands, node) for node in demands] == [6.0, 3.0, 2.0]


def test_too_little_for_all_is_divided_by_what_they_want():
    """Equal waits everywhere: who has more to do has more of it."""
    demands = {"a": 30.0, "b": 10.0, "c": 0.0}
    assert [wanted(10.0, demands, node) for node in demands] == [7.5, 2.5, 0.0]


def test_a_node_alone_wants_the_whole_rate():
    """Whatever it has to do."""
    assert [wanted(10.0, {"a": demand}, "a") for demand in (0.0, 9.0, 99.0)] == [10.0, 10.0, 10.0]


@given(st.floats(0.01, 1000), st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
@with_settings(max_examples=40, deadline=None)
def test_what_all_want_is_the_rate(rate, demands):
    """Neither more nor less, whatever they want to do."""
    by_node = {str(number): demand for number, demand in enumerate(demands)}
    assert sum(wanted(rate, by_node, node) for node in by_node) == pytest.approx(rate)


def test_a_share_is_lowered_at_once_and_not_for_a_trifle():
    """Writing has its price."""
    assert lowered(10.0, 5.0) == 5.0
    assert lowered(10.0, 9.9) == 10.0
    assert lowered(10.0, 12.0) == 10.0


def test_more_is_asked_for_when_it_is_worth_it():
    """And from nothing, always."""
    assert asks_for_more(0.0, 0.001)
    assert asks_for_more(10.0, 11.0)
    assert not asks_for_more(10.0, 10.1)
    assert not asks_for_more(0.0, 0.0)


def test_nobody_gets_more_than_the_others_leave():
    """Also when the rate has become less since they took theirs."""
    assert granted(Wish(4.0, 10.0), 3.0) == 4.0
    assert granted(Wish(9.0, 10.0), 3.0) == 7.0
    assert granted(Wish(9.0, 10.0), 12.0) == 0.0


def test_others_hear_at_once_of_what_is_worth_it():
    """A tenth of the rate; a share that grew is nobody's news."""
    assert is_news(6.0, 4.0, 10.0)
    assert not is_news(6.0, 5.5, 10.0)
    assert not is_news(4.0, 6.0, 10.0)


def test_a_share_of_nearly_all_is_no_part():
    """What nobody else asks for is not worth a write either."""
    assert is_part(5.0, 10.0)
    assert not is_part(9.9, 10.0)


def test_the_demand_is_what_was_polled_lately():
    """Over ten seconds or so, and from the first beat on."""
    demand = Demand()
    assert note(demand, 100.0, taken=50) == 0.0
    assert note(demand, 102.0, taken=60) == 5.0
    for second in range(4, 41, 2):
        latest = note(demand, 100.0 + second, taken=60 + second)
    assert latest == pytest.approx(1.0, abs=0.1)


def test_a_demand_that_fell_is_seen_soon():
    """Where polls are many, a second tells; where they are few, it takes ten."""
    many, few = Demand(), Demand()
    for second in range(21):
        note(many, float(second), taken=30 * second)
        note(few, float(second), taken=second)
    assert note(many, 22.0, taken=600 + 2 * 15) == pytest.approx(15, abs=5)
    assert note(few, 22.0, taken=20) == pytest.approx(0.8, abs=0.1)


def test_what_waits_for_the_rate_is_to_be_caught_up_with():
    """Beside what the share allows; what waits for something else needs no greater share."""
    assert note(Demand(), 0.0, waiting=20, rationed=True, share=3.0) == 13.0
    assert note(Demand(), 0.0, waiting=20, share=3.0) == 0.0
