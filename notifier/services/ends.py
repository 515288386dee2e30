"""What the log hears of ended tasks: each end once, and each that the store does not take once."""

from collections.abc import Sequence

import structlog

from notifier.domain.delivery import Delivery
from notifier.domain.task import Task
from notifier.ports import StoreUnavailableError

log = structlog.get_logger()


class EndLog:
    def __init__(self) -> None:
        self._untaken: set[int] = set()

    def untaken(self, task: Task, error: StoreUnavailableError) -> None:
        """The store did not take this end: told the first time, however often it is tried."""
        say = log.debug if task.key in self._untaken else log.error
        self._untaken.add(task.key)
        say("task.unsaved", provider=task.provider, task_id=task.task_id, error=str(error), ended=True)

    def settle(self, key: int) -> None:
        """Nothing of this task waits to be saved any more."""
        self._untaken.discard(key)

    def ended(self, task: Task, owed: Sequence[Delivery]) -> None:
        """One line for each watch that hears of the end; one if none does."""
        for delivery in owed or (None,):
            log.info(
                "task.ended",
                provider=task.provider,
                task_id=task.task_id,
                watch_id=None if delivery is None else delivery.watch_id,
                event_id=None if delivery is None else delivery.id,
                state=task.end.state if task.end else "abandoned",
                status=task.status,
                reason=task.end.reason if task.end else "deadline",
                polls=task.polls,
            )
