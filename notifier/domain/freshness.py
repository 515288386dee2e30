"""Result URLs and links do not live for ever: when those of a late delivery are renewed, and what comes of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from notifier.domain.answer import Answer, Completed, Failed, Missed, Running, Throttled, Unauthorized, Unavailable
from notifier.domain.delivery import Delivery
from notifier.domain.event import EVENT_TYPES, announce
from notifier.domain.link import WatchLinks
from notifier.domain.task import End, Task
from notifier.domain.watch import Watch

LEAST_AGE_SECONDS = 5.0
"""URLs that expire at once are not asked for at every turn: they would be no better."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """URLs are as good as new for `after` seconds (None: for ever), unless they expire within `margin` seconds: that
    long an attempt may take."""

    after: float | None
    margin: float

    def lost(self, urls_at: datetime | None, expire_at: datetime | None, now: datetime) -> bool:
        """Whether URLs that were learned then are to be asked for again. No time at all: there are no URLs."""
        if urls_at is None or self.after is None:
            return False
        age = (now - urls_at).total_seconds()
        return age >= (min(self.after, LEAST_AGE_SECONDS) if self.ending(expire_at, now) else self.after)

    def ending(self, expire_at: datetime | None, now: datetime) -> bool:
        """Whether what lives until then may be over before an attempt that begins now."""
        return expire_at is not None and expire_at <= now + timedelta(seconds=self.margin)


def renew(task: Task, answer: Answer, now: datetime) -> Task:
    """What the provider's answer makes of a completed task. What it once completed stays completed, whatever is said
    of it later: only URLs are taken over, with what the answer says about them."""
    if not isinstance(answer, Completed) or not answer.urls:
        return left_stale(task, _why(answer))
    urls = replace(_end_of(task), urls=answer.urls, expires_at=answer.expires_at, downloads=answer.downloads)
    end = replace(urls, refreshed_at=now, refresh_error=None)
    return replace(task, status=answer.status, response=answer.response, end=end)


def left_stale(task: Task, why: str) -> Task:
    """The task with the URLs that it had, and the reason."""
    return replace(task, end=replace(_end_of(task), refresh_error=why))


def rewrite(delivery: Delivery, task: Task, watch: Watch, links: WatchLinks | None = None) -> Delivery:
    """The delivery with the body that its event has now, with these links; the id, and what was made of it, stay."""
    kind = next((kind for kind in EVENT_TYPES if kind == delivery.type), None)
    event = announce(task, watch, delivery.id, kind, links)
    return replace(
        delivery,
        body=event.body,
        urls_at=event.urls_at,
        urls_expire_at=event.urls_expire_at,
        links_expire_at=event.links_expire_at,
    )


def _end_of(task: Task) -> End:
    if task.end is None:
        raise ValueError("a task that goes on has no URLs to renew")
    return task.end


def _why(answer: Answer) -> str:
    match answer:
        case Completed():
            return "the provider no longer names a result URL"
        case Running(status=status) | Failed(status=status):
            return f"the provider no longer says that the task is completed, but {status or 'nothing'}"
        case Missed(message=message):
            return f"the provider no longer tells of the task: {message}"
        case Throttled():
            return "the provider is throttling"
        case Unauthorized(http_status=http_status):
            return f"HTTP {http_status}: the provider refuses our key"
        case Unavailable(message=message):
            return f"the provider gave no usable answer: {message}"
        case _:
            assert_never(answer)
