"""Lanes that only time can help."""

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.sleepers import SPARE, Sleepers


def test_everybody_wakes_once_at_the_time_that_was_said_last():
    """Earlier ones no longer count, and neither does one who was woken."""
    asleep = Sleepers()
    asleep.put("a", 5.0)
    asleep.put("b", 7.0)
    asleep.put("a", 9.0)
    asleep.put("c", 8.0)
    asleep.wake("c")
    asleep.wake("nobody")
    assert ("a" in asleep, "c" in asleep, asleep.next_at()) == (True, False, 5.0)
    assert list(asleep.due(6.0)) == []
    assert list(asleep.due(9.0)) == ["b", "a"]
    assert asleep.next_at() is None


moves = st.lists(st.tuples(st.sampled_from(["put", "wake", "later"]), st.sampled_from("abc"), st.integers(0, 9)))


@given(moves)
def test_nobody_oversleeps_and_nothing_piles_up(sequence):
    """Whoever sleeps wakes at its time, and what is kept stays in proportion to those who sleep."""
    asleep, now, expected = Sleepers(), 0.0, {}
    for move, name, number in sequence * 3:
        if move == "put":
            asleep.put(name, now + number)
            expected[name] = now + number
        elif move == "wake":
            asleep.wake(name)
            expected.pop(name, None)
        else:
            now += number
            assert sorted(asleep.due(now)) == sorted(one for one, at in expected.items() if at <= now)
            expected = {one: at for one, at in expected.items() if at > now}
        assert len(asleep) <= 2 * max(len(expected), 3) + SPARE
        assert all(one in asleep for one in expected)


def test_whoever_is_sent_to_sleep_again_and_again_leaves_no_trail():
    """A lane that is held anew a thousand times costs what one does."""
    asleep = Sleepers()
    for number in range(1000):
        asleep.put("a", 1000.0 - number / 10)
    assert len(asleep) <= 2 + SPARE
    assert list(asleep.due(900.1)) == ["a"]
    assert len(asleep) <= 2 + SPARE
