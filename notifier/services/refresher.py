"""Before a late attempt: renew the result URLs and links, and keep what came of it before the receiver is told."""

import structlog

from notifier.domain.delivery import Delivery
from notifier.domain.freshness import Freshness, left_stale, renew, rewrite
from notifier.domain.link import Links, WatchLinks
from notifier.domain.task import Task
from notifier.domain.watch import Watch
from notifier.ports import BodyStore, Clock, Subject
from notifier.services.inquiries import Ask, Unasked

log = structlog.get_logger()


class Refresher:
    """`freshness` says what is too old to be sent as it is (None: nothing is), `links` makes the signed links to saved
    files (None: there are none)."""

    def __init__(self, *, store: BodyStore, ask: Ask, clock: Clock) -> None:
        self.freshness: Freshness | None = None
        self.links: Links | None = None
        self._store = store
        self._ask = ask
        self._clock = clock

    def wanted(self, delivery: Delivery) -> bool:
        """Whether this delivery is to be made anew: its URLs are to be asked for again, or its links end."""
        fresh = self.freshness
        if fresh is None:
            return False
        return self._lost(delivery) or fresh.ending(delivery.links_expire_at, self._clock.now())

    def _lost(self, delivery: Delivery) -> bool:
        fresh = self.freshness
        return fresh is not None and fresh.lost(delivery.urls_at, delivery.urls_expire_at, self._clock.now())

    async def refresh(self, delivery: Delivery) -> Delivery | None:
        """The delivery as it is to be attempted, kept so in the store: with fresh URLs, or with the reason why there
        are none. None: it was attempted or deleted meanwhile. StoreUnavailableError: nothing has changed."""
        subject = await self._store.subject(delivery.id)
        if subject is None:
            return None
        task = await self._renewed(delivery, subject)
        rewritten = rewrite(delivery, task, subject.watch, self._links_to(subject.watch))
        if rewritten != delivery and not await self._store.rewrite(rewritten, task):
            return None
        _tell(rewritten, task)
        return rewritten

    async def _renewed(self, delivery: Delivery, subject: Subject) -> Task:
        """Asks nobody if only links end, or another delivery of the task has learned its new URLs already."""
        task = subject.task
        if not self._lost(rewrite(delivery, task, subject.watch)):
            return task
        answer = await self._ask(task)
        return left_stale(task, answer.why) if isinstance(answer, Unasked) else renew(task, answer, self._clock.now())

    def _links_to(self, watch: Watch) -> WatchLinks | None:
        return None if self.links is None else WatchLinks(self.links, watch.id, self._clock.now())


def _tell(delivery: Delivery, task: Task) -> None:
    error = None if task.end is None else task.end.refresh_error
    say = log.info if error is None else log.warning
    say(
        "delivery.refreshed",
        event_id=delivery.id,
        watch_id=delivery.watch_id,
        provider=task.provider,
        task_id=task.task_id,
        error=error,
    )
