"""An event: what a receiver is told when a task has ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias, assert_never

from notifier.domain.link import WatchLinks
from notifier.domain.moment import rfc3339, rfc3339_or_none
from notifier.domain.result_file import file_members
from notifier.domain.task import End, Task
from notifier.domain.watch import Watch

TaskEvent: TypeAlias = Literal["task.completed", "task.failed", "task.abandoned", "result.saved", "result.unsaved"]
EventType: TypeAlias = Literal[TaskEvent, "notifier.test"]

EVENT_TYPES: tuple[TaskEvent, ...] = (
    "task.completed",
    "task.failed",
    "task.abandoned",
    "result.saved",
    "result.unsaved",
)
TEST_EVENT = "notifier.test"


@dataclass(frozen=True, slots=True)
class Event:
    """A message that is owed: `body` is the exact bytes of its attempts, `id` (`evt_…`) their `webhook-id`.

    It is held back until `held_until` for what it still waits for; None: it goes out at once. `urls_at` is when the
    result URLs in it were learned, `urls_expire_at` until when they live; None: there are none, or nobody knows.
    `links_expire_at` is when the signed links in it end; None: it has none.
    """

    id: str
    type: EventType
    body: bytes
    held_until: datetime | None = None
    urls_at: datetime | None = None
    urls_expire_at: datetime | None = None
    links_expire_at: datetime | None = None


def event_type(end: End) -> TaskEvent:
    match end.state:
        case "completed":
            return "task.completed"
        case "failed":
            return "task.failed"
        case "abandoned":
            return "task.abandoned"
        case _:
            assert_never(end.state)


def announce(
    task: Task, watch: Watch, event_id: str, kind: EventType | None = None, links: WatchLinks | None = None
) -> Event:
    """The message that an ended task owes to one of its watches: of its end, or of another `kind`. `links` lead
    to its saved files; without them the files have none."""
    end = task.end
    if end is None:
        raise ValueError("a task that goes on has nothing to announce")
    kind = kind or event_type(end)
    error = None if end.error is None else {"code": end.error.code, "message": end.error.message}
    known = {
        "watch_id": watch.id,
        "provider": task.provider,
        "task_id": task.task_id,
        "status": task.status,
        "urls": end.urls,
        "error": error,
        "reason": end.reason,
        "polls": task.polls,
        "registered_at": rfc3339(watch.registered_at),
        "expires_at": rfc3339_or_none(end.expires_at),
        "refreshed_at": rfc3339_or_none(end.refreshed_at),
        **({} if end.refresh_error is None else {"refresh_error": end.refresh_error}),
        "files": [file_members(file, links.to if links else None) for file in end.files],
    }
    data = _with_texts(known, response=task.response or "null", metadata=watch.metadata)
    body = _with_texts({"type": kind, "timestamp": rfc3339(end.at)}, data=data).encode()
    linked = any(file.state == "saved" for file in end.files)
    event = Event(event_id, kind, body, links_expire_at=links.expire_at if links and linked else None)
    if not end.urls:
        return event
    return replace(event, urls_at=end.refreshed_at or end.at, urls_expire_at=end.expires_at)


def announce_test(now: datetime) -> bytes:
    """The body of a `notifier.test` event: it is sent once, on request, and about no task."""
    message = "A test event from Notifier: no task has ended. If you can read this and verify it, all is well."
    event = {"type": TEST_EVENT, "timestamp": rfc3339(now), "data": {"message": message}}
    return _text(event).encode()


_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _with_texts(members: Mapping[str, object], **texts: str) -> str:
    """The JSON object with further members that are JSON texts already: what came from outside goes out byte for
    byte."""
    return _text(members)[:-1] + "".join(f',"{name}":{text}' for name, text in texts.items()) + "}"
