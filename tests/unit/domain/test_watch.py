"""The words for a watch's life."""

from typing import get_args

from notifier.domain.delivery import DELIVERY_STATES, DeliveryState
from notifier.domain.event import EVENT_TYPES, TEST_EVENT, EventType
from notifier.domain.task import EndState
from notifier.domain.watch import WATCH_STATES, WatchState


def test_the_lists_of_words_are_the_types():
    """What the intake filters by and the metrics count are exactly the words that the types allow."""
    assert get_args(WatchState) == WATCH_STATES == ("watching", "completed", "failed", "abandoned", "cancelled")
    assert get_args(DeliveryState) == DELIVERY_STATES == ("pending", "delivered", "exhausted")
    assert get_args(EventType) == (*EVENT_TYPES, TEST_EVENT)


def test_a_watch_ends_as_its_task_does():
    """Every end of a task is a state of its watches, and has an event."""
    assert set(get_args(EndState)) < set(WATCH_STATES)
    assert tuple(f"task.{state}" for state in get_args(EndState)) == EVENT_TYPES[:3]
