"""Rows become entities here, and entities rows, and nowhere else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Row, Select, and_, select

from notifier.adapters.stores.schema import ABOUT_THE_END, deliveries, tasks, watches
from notifier.domain.answer import TaskError
from notifier.domain.delivery import Attempt, Delivery
from notifier.domain.endpoint import Endpoint
from notifier.domain.endpoint import Terms as EndpointTerms
from notifier.domain.result_file import ResultFile
from notifier.domain.task import End, Task
from notifier.domain.watch import DeliveryBrief, Watch, WatchView

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
Query: TypeAlias = "Select[*tuple[Any, ...]]"
Params: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a task's watching watches ask for together: the smallest interval (seconds) and the earliest deadline.
    `fixed`: one of them names an interval of its own."""

    interval: float
    deadline_at: datetime
    fixed: bool = False


SHOWN_WATCH = select(
    watches,
    tasks.c.provider,
    tasks.c.task_id,
    tasks.c.variables,
    tasks.c.status,
    tasks.c.polls,
    tasks.c.last_polled_at,
    tasks.c.last_error,
    deliveries.c.id.label("delivery_id"),
    deliveries.c.state.label("delivery_state"),
    deliveries.c.attempts,
    deliveries.c.next_attempt_at,
).select_from(
    watches.join(tasks).outerjoin(deliveries, and_(deliveries.c.watch_id == watches.c.id, ABOUT_THE_END))
)
"""What `shown_watch` reads."""


def shown_watch(row: AnyRow) -> WatchView:
    brief = None
    if row.delivery_id is not None:
        brief = DeliveryBrief(row.delivery_id, row.delivery_state, row.attempts, row.next_attempt_at)
    return WatchView(
        watch=watch_of(row, row),
        task_key=row.task_key,
        status=row.status,
        polls=row.polls,
        last_polled_at=row.last_polled_at,
        last_error=row.last_error,
        delivery=brief,
    )


def watch_of(row: AnyRow, of: AnyRow | Task) -> Watch:
    """A watch of this task."""
    return Watch(
        id=row.id,
        provider=of.provider,
        task_id=of.task_id,
        callback_url=row.callback_url,
        state=row.state,
        interval=row.interval,
        registered_at=row.registered_at,
        deadline_at=row.deadline_at,
        ended_at=row.ended_at,
        source=row.source,
        metadata=row.metadata,
        variables=of.variables,
    )


def watch_params(watch: Watch, *, task_key: int, declared: bool) -> Params:
    return {
        "id": watch.id,
        "task_key": task_key,
        "state": watch.state,
        "interval": watch.interval,
        "registered_at": watch.registered_at,
        "deadline_at": watch.deadline_at,
        "ended_at": watch.ended_at,
        "source": watch.source,
        "declared": declared,
        "callback_url": watch.callback_url,
        "metadata": watch.metadata,
    }


def task_of(row: AnyRow, terms: Terms) -> Task:
    """A task as it was last saved. The row of unavailable answers is not kept: a restart asks again without delay."""
    return Task(
        key=row.key,
        provider=row.provider,
        task_id=row.task_id,
        interval=terms.interval,
        deadline_at=terms.deadline_at,
        status=row.status,
        response=row.response,
        polls=row.polls,
        last_polled_at=row.last_polled_at,
        last_error=row.last_error,
        misses=row.misses,
        missed_since=row.missed_since,
        bare=row.bare,
        end=_end_of(row),
        variables=row.variables,
        watched_since=row.watched_since,
        seen_running_at=row.seen_running_at,
        model=row.model,
        fixed=terms.fixed,
    )


def _end_of(row: AnyRow) -> End | None:
    if row.state not in ("completed", "failed", "abandoned"):
        return None
    error = None if row.error_message is None else TaskError(row.error_code, row.error_message)
    urls = () if row.urls is None else tuple(json.loads(row.urls))
    return End(
        row.state,
        row.ended_at,
        urls=urls,
        error=error,
        reason=row.reason,
        expires_at=row.expires_at,
        downloads=() if row.downloads is None else tuple(json.loads(row.downloads)),
        refreshed_at=row.refreshed_at,
    )


UNTOUCHED: Mapping[str, Any] = {
    "status": None,
    "response": None,
    "polls": 0,
    "last_polled_at": None,
    "last_error": None,
    "misses": 0,
    "missed_since": None,
    "bare": 0,
    "seen_running_at": None,
    "model": None,
}
"""What polls have taught us of a task, before the first one."""

ENDLESS: Mapping[str, Any] = {
    "ended_at": None,
    "reason": None,
    "error_code": None,
    "error_message": None,
    "urls": None,
    "expires_at": None,
    "downloads": None,
    "refreshed_at": None,
}
"""How a task ended, of one that has not."""


def learned_params(task: Task) -> Params:
    return {name: getattr(task, name) for name in UNTOUCHED}


def end_params(end: End) -> Params:
    error = end.error or TaskError(None, "")
    return {
        "state": end.state,
        "ended_at": end.at,
        "reason": end.reason,
        "error_code": error.code,
        "error_message": None if end.error is None else error.message,
        "urls": json.dumps(end.urls, ensure_ascii=True) if end.urls else None,
        "expires_at": end.expires_at,
        "downloads": json.dumps(end.downloads, ensure_ascii=True) if end.downloads else None,
        "refreshed_at": end.refreshed_at,
    }


def renewed_params(task: Task, end: End) -> Params:
    """What asking for the URLs of an ended task again can change."""
    known = end_params(end)
    names = ("urls", "expires_at", "downloads", "refreshed_at")
    return {"status": task.status, "response": task.response, **{name: known[name] for name in names}}


def file_of(row: AnyRow) -> ResultFile:
    return ResultFile(**{name: getattr(row, name) for name in _FILE})


def file_params(file: ResultFile) -> Params:
    return {name: getattr(file, name) for name in _FILE}


_FILE = tuple(field.name for field in fields(ResultFile))


def delivery_of(row: AnyRow, body: bytes) -> Delivery:
    return Delivery(
        id=row.id,
        watch_id=row.watch_id,
        type=row.type,
        callback_url=row.callback_url,
        body=body,
        created_at=row.created_at,
        state=row.state,
        reason=row.reason,
        attempts=row.attempts,
        failures=row.failures,
        deferrals=row.deferrals,
        next_attempt_at=row.next_attempt_at,
        held_until=row.held_until,
        urls_at=row.urls_at,
        urls_expire_at=row.urls_expire_at,
        links_expire_at=row.links_expire_at,
    )


def delivery_params(delivery: Delivery) -> Params:
    return {**progress_params(delivery), **{name: getattr(delivery, name) for name in _FIXED}}


_FIXED = (
    "id", "watch_id", "type", "callback_url", "body", "created_at", "held_until",
    "urls_at", "urls_expire_at", "links_expire_at",
)
_PROGRESS = ("state", "reason", "attempts", "failures", "deferrals", "next_attempt_at")


def progress_params(delivery: Delivery) -> Params:
    """What an attempt or a redelivery can change."""
    return {name: getattr(delivery, name) for name in _PROGRESS}


_ATTEMPT = ("at", "outcome", "http_status", "error", "duration", "response")


def attempt_params(attempt: Attempt, *, delivery_id: str, number: int) -> Params:
    return {"delivery_id": delivery_id, "number": number, **{name: getattr(attempt, name) for name in _ATTEMPT}}


def attempt_of(row: AnyRow) -> Attempt:
    return Attempt(row.at, row.outcome, row.http_status, row.error, row.duration, row.response)


def endpoint_of(row: AnyRow) -> Endpoint:
    terms = EndpointTerms(
        secrets=tuple(json.loads(row.secrets)),
        headers=json.loads(row.headers),
        events=tuple(json.loads(row.events)),
        rate=row.rate,
        concurrency=row.concurrency,
    )
    return Endpoint(
        row.id, row.url, terms, number=row.seq, created_at=row.created_at, updated_at=row.updated_at
    )


def endpoint_params(endpoint: Endpoint) -> Params:
    return {"id": endpoint.id, "url": endpoint.url, "created_at": endpoint.created_at, **terms_params(endpoint)}


def terms_params(endpoint: Endpoint) -> Params:
    """What can change of an endpoint."""
    terms = endpoint.terms
    return {
        "secrets": json.dumps(terms.secrets),
        "headers": json.dumps(dict(terms.headers)),
        "events": json.dumps(terms.events),
        "rate": terms.rate,
        "concurrency": terms.concurrency,
        "updated_at": endpoint.updated_at,
    }
