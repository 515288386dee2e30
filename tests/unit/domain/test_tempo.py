"""How often something happens, over the last minute."""

import pytest

from notifier.domain.tempo import Tempo


def test_a_steady_pace_is_told_as_it_is() -> None:
    """Also after many minutes, and while the first minute is not over."""
    tempo = Tempo(1000.0)
    for number in range(4000):
        tempo.note(1000.0 + number / 4)
        if number == 40:
            assert tempo.per_second(1010.0) == pytest.approx(4.1)
    assert tempo.per_second(2000.0) == pytest.approx(4.0, abs=0.1)
    assert len(tempo._seconds) <= 61


def test_what_is_over_is_forgotten() -> None:
    """A minute after the last one there were none."""
    tempo = Tempo(0.0)
    tempo.note(0.5)
    tempo.note(0.6)
    assert tempo.per_second(0.7) == 2.0
    assert tempo.per_second(59.0) > 0
    assert tempo.per_second(62.0) == 0.0
