"""A store in memory: what the ports of watches, tasks, deliveries, results and endpoints promise, and no more."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from notifier.domain.delivery import Attempt, Delivery, new_delivery, redeliver
from notifier.domain.endpoint import Endpoint, Overfull
from notifier.domain.event import Event
from notifier.domain.lifetimes import Life
from notifier.domain.saving import named, pending, with_file, with_files
from notifier.domain.shard import shard_of
from notifier.domain.task import End, Task
from notifier.domain.watch import DeliveryBrief, Registration, Watch, WatchView
from notifier.ports import (
    Alter,
    Announce,
    Cancelled,
    Declared,
    Expired,
    Known,
    LeaseLostError,
    Outdated,
    Registered,
    Retell,
    Settlement,
    StoreUnavailableError,
    Subject,
    Unsettled,
    Waiting,
)


class FakeStore:
    """`down` makes every call raise StoreUnavailableError, `fail(n)` the next n. `writes` names what was written.
    `lost` are the keys of tasks that are another node's."""

    def __init__(self) -> None:
        self.down = False
        self.lost: set[int] = set()
        self.writes: list[str] = []
        self.watches: dict[str, Watch] = {}
        self.tasks: dict[int, Task] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.logs: dict[str, list[Attempt]] = {}
        self.registered: dict[str, Endpoint] = {}
        self._numbers = itertools.count(1)
        self._usual: dict[str, float] = {}
        self._failures = 0

    def fail(self, times: int) -> None:
        self._failures = times

    def _reach(self, write: str | None = None) -> None:
        if self.down or self._failures:
            self._failures = max(self._failures - 1, 0)
            raise StoreUnavailableError("disk I/O error")
        if write is not None:
            self.writes.append(write)

    def _prove(self, key: int) -> None:
        if key in self.lost:
            raise LeaseLostError(key)

    # WatchStore

    async def register(
        self, registrations: Sequence[Registration], now: datetime, announce: Announce
    ) -> Sequence[Registered]:
        self._reach("register")
        return [self._register(one, now, announce) for one in registrations]

    async def cancel(self, watch_id: str, now: datetime, known: Known) -> Cancelled | None:
        self._reach("cancel")
        watch = self.watches.get(watch_id)
        if watch is None:
            return None
        if watch.state != "watching":
            return Cancelled(None, None)
        return self._cancel(watch, now, known)

    async def declare(
        self, registrations: Sequence[Registration], now: datetime, announce: Announce, known: Known
    ) -> Declared:
        self._reach("declare")
        wanted = {_identity(one): one for one in registrations}
        missing = [
            watch
            for watch in self.watches.values()
            if watch.source == "config" and watch.state == "watching" and _identity(watch) not in wanted
        ]
        gone = [self._cancel(watch, now, known) for watch in missing]
        results = [self._register(one, now, announce) for one in registrations]
        changed = [self._change(result, one) for result, one in zip(results, registrations, strict=True)]
        touched = zip(results, changed, strict=True)
        keys = {result.view.task_key for result, other in touched if result.created or other}
        keys = {key for key in keys if any(self._watching(key))}
        keys |= {one.task.key for one in gone if one.task is not None}
        return Declared(
            added=tuple(result.view.watch for result in results if result.created),
            changed=sum(changed),
            cancelled=len(gone),
            tasks=tuple(self._merge(key) for key in sorted(keys)),
            dropped=tuple(one.task_key for one in gone if one.task_key is not None and one.task_key not in keys),
            owed=tuple(delivery for result in results for delivery in result.owed),
        )

    # TaskStore

    async def watched(
        self, usual_intervals: Mapping[str, float], shards: Collection[int] | None = None
    ) -> Sequence[Task]:
        self._reach()
        self._usual.update(usual_intervals)
        keys = [key for key in self.tasks if shards is None or shard_of(key) in shards]
        return [self._merge(key) for key in keys if any(self._watching(key))]

    async def save(self, tasks: Sequence[Task]) -> None:
        self._reach("save")
        for task in tasks:
            if self.tasks[task.key].end is None and self._goes_on(task):
                self.tasks[task.key] = task

    async def end(self, task: Task, announce: Announce) -> Sequence[Delivery]:
        self._reach("end")
        self._prove(task.key)
        assert task.end is not None
        watches = list(self._watching(task.key))
        if not watches or not self._goes_on(task):
            return []
        task = named(task, watches[0].id)
        self.tasks[task.key] = task
        return self._end_watches(watches, task, announce)

    async def expire(self, task: Task, now: datetime, announce: Announce) -> Expired:
        self._reach("expire")
        self._prove(task.key)
        if not self._goes_on(task):
            return Expired((), None)
        ended = replace(task, end=End("abandoned", now, reason="deadline"))
        late = [watch for watch in self._watching(task.key) if watch.deadline_at <= now]
        owed = self._end_watches(late, ended, announce)
        left = any(self._watching(task.key))
        self.tasks[task.key] = task if left else ended
        return Expired(tuple(owed), self._merge(task.key) if left else None)

    def _goes_on(self, task: Task) -> bool:
        return self.tasks[task.key].watched_since == task.watched_since

    # EndpointStore

    async def endpoints(self) -> Sequence[Endpoint]:
        self._reach()
        return list(self.registered.values())

    async def add_endpoint(self, endpoint: Endpoint) -> Endpoint:
        self._reach("add_endpoint")
        holder = next((kept for kept in self.registered.values() if kept.url == endpoint.url), None)
        return holder or self.registered.setdefault(endpoint.id, replace(endpoint, number=next(self._numbers)))

    async def change_endpoint(self, endpoint_id: str, alter: Alter) -> Endpoint | Overfull | None:
        self._reach("change_endpoint")
        if endpoint_id not in self.registered:
            return None
        altered = alter(self.registered[endpoint_id])
        if isinstance(altered, Endpoint):
            self.registered[endpoint_id] = altered
        return altered

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        self._reach("remove_endpoint")
        return self.registered.pop(endpoint_id, None) is not None

    # History

    async def lives(self) -> Sequence[Life]:
        self._reach()
        over = [task for task in self.tasks.values() if task.end is not None and task.end.state != "abandoned"]
        return [
            Life(
                task.provider,
                task.model,
                (task.seen_running_at - task.watched_since).total_seconds(),
                (task.end.at - task.watched_since).total_seconds(),
            )
            for task in sorted(over, key=lambda task: task.end.at)
            if task.seen_running_at is not None
        ]

    # DeliveryStore

    async def waiting(self) -> Sequence[Waiting]:
        self._reach()
        pending = [
            Waiting(one.id, one.callback_url, one.next_attempt_at)
            for one in self.deliveries.values()
            if one.next_attempt_at is not None and one.held_until is None
        ]
        return sorted(pending, key=lambda waiting: waiting.next_attempt_at)

    async def delivery(self, delivery_id: str) -> Delivery | None:
        self._reach()
        return self.deliveries.get(delivery_id)

    async def settle(self, delivery: Delivery, attempt: Attempt) -> Settlement:
        self._reach("settle")
        known = self.deliveries.get(delivery.id)
        if known is None or known.attempts not in (delivery.attempts - 1, delivery.attempts):
            return "lost"
        if known.attempts == delivery.attempts:
            return "known"
        self.deliveries[delivery.id] = delivery
        self.logs.setdefault(delivery.id, []).append(attempt)
        return "kept"

    async def redeliver(self, delivery_id: str, now: datetime) -> Delivery | None:
        self._reach("redeliver")
        known = self.deliveries.get(delivery_id)
        again = None if known is None else redeliver(known, now=now)
        if again is not None:
            self.deliveries[delivery_id] = again
        return again

    # ResultStore

    async def unsettled(self, shards: Collection[int] | None = None) -> Unsettled:
        self._reach()
        times = {key: [file.next_try_at for file in pending(task)] for key, task in self.tasks.items()}
        tasks = {key: min(at for at in found if at is not None) for key, found in times.items() if found}
        tasks = {key: at for key, at in tasks.items() if shards is None or shard_of(key) in shards}
        held = [one for one in self.deliveries.values() if one.held_until is not None]
        if shards is not None:
            held = [one for one in held if shard_of(self.view(one.watch_id).task_key) in shards]
        return Unsettled(tasks, [Waiting(one.id, one.callback_url, one.held_until) for one in held if one.held_until])

    async def result(self, key: int) -> Task | None:
        self._reach()
        task = self.tasks.get(key)
        return None if task is None or task.end is None else task

    async def keep(
        self, task: Task, changed: Collection[int], now: datetime, retell: Retell
    ) -> Sequence[Delivery]:
        self._reach("keep")
        known = self.tasks.get(task.key)
        if known is None or known.end is None or task.end is None or not pending(known):
            return []
        if not any(file.n in changed for file in pending(known)):
            return []
        settled = {file.n: file for file in known.end.files if file.state != "pending" or file.n not in changed}
        files = tuple(settled.get(file.n, file) for file in task.end.files)
        fresh = task if task.end.refreshed_at is not None else known
        self.tasks[task.key] = known = with_files(fresh, files)
        return [] if pending(known) else self._tell(known, now, retell)

    async def release(self, delivery_id: str, now: datetime, retell: Retell) -> Delivery | None:
        self._reach("release")
        held = self.deliveries.get(delivery_id)
        if held is None or held.held_until is None:
            return None
        watch = self.watches[held.watch_id]
        task = next(task for task in self.tasks.values() if _names(task, watch))
        event = retell(task, watch, delivery_id)
        return None if event is None else self._release(event, held, now)

    async def outdated(self, before: datetime, most: int, behind: Outdated | None = None) -> Sequence[Outdated]:
        self._reach()
        files = [(key, file) for key, task in self.tasks.items() if task.end for file in task.end.files]
        saved = [(key, file, file.saved_at) for key, file in files if file.state == "saved" and file.saved_at]
        old = [Outdated(key, file.n, file.location or "", at) for key, file, at in saved if at < before]
        return sorted((one for one in old if behind is None or _age(one) > _age(behind)), key=_age)[:most]

    async def forget(self, file: Outdated, why: str) -> None:
        self._reach("forget")
        task = self.tasks[file.task_key]
        assert task.end is not None
        gone = replace(task.end.files[file.n], state="deleted", location=None, error=why)
        self.tasks[task.key] = with_file(task, gone)

    def _tell(self, task: Task, now: datetime, retell: Retell) -> list[Delivery]:
        told = []
        for watch in self.watches.values():
            if watch.state == "completed" and _names(task, watch):
                own = [one for one in self.deliveries.values() if one.watch_id == watch.id and one.held_until]
                event = retell(task, watch, own[0].id if own else None)
                if event is not None and own:
                    told.append(self._release(event, own[0], now))
                elif event is not None:
                    told.append(new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=now))
        self.deliveries |= {delivery.id: delivery for delivery in told}
        return told

    def _release(self, event: Event, held: Delivery, now: datetime) -> Delivery:
        times = {name: getattr(event, name) for name in ("urls_at", "urls_expire_at", "links_expire_at")}
        self.deliveries[held.id] = replace(held, body=event.body, held_until=None, next_attempt_at=now, **times)
        return self.deliveries[held.id]

    # BodyStore

    async def subject(self, delivery_id: str) -> Subject | None:
        self._reach()
        delivery = self.deliveries.get(delivery_id)
        watch = None if delivery is None else self.watches[delivery.watch_id]
        return next((Subject(task, watch) for task in self.tasks.values() if watch and _names(task, watch)), None)

    async def rewrite(self, delivery: Delivery, task: Task) -> bool:
        self._reach("rewrite")
        known = self.deliveries.get(delivery.id)
        if known is None or known.attempts != delivery.attempts or known.state != "pending":
            return False
        self.deliveries[delivery.id] = delivery
        if task.end is not None and task.end.refreshed_at is not None:
            self.tasks[task.key] = replace(task, end=replace(task.end, refresh_error=None))
        return True

    def view(self, watch_id: str) -> WatchView:
        watch = self.watches[watch_id]
        task = next(task for task in self.tasks.values() if _names(task, watch))
        own = (one for one in self.deliveries.values() if one.watch_id == watch_id)
        delivery = next((DeliveryBrief(one.id, one.state, one.attempts, one.next_attempt_at) for one in own), None)
        return WatchView(watch, task.key, task.status, task.polls, task.last_polled_at, task.last_error, delivery)

    def _register(self, asked: Registration, now: datetime, announce: Announce) -> Registered:
        self._usual[asked.provider] = asked.usual_interval
        for watch in self.watches.values():
            if _identity(watch) == _identity(asked) and watch.state != "cancelled":
                key = self.view(watch.id).task_key
                return Registered(self.view(watch.id), False, self._merge(key) if watch.state == "watching" else None)
        key = self._task_for(asked, now)
        watch = self.watches[asked.id] = _watch(asked, now)
        if self.tasks[key].end is not None:
            owed = self._end_watches([watch], self.tasks[key], announce, now)
            return Registered(self.view(watch.id), True, None, tuple(owed))
        return Registered(self.view(watch.id), True, self._merge(key))

    def _task_for(self, asked: Registration, now: datetime) -> int:
        known = next((task for task in self.tasks.values() if _names(task, asked)), None)
        key = len(self.tasks) + 1 if known is None else known.key
        ended = known is not None and known.end is not None and known.end.state != "abandoned"
        if not ended and not any(self._watching(key)):
            deadline_at = now + timedelta(seconds=asked.deadline)
            fresh = Task(key, asked.provider, asked.task_id, asked.usual_interval, deadline_at)
            self.tasks[key] = replace(fresh, variables=asked.variables, watched_since=now)
        return key

    def _change(self, result: Registered, asked: Registration) -> bool:
        watch = result.view.watch
        deadline_at = watch.registered_at + timedelta(seconds=asked.deadline)
        after = replace(watch, interval=asked.interval, deadline_at=deadline_at, metadata=asked.metadata)
        if result.created or watch.state != "watching" or after == watch:
            return False
        self.watches[watch.id] = after
        return True

    def _cancel(self, watch: Watch, now: datetime, known: Known) -> Cancelled:
        key = self.view(watch.id).task_key
        told = known(key)
        if told is not None and told.end is None and self._goes_on(told):
            self.tasks[key] = told
        self.watches[watch.id] = replace(watch, state="cancelled", ended_at=now)
        left = any(self._watching(key))
        return Cancelled(None, self._merge(key)) if left else Cancelled(key, None)

    def _end_watches(
        self, watches: Sequence[Watch], task: Task, announce: Announce, now: datetime | None = None
    ) -> list[Delivery]:
        assert task.end is not None
        owed = []
        for watch in watches:
            self.watches[watch.id] = replace(watch, state=task.end.state, ended_at=task.end.at)
            event = announce(task, watch)
            if event is not None:
                at = now or task.end.at
                owed.append(new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=at))
        self.deliveries |= {delivery.id: delivery for delivery in owed}
        return owed

    def _watching(self, key: int) -> Iterator[Watch]:
        task = self.tasks.get(key)
        return (
            watch
            for watch in self.watches.values()
            if task is not None and watch.state == "watching" and _names(task, watch)
        )

    def _merge(self, key: int) -> Task:
        """The task with the smallest interval and deadline of those who watch it."""
        watches = list(self._watching(key))
        task = self.tasks[key]
        usual = self._usual.get(task.provider, task.interval)
        interval = min(usual if watch.interval is None else watch.interval for watch in watches)
        deadline_at, fixed = min(watch.deadline_at for watch in watches), any(watch.interval for watch in watches)
        self.tasks[key] = replace(task, interval=interval, deadline_at=deadline_at, fixed=fixed)
        return self.tasks[key]


def _watch(asked: Registration, now: datetime) -> Watch:
    return Watch(
        id=asked.id,
        provider=asked.provider,
        task_id=asked.task_id,
        callback_url=asked.callback_url,
        state="watching",
        interval=asked.interval,
        registered_at=now,
        deadline_at=now + timedelta(seconds=asked.deadline),
        ended_at=None,
        source=asked.source,
        metadata=asked.metadata,
        variables=asked.variables,
    )


def _age(file: Outdated) -> tuple[datetime, int, int]:
    return file.saved_at, file.task_key, file.n


def _identity(watch: Watch | Registration) -> tuple[str, ...]:
    return watch.provider, watch.task_id, watch.variables, watch.callback_url


def _names(task: Task, watch: Watch | Registration) -> bool:
    return _task_name(task) == _task_name(watch)


def _task_name(one: Task | Watch | Registration) -> tuple[str, ...]:
    return one.provider, one.task_id, one.variables
