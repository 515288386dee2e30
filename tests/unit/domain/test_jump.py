"""A wall clock that is set: what cannot be undone waits until a jump ahead has lasted."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.jump import JUMP_SECONDS, PATIENCE_SECONDS, SettledTime

T0 = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
DAY = 86_400.0


def wall(steady: float, offset: float = 0.0) -> datetime:
    return T0 + timedelta(seconds=steady + offset)


def settled() -> SettledTime:
    return SettledTime(wall(0), 0)


def test_a_clock_that_runs_is_believed() -> None:
    """Also one that is adjusted bit by bit, however far that leads in the end."""
    time = settled()
    for second in range(1000):
        told = wall(second, second * 0.5)
        assert time.at(told, second) == told


def test_a_jump_ahead_counts_when_it_has_lasted() -> None:
    """Until then time goes on as if there had been none."""
    time = settled()
    for second in range(1, int(PATIENCE_SECONDS) + 1):
        assert time.at(wall(second, DAY), second) == wall(second)
    after = PATIENCE_SECONDS + 1
    assert time.at(wall(after, DAY), after) == wall(after, DAY)
    assert time.at(wall(after + 1, DAY), after + 1) == wall(after + 1, DAY)


def test_a_jump_ahead_that_is_corrected_never_counted() -> None:
    """And a later one is doubted anew, for as long."""
    time = settled()
    assert time.at(wall(10, DAY), 10) == wall(10)
    assert time.at(wall(200), 200) == wall(200)
    assert time.at(wall(400, DAY), 400) == wall(400)
    assert time.at(wall(690, DAY), 690) == wall(690)


def test_each_jump_ahead_is_doubted_for_its_own_time() -> None:
    """A second one, just before the first would have been believed, takes both along."""
    time = settled()
    assert time.at(wall(1, DAY), 1) == wall(1)
    assert time.at(wall(300, 3 * DAY), 300) == wall(300)
    assert time.at(wall(302, 3 * DAY), 302) == wall(302)
    assert time.at(wall(600, 3 * DAY), 600) == wall(600, 3 * DAY)


def test_a_jump_back_counts_at_once() -> None:
    """It ends nothing early, and nothing would be gained by doubting it."""
    time = settled()
    assert time.at(wall(1, -DAY), 1) == wall(1, -DAY)
    assert time.at(wall(2), 2) == wall(2, -DAY)


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(-3 * DAY, 3 * DAY)), max_size=30))
def test_settled_time_is_never_ahead_of_the_wall_clock(looks: list[tuple[float, float]]) -> None:
    """Whatever is done to the clock, nothing ends earlier than the clock says."""
    time, steady = settled(), 0.0
    for seconds, offset in looks:
        steady += seconds
        assert time.at(wall(steady, offset), steady) <= wall(steady, offset + JUMP_SECONDS)
