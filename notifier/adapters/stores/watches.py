"""Watches: accepted once, cancelled, and reconciled with the configuration's."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import TypeAlias

from sqlalchemy import Connection, bindparam, insert, select, update

from notifier.adapters.stores import deliveries, files, tasks
from notifier.adapters.stores.lessee import Lessee
from notifier.adapters.stores.rows import SHOWN_WATCH, UNTOUCHED, AnyRow, Params, shown_watch, watch_params
from notifier.adapters.stores.schema import DECLARED, NOT_CANCELLED, watches
from notifier.adapters.stores.schema import tasks as tasks_table
from notifier.domain.delivery import Delivery
from notifier.domain.watch import DeliveryBrief, Registration, Watch, WatchView
from notifier.ports import Announce, Cancelled, Declared, Known, Registered

Promise: TypeAlias = tuple[int, str]
"""A task's key and a callback URL: unique among the watches that were not cancelled."""

_EXISTING = SHOWN_WATCH.where(watches.c.task_key.in_(bindparam("keys", expanding=True)), NOT_CANCELLED)
_EXISTING_AT = _EXISTING.where(watches.c.callback_url == bindparam("url"))
_INSERT = insert(watches)
_TASK_OF = select(tasks_table).join(watches).where(watches.c.id == bindparam("wanted")).with_for_update(of=tasks_table)
_CANCEL = (
    update(watches)
    .where(watches.c.id == bindparam("wanted"), watches.c.state == "watching")
    .values(state="cancelled", declared=False)
)
_GIVEN_UP = ("abandoned", "idle")
_LISTED = select(watches.c.id, watches.c.task_key, watches.c.state, watches.c.source).where(DECLARED)
_DECLARE = update(watches).where(watches.c.id == bindparam("wanted"))


# Accepting


@dataclass(frozen=True, slots=True)
class _Admission:
    """Registrations with a place in the store: which promise each one makes, and what stands for it."""

    promises: tuple[Promise, ...]
    existing: Mapping[Promise, WatchView]
    created: Mapping[Promise, WatchView]
    owed: Mapping[str, Delivery]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one caller wants to register, and when it said so."""

    registrations: Sequence[Registration]
    now: datetime
    announce: Announce


def register(
    connection: Connection, wanted: Sequence[Wanted], usual_intervals: Mapping[str, float], *, lessee: Lessee
) -> list[Sequence[Registered]]:
    """Callers that came together are served as if one had asked for it all, at the latest of their times."""
    answers: list[Sequence[Registered]] = []
    for announce, alike in groupby(wanted, lambda one: one.announce):
        callers = list(alike)
        registrations = [registration for one in callers for registration in one.registrations]
        now = max(one.now for one in callers)
        registered = iter(_register(connection, registrations, now, announce, usual_intervals, lessee=lessee))
        answers += [tuple(islice(registered, len(one.registrations))) for one in callers]
    return answers


def _register(
    connection: Connection,
    registrations: Sequence[Registration],
    now: datetime,
    announce: Announce,
    usual_intervals: Mapping[str, float],
    *,
    lessee: Lessee,
) -> list[Registered]:
    admission = _admit(connection, registrations, now, announce, lessee, declared=False)
    started = {view.task_key for view in admission.created.values() if view.watch.state == "watching"}
    polled = tasks.current(connection, started, usual_intervals)
    untold = dict(admission.created)
    results = []
    for promise in admission.promises:
        view = untold.pop(promise, None)
        if view is None:
            results.append(Registered(admission.existing.get(promise) or admission.created[promise], False, None))
        else:
            owed = admission.owed.get(view.watch.id)
            task = polled.get(view.task_key) if view.watch.state == "watching" else None
            results.append(Registered(view, True, task, () if owed is None else (owed,)))
    return results


def _admit(
    connection: Connection,
    registrations: Sequence[Registration],
    now: datetime,
    announce: Announce,
    lessee: Lessee,
    *,
    declared: bool,
) -> _Admission:
    """Find or make the watch of each registration, in order; a task that was given up is polled afresh."""
    names = list(dict.fromkeys(_name(one) for one in registrations))
    known = tasks.find(connection, names)
    rows = known | tasks.create(connection, [name for name in names if name not in known], now)
    owners = [rows[_name(one)] for one in registrations]
    promises = tuple((row.key, one.callback_url) for row, one in zip(owners, registrations, strict=True))
    existing = _existing(connection, promises, {row.key for row in known.values()})
    fresh: dict[Promise, tuple[AnyRow, Registration]] = {}
    for promise, row, one in zip(promises, owners, registrations, strict=True):
        if promise not in existing:
            fresh.setdefault(promise, (row, one))  # the first of several equal registrations makes the watch
    created, owed = _make(connection, fresh, now, announce, lessee, declared=declared)
    return _Admission(promises, existing, created, owed)


def _name(registration: Registration) -> tasks.Name:
    return registration.provider, registration.task_id, registration.variables


def _make(
    connection: Connection,
    fresh: Mapping[Promise, tuple[AnyRow, Registration]],
    now: datetime,
    announce: Announce,
    lessee: Lessee,
    *,
    declared: bool,
) -> tuple[Mapping[Promise, WatchView], Mapping[str, Delivery]]:
    """New watches; those of a task whose end is known have ended, and their deliveries (by watch id) are owed."""
    if not fresh:
        return {}, {}
    tasks.restart(connection, {row.key for row, _ in fresh.values() if row.state in _GIVEN_UP}, now)
    made = {promise: _new_watch(row, one, now) for promise, (row, one) in fresh.items()}
    params = [watch_params(watch, task_key=key, declared=declared) for (key, _), watch in made.items()]
    connection.execute(_INSERT, params)
    told = [(tasks.ended(fresh[promise][0]), watch) for promise, watch in made.items()]
    known = [(files.with_files(connection, task), watch) for task, watch in told if task is not None]
    owed = deliveries.owe(connection, known, announce, now, lessee)
    by_watch = {delivery.watch_id: delivery for delivery in owed}
    return {promise: _new_view(fresh[promise][0], watch, by_watch) for promise, watch in made.items()}, by_watch


def _existing(connection: Connection, promises: Collection[Promise], known: Set[int]) -> dict[Promise, WatchView]:
    """The watches that stand for these promises already; only tasks that were `known` can have any."""
    keys = list(dict.fromkeys(key for key, _ in promises if key in known))
    urls = {url for key, url in promises if key in known}
    query, url = (_EXISTING_AT, {"url": urls.pop()}) if len(urls) == 1 else (_EXISTING, {})
    found = {
        (row.task_key, row.callback_url): row
        for portion in tasks.portions(keys)
        for row in connection.execute(query, {"keys": portion, **url})
    }
    return {promise: shown_watch(found[promise]) for promise in promises if promise in found}


def _new_watch(task: AnyRow, registration: Registration, now: datetime) -> Watch:
    over = tasks.ended(task) is not None
    return Watch(
        id=registration.id,
        provider=registration.provider,
        task_id=registration.task_id,
        callback_url=registration.callback_url,
        state=task.state if over else "watching",
        interval=registration.interval,
        registered_at=now,
        deadline_at=_deadline(now, registration),
        ended_at=now if over else None,
        source=registration.source,
        metadata=registration.metadata,
        variables=registration.variables,
    )


def _deadline(registered_at: datetime, registration: Registration) -> datetime:
    return registered_at + timedelta(seconds=registration.deadline)


def _new_view(task: AnyRow, watch: Watch, owed: Mapping[str, Delivery]) -> WatchView:
    known = {name: UNTOUCHED[name] if task.state in _GIVEN_UP else getattr(task, name) for name in _SHOWN_OF_TASK}
    delivery = owed.get(watch.id)
    brief = None
    if delivery is not None:
        brief = DeliveryBrief(delivery.id, delivery.state, delivery.attempts, delivery.next_attempt_at)
    return WatchView(watch=watch, task_key=task.key, delivery=brief, **known)


_SHOWN_OF_TASK = ("status", "polls", "last_polled_at", "last_error")


# Cancelling


def cancel(
    connection: Connection, watch_id: str, now: datetime, *, known: Known, usual_intervals: Mapping[str, float]
) -> Cancelled | None:
    task = connection.execute(_TASK_OF, {"wanted": watch_id}).one_or_none()
    if task is None:
        return None
    if connection.execute(_CANCEL, {"wanted": watch_id, "ended_at": now}).rowcount == 0:
        return Cancelled(None, None)
    tasks.catch_up(connection, [task.key], known)
    left = tasks.current(connection, [task.key], usual_intervals).get(task.key)
    if left is None:
        tasks.rest(connection, [task.key])
    return Cancelled(task.key if left is None else None, left)


# Reconciling


def declare(
    connection: Connection,
    registrations: Sequence[Registration],
    now: datetime,
    announce: Announce,
    *,
    known: Known,
    usual_intervals: Mapping[str, float],
    lessee: Lessee,
) -> Declared:
    listed_before = connection.execute(_LISTED).all()
    admission = _admit(connection, registrations, now, announce, lessee, declared=True)
    changed = _change(connection, admission, registrations)
    kept = {admission.existing[promise].watch.id for promise in admission.promises if promise in admission.existing}
    missing = [row for row in listed_before if row.id not in kept]
    _flag(connection, kept - {row.id for row in listed_before}, declared=True)
    _flag(connection, [row.id for row in missing], declared=False)
    gone = [row for row in missing if row.source == "config" and row.state == "watching"]
    left = {row.task_key for row in gone}
    tasks.lock(connection, left)
    if gone:
        connection.execute(_CANCEL, [{"wanted": row.id, "ended_at": now} for row in gone])
    tasks.catch_up(connection, left, known)
    started = {view.task_key for view in admission.created.values() if view.watch.state == "watching"}
    polled = tasks.current(connection, started | changed.keys() | left, usual_intervals)
    dropped = sorted(left - polled.keys())
    tasks.rest(connection, dropped)
    return Declared(
        added=tuple(view.watch for view in admission.created.values()),
        changed=sum(changed.values()),
        cancelled=len(gone),
        tasks=tuple(polled.values()),
        dropped=tuple(dropped),
        owed=tuple(admission.owed.values()),
    )


def _change(
    connection: Connection, admission: _Admission, registrations: Sequence[Registration]
) -> Mapping[int, int]:
    """Give watching watches what their declaration says now; how many were changed of each task, by its key."""
    changes: dict[str, Params] = {}
    keys: dict[int, int] = {}
    for promise, registration in zip(admission.promises, registrations, strict=True):
        view = admission.existing.get(promise)
        if view is None or view.watch.state != "watching" or view.watch.id in changes:
            continue
        declared = _as_declared(view.watch, registration)
        if declared != view.watch:
            told = {name: getattr(declared, name) for name in _CHANGEABLE}
            changes[view.watch.id] = {"wanted": view.watch.id, **told}
            keys[view.task_key] = keys.get(view.task_key, 0) + 1
    if changes:
        connection.execute(_DECLARE, list(changes.values()))
    return keys


_CHANGEABLE = ("interval", "deadline_at", "metadata")


def _as_declared(watch: Watch, registration: Registration) -> Watch:
    deadline_at = _deadline(watch.registered_at, registration)
    return replace(watch, interval=registration.interval, deadline_at=deadline_at, metadata=registration.metadata)


def _flag(connection: Connection, ids: Collection[str], *, declared: bool) -> None:
    if ids:
        connection.execute(_DECLARE, [{"wanted": watch_id, "declared": declared} for watch_id in ids])
