"""How watches, deliveries and attempts are shown: as JSON text, made once and sent as it is."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from notifier.adapters.api.parts import Cluster, Readiness, Status
from notifier.adapters.api.problems import encode
from notifier.domain.delivery import Attempt, DeliveryView
from notifier.domain.endpoint import Endpoint
from notifier.domain.moment import rfc3339, rfc3339_or_none
from notifier.domain.report import Standing
from notifier.domain.result_file import MakeLink, file_members
from notifier.domain.task import Task
from notifier.domain.watch import DeliveryBrief, WatchView
from notifier.ports import Oldest, Results
from notifier.services.circuits import OpenCircuit

MASK = "…"
"""No header can have this value, so that nobody takes it for one, or sends it back as one."""


def watch_json(view: WatchView, interval: float | None, task: Task | None, next_poll_at: datetime | None) -> bytes:
    """A watch. `interval` is the one in force (seconds), `task` what is known in memory of a task that is polled:
    newer than the view, which is as the store has it."""
    watch, newest = view.watch, view if task is None else task
    head = {
        "id": watch.id,
        "provider": watch.provider,
        "task_id": watch.task_id,
        "callback_url": watch.callback_url,
        "state": watch.state,
        "status": newest.status,
        "interval": _number(interval),
        "registered_at": rfc3339(watch.registered_at),
        "deadline_at": rfc3339(watch.deadline_at),
        "last_polled_at": rfc3339_or_none(newest.last_polled_at),
        "next_poll_at": rfc3339_or_none(next_poll_at),
        "polls": newest.polls,
        "ended_at": rfc3339_or_none(watch.ended_at),
        "source": watch.source,
    }
    tail = {"last_error": newest.last_error, "delivery": None if view.delivery is None else _brief(view.delivery)}
    # Both are JSON text already; metadata goes out as it came in: no number changes its form on the way.
    kept = f',"vars":{watch.variables},"metadata":{watch.metadata},'
    return encode(head)[:-1] + kept.encode() + encode(tail)[1:]


def with_results(watch: bytes, results: Results, link: MakeLink | None) -> bytes:
    """A watch, as `watch_json` wrote it, with the results of its task."""
    files = [{"n": file.n, "state": file.state} | file_members(file, link) for file in results.files]
    return watch[:-1] + b"," + encode({"urls": results.urls, "files": files})[1:]


def delivery_json(view: DeliveryView, circuit: OpenCircuit | None) -> bytes:
    """A delivery with its latest attempts, oldest first, and the open circuit that it waits for, if there is one."""
    waits = {} if circuit is None else {"circuit": circuit_members(circuit)}
    log = [{"at": rfc3339(attempt.at)} | attempt_members(attempt) for attempt in view.log]
    return encode(_delivery(view) | waits | {"log": log})


def delivery_item_json(view: DeliveryView) -> bytes:
    """A delivery as lists show it."""
    return encode(_delivery(view))


def _delivery(view: DeliveryView) -> dict[str, Any]:
    delivery = view.delivery
    return {
        "id": delivery.id,
        "type": delivery.type,
        "watch_id": delivery.watch_id,
        "callback_url": delivery.callback_url,
        "state": delivery.state,
        "reason": delivery.reason,
        "attempts": delivery.attempts,
        "created_at": rfc3339(delivery.created_at),
        "next_attempt_at": rfc3339_or_none(delivery.next_attempt_at),
    }


def circuit_members(circuit: OpenCircuit) -> dict[str, Any]:
    """Why the deliveries to a URL wait."""
    return {
        "state": "open",
        "failures": circuit.failures,
        "since": rfc3339(circuit.since),
        "error": circuit.error,
        "next_probe_at": rfc3339(circuit.next_probe_at),
    }


def attempt_members(attempt: Attempt) -> dict[str, Any]:
    """What one HTTP try came to, without when it was."""
    return {
        "outcome": attempt.outcome,
        "http_status": attempt.http_status,
        "error": attempt.error,
        "duration_ms": round(attempt.duration * 1000, 1),
        "response": attempt.response,
    }


def readiness_members(readiness: Readiness) -> dict[str, Any]:
    return {
        "ready": readiness.ready,
        "checks": dict(readiness.checks),
        "paused": {name: asdict(provider) for name, provider in readiness.paused.items()},
        "poll_lag_seconds": round(readiness.poll_lag, 3),
    }


def status_json(status: Status, now: datetime) -> bytes:
    counts = status.counts
    shown = readiness_members(status.readiness) | {
        "version": status.version,
        "started_at": rfc3339(status.started_at),
        "uptime_seconds": round(status.uptime, 1),
        "polls_per_second": round(status.polls, 3),
        "watches": None if counts is None else dict(counts.watches),
        "deliveries": None if counts is None else dict(counts.deliveries),
        "oldest_pending": None if counts is None else _oldest(counts.oldest_pending, now),
        "open_circuits": status.open_circuits,
        "store": {"bytes": status.space.used, "free_bytes": status.space.free},
        "last_reload": {"successful": status.last_reload.successful, "at": rfc3339(status.last_reload.at)},
        "cluster": None if status.cluster is None else _cluster(status.cluster),
    }
    return encode(shown)


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "nodes": [_node(node) for node in cluster.nodes],
        "unowned_shards": cluster.unowned,
        "age_seconds": round(cluster.age, 1),
    }


def _node(node: Standing) -> dict[str, Any]:
    return {
        "name": node.name,
        "this": node.this,
        "version": node.version,
        "alive": node.alive,
        "started_at": rfc3339(node.started_at),
        "seen_at": rfc3339(node.seen_at),
        "shards": node.shards,
        "tasks": node.report.tasks,
        "polls_per_second": node.report.polls_per_second,
        "poll_lag_seconds": node.report.lag_seconds,
    }


def _oldest(oldest: Oldest | None, now: datetime) -> dict[str, Any] | None:
    if oldest is None:
        return None
    age = max((now - oldest.created_at).total_seconds(), 0.0)  # the clock may have been set back
    return {"id": oldest.id, "created_at": rfc3339(oldest.created_at), "age_seconds": round(age, 3)}


def endpoint_members(endpoint: Endpoint, circuit: OpenCircuit | None) -> dict[str, Any]:
    """An endpoint, and its circuit while that is open. Of secrets there is only the number, of headers only the names:
    their values may be passwords."""
    terms = endpoint.terms
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "source": endpoint.source,
        "events": terms.events,
        "headers": dict.fromkeys(terms.headers, MASK),
        "secrets": len(terms.secrets),
        "rate": _number(terms.rate),
        "concurrency": terms.concurrency,
        "created_at": rfc3339_or_none(endpoint.created_at),
        "updated_at": rfc3339_or_none(endpoint.updated_at),
        "circuit": None if circuit is None else circuit_members(circuit),
    }


def list_json(name: str, items: list[bytes], next_cursor: str | None) -> bytes:
    """One page of a list whose items are JSON texts."""
    return b'{"%s":[%s],"next_cursor":%s}' % (name.encode(), b",".join(items), encode(next_cursor))


def _brief(delivery: DeliveryBrief) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": rfc3339_or_none(delivery.next_attempt_at),
    }


def _number(value: float | None) -> float | int | None:
    """A whole number without a decimal point, as people write it."""
    return int(value) if value is not None and value == int(value) else value
