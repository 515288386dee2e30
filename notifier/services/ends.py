"""Ends of tasks, by an answer or by their deadline: each is saved with the deliveries it owes, and told once."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import structlog

from notifier.domain.deadlines import Deadlines
from notifier.domain.delivery import Delivery
from notifier.domain.task import Task
from notifier.ports import Clock, LeaseLostError, StoreUnavailableError, TaskStore, Timetable
from notifier.services.archivist import Archivist

log = structlog.get_logger()

SAVE_AGAIN_SECONDS = 1.0


class Followed(Protocol):
    """The tasks that are being polled."""

    def task(self, key: int) -> Task | None: ...

    def follow(self, task: Task) -> None: ...

    def forget(self, key: int) -> None: ...


class Ends:
    def __init__(
        self, followed: Followed, *, store: TaskStore, timetable: Timetable, clock: Clock, archivist: Archivist
    ) -> None:
        self._followed = followed
        self._store = store
        self._timetable = timetable
        self._clock = clock
        self._archivist = archivist
        self._deadlines = Deadlines[int]()
        self._saving: set[int] = set()
        self._untaken: set[int] = set()

    def expect(self, task: Task) -> None:
        """It ends by its deadline at the latest."""
        self._deadlines.set(task.key, task.deadline_at)

    def forget(self, key: int) -> None:
        """Nothing of this task waits to be saved or to be abandoned any more."""
        self._untaken.discard(key)
        self._deadlines.drop(key)

    # By an answer

    def saving(self, key: int) -> bool:
        """The store has been asked to take this end, and has not answered yet."""
        return key in self._saving

    async def save(self, task: Task) -> None:
        """Save an end and what it owes. If the store does not take it, it is kept and the next firing tries again."""
        self._saving.add(task.key)
        known, task = task, self._archivist.plan(task)
        try:
            owed = await self._store.end(task, self._archivist.announce)
        except StoreUnavailableError as error:
            self._tell_untaken(task, error)
            self._timetable.postpone(task.key, SAVE_AGAIN_SECONDS)
            return
        except LeaseLostError:
            if not self._begun_anew(known):
                self._leave_to_owner(task)
            return
        finally:
            self._saving.discard(task.key)
        anew = self._begun_anew(known)
        first = not anew and self._followed.task(task.key) is not None
        if not anew:
            self._followed.forget(task.key)
        if owed or first:  # else its deadline was saved before, and told
            self._owe(task, owed)
        self._archivist.follow(task)

    def _begun_anew(self, ended: Task) -> bool:
        """While this end was being saved, its task was given away and came back, or is watched anew: it goes on."""
        known = self._followed.task(ended.key)
        return known is not None and known.end is not ended.end

    def _owe(self, task: Task, owed: Sequence[Delivery]) -> None:
        """Tell of an end, and hand over what it owes."""
        _tell_ended(task, owed)
        self._archivist.accept(owed)

    # By its deadline

    async def expire(self) -> None:
        """Abandon what has reached its deadline, whatever its provider is doing."""
        now = self._clock.settled()
        found = [self._followed.task(key) for key in self._deadlines.take(now)]
        # An end that waits to be saved holds against its deadline.
        overdue = [task for task in found if task is not None and task.end is None]
        untold = overdue[1:]
        try:
            # One tries whether the store takes it; then all the others go together and share commits.
            if overdue and await self._expire(overdue[0], now):
                together, untold = untold, []
                await asyncio.gather(*(self._expire(task, now) for task in together))
        finally:
            for task in untold:
                self.expect(task)

    async def _expire(self, task: Task, now: datetime) -> bool:
        """False if the store did not take it; then it is tried again at the next look."""
        try:
            expired = await self._store.expire(task, now, self._archivist.announce)
        except LeaseLostError:
            known = self._followed.task(task.key)
            if known is None or known is task:
                self._leave_to_owner(task)
            else:  # it came back meanwhile, or was polled: it is looked at again
                self.expect(known)
            return True
        except Exception as error:  # even after a fault of ours the deadline holds
            self.expect(task)
            if not isinstance(error, StoreUnavailableError):
                raise
            self._tell_untaken(task, error)
            return False
        self._untaken.discard(task.key)
        known = self._followed.task(task.key)
        if expired.task is not None:
            self._followed.follow(expired.task)
        elif known is None or known.watched_since == task.watched_since:  # else it is watched anew, and goes on
            self._followed.forget(task.key)
        if expired.owed:
            self._owe(task, expired.owed)
        return True

    def _leave_to_owner(self, task: Task) -> None:
        log.debug("task.lost", provider=task.provider, task_id=task.task_id)
        self._followed.forget(task.key)

    def _tell_untaken(self, task: Task, error: StoreUnavailableError) -> None:
        """The store did not take this end: told the first time, however often it is tried."""
        say = log.debug if task.key in self._untaken else log.error
        self._untaken.add(task.key)
        say("task.unsaved", provider=task.provider, task_id=task.task_id, error=str(error), ended=True)


def _tell_ended(task: Task, owed: Sequence[Delivery]) -> None:
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
