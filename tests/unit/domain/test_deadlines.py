"""Deadlines: who is overdue, after any moving and dropping."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.deadlines import DEAD_ENTRIES, Deadlines
from tests.thoroughness import examples

START = datetime(2026, 11, 22, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


moves = st.tuples(st.sampled_from(["set", "drop", "take"]), st.integers(0, 5), st.integers(0, 20))


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(moves, max_size=60))
def test_each_key_is_overdue_once_by_its_latest_deadline(moves: list[tuple[str, int, int]]) -> None:
    """Whatever was set before, moved or dropped, as a plain dictionary would have it."""
    deadlines, model = Deadlines[int](), dict[int, int]()
    for verb, key, seconds in moves:
        if verb == "set":
            deadlines.set(key, at(seconds))
            model[key] = seconds
        elif verb == "drop":
            deadlines.drop(key)
            model.pop(key, None)
        else:
            due = [one for one, when in model.items() if when <= seconds]
            taken = deadlines.take(at(seconds))
            assert sorted(taken) == sorted(due)
            assert [model[one] for one in taken] == sorted(model[one] for one in due)
            for one in due:
                del model[one]


def test_what_was_dropped_does_not_pile_up() -> None:
    """Tasks mostly end long before their deadlines; a daemon that runs for months must not remember them all."""
    deadlines = Deadlines[int]()
    for key in range(10 * DEAD_ENTRIES):
        deadlines.set(key, at(86_400))
        deadlines.drop(key)
    assert len(deadlines._heap) <= DEAD_ENTRIES
