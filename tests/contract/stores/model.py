"""What a store should do, in the plainest words: dictionaries in memory, no cleverness, nothing to be fast about."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from notifier.domain.delivery import Attempt, Delivery, new_delivery
from notifier.domain.event import Event, announce
from notifier.domain.link import Links, WatchLinks, link_key
from notifier.domain.saving import named, news_of, pending, with_files
from notifier.domain.signature import HmacKey
from notifier.domain.task import End, Task
from notifier.domain.watch import Registration, Watch, WatchState
from notifier.ports import Known, Settlement

Name: TypeAlias = tuple[str, str, str]
"""A task's provider, its id there, and its variables."""

USUAL = {"videos": 30.0, "images": 20.0}


HOLD = timedelta(seconds=100)


def tell(task: Task, watch: Watch) -> Event | None:
    """The event's id follows from the watch's; nobody at a URL ending in `/deaf` wants to know of failures. What waits
    for files is held."""
    if watch.callback_url.endswith("/deaf") and task.end and task.end.state == "failed":
        return None
    event = announce(task, watch, watch.id.replace("wch_", "evt_"))
    return replace(event, held_until=task.end.at + HOLD) if task.end and pending(task) else event


def retell(task: Task, watch: Watch, held: str | None) -> Event | None:
    """Nobody at a URL ending in `/deaf` wants to know of files."""
    if held is not None:
        return announce(task, watch, held, links=links_to(watch))
    deaf = watch.callback_url.endswith("/deaf") or task.end is None
    if deaf:
        return None
    return announce(task, watch, watch.id.replace("wch_", "evt_news_"), news_of(task.end), links_to(watch))


def links_to(watch: Watch) -> WatchLinks:
    """Signed links, the same whenever they are made."""
    links = Links("https://notifier.example.com", 3600.0, (link_key(HmacKey(b"k" * 32)),))
    return WatchLinks(links, watch.id, datetime(2026, 11, 22, tzinfo=UTC))


def name_of(one: Task | Watch | Registration) -> Name:
    return one.provider, one.task_id, one.variables


@dataclass
class ModelTask:
    """`known` is the task as last saved; its interval and deadline mean nothing."""

    known: Task
    state: str = "watching"


@dataclass
class Model:
    tasks: dict[Name, ModelTask] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    logs: dict[str, list[Attempt]] = field(default_factory=dict)

    # Reading

    def of(self, name: Name) -> Iterator[Watch]:
        return (watch for watch in self.watches.values() if name_of(watch) == name)

    def watching(self, name: Name) -> list[Watch]:
        return [watch for watch in self.of(name) if watch.state == "watching"]

    def task(self, name: Name) -> Task | None:
        """The task as it is to be polled, or None."""
        watching = self.watching(name)
        if not watching:
            return None
        interval = min(USUAL[name[0]] if watch.interval is None else watch.interval for watch in watching)
        deadline_at = min(watch.deadline_at for watch in watching)
        fixed = any(watch.interval is not None for watch in watching)
        return replace(self.tasks[name].known, interval=interval, deadline_at=deadline_at, setbacks=0, fixed=fixed)

    def delivery_of(self, watch: Watch) -> Delivery | None:
        """Of its end, not of files."""
        own = (each for each in self.deliveries.values() if each.watch_id == watch.id)
        return next((each for each in own if not each.type.startswith("result.")), None)

    def result(self, key: int) -> Task | None:
        """A task that completed or failed."""
        ended = (task.known for task in self.tasks.values() if task.state in ("completed", "failed"))
        return next((task for task in ended if task.key == key), None)

    # Watches

    def register(self, one: Registration, now: datetime, key: Callable[[], int]) -> tuple[Watch, bool, Delivery | None]:
        """The watch, whether it is new, and what it is owed at once. `key` tells the key of a task that is new."""
        name = name_of(one)
        for watch in self.of(name):
            if watch.callback_url == one.callback_url and watch.state != "cancelled":
                return watch, False, None
        task = self.tasks.get(name)
        if task is None or task.state in ("abandoned", "idle"):
            fresh = Task(key() if task is None else task.known.key, *name[:2], interval=0.0, deadline_at=now)
            fresh = replace(fresh, variables=one.variables, watched_since=now)
            task = self.tasks[name] = ModelTask(fresh)
        deadline_at = now + timedelta(seconds=one.deadline)
        words = (one.interval, now, deadline_at, None, one.source, one.metadata, one.variables)
        watch = Watch(one.id, *name[:2], one.callback_url, "watching", *words)
        self.watches[watch.id] = watch
        if task.state == "watching":
            return watch, True, None
        ended = self._over(watch, task.state, now)
        return ended, True, self._owe(task.known, ended, now)

    def cancel(self, watch: Watch, now: datetime, known: Known) -> None:
        if watch.state == "watching":
            kept = self.tasks[name_of(watch)]
            told = known(kept.known.key)
            if told is not None and told.end is None:
                kept.known = told
            self._over(watch, "cancelled", now)
            self.declared.discard(watch.id)
            self._rest(watch)

    def declare(
        self, ones: Iterable[Registration], now: datetime, key: Callable[[Registration], int], known: Known
    ) -> None:
        kept = set()
        for one in ones:
            watch, created, _ = self.register(one, now, lambda one=one: key(one))
            kept.add(watch.id)
            if not created and watch.state == "watching":
                deadline_at = watch.registered_at + timedelta(seconds=one.deadline)
                changes = {"interval": one.interval, "deadline_at": deadline_at, "metadata": one.metadata}
                self.watches[watch.id] = replace(watch, **changes)
        for watch in [self.watches[each] for each in self.declared - kept]:
            if watch.source == "config":
                self.cancel(watch, now, known)
        self.declared = kept

    # Tasks

    def save(self, task: Task) -> None:
        kept = self._open(task)
        if kept is not None:
            kept.known = task

    def end(self, task: Task) -> list[Delivery]:
        kept = self._open(task)
        if kept is None or task.end is None:
            return []
        watching = self.watching(name_of(task))
        return self._end(kept, named(task, watching[0].id), watching)

    def expire(self, task: Task, now: datetime) -> list[Delivery]:
        kept = self._open(task)
        if kept is None:
            return []
        watching = self.watching(name_of(task))
        due = [watch for watch in watching if watch.deadline_at <= now]
        owed = self._end(kept, replace(task, end=End("abandoned", now, reason="deadline")), due)
        if len(due) < len(watching):
            kept.state, kept.known = "watching", task
        return owed

    def _open(self, task: Task) -> ModelTask | None:
        kept = self.tasks.get(name_of(task))
        return kept if kept and kept.known.key == task.key and kept.state == "watching" else None

    def _end(self, kept: ModelTask, task: Task, watches: list[Watch]) -> list[Delivery]:
        kept.known, kept.state = task, task.end.state
        owed = [self._owe(task, self._over(watch, task.end.state, task.end.at), task.end.at) for watch in watches]
        return [delivery for delivery in owed if delivery is not None]

    def _over(self, watch: Watch, state: WatchState, now: datetime) -> Watch:
        self.watches[watch.id] = ended = replace(watch, state=state, ended_at=now)
        return ended

    def _owe(self, task: Task, watch: Watch, now: datetime) -> Delivery | None:
        event = tell(task, watch)
        if event is None:
            return None
        return self._add(event, watch, now)

    def _add(self, event: Event, watch: Watch, now: datetime) -> Delivery:
        delivery = new_delivery(event, watch_id=watch.id, callback_url=watch.callback_url, now=now)
        self.deliveries[delivery.id] = delivery
        self.logs[delivery.id] = []
        return delivery

    def _rest(self, watch: Watch) -> None:
        name = name_of(watch)
        if not self.watching(name):
            self.tasks[name].state = "idle"

    # Deliveries and upkeep

    def settle(self, delivery: Delivery, attempt: Attempt) -> Settlement:
        kept = self.deliveries.get(delivery.id)
        if kept is None or kept.attempts != delivery.attempts - 1:
            return "known" if kept is not None and kept.attempts == delivery.attempts else "lost"
        self.deliveries[delivery.id] = replace(delivery, body=kept.body, held_until=kept.held_until)
        self.logs[delivery.id].append(attempt)
        return "kept"

    def keep(self, task: Task, now: datetime) -> list[Delivery]:
        name = name_of(task)
        kept = self.tasks.get(name)
        if kept is None or kept.known.key != task.key or task.end is None or not pending(kept.known):
            return []
        settled = {file.n: file for file in kept.known.end.files if file.state != "pending"}
        kept.known = with_files(kept.known, tuple(settled.get(file.n, file) for file in task.end.files))
        if pending(kept.known):
            return []
        told = [self._news(kept.known, watch, now) for watch in self.of(name) if watch.state == "completed"]
        return [delivery for delivery in told if delivery is not None]

    def _news(self, task: Task, watch: Watch, now: datetime) -> Delivery | None:
        own = self.delivery_of(watch)
        if own is not None and own.held_until is not None:
            return self.release(own.id, now)
        event = retell(task, watch, None)
        return None if event is None else self._add(event, watch, now)

    def release(self, delivery_id: str, now: datetime) -> Delivery | None:
        held = self.deliveries.get(delivery_id)
        if held is None or held.held_until is None:
            return None
        watch = self.watches[held.watch_id]
        event = retell(self.tasks[name_of(watch)].known, watch, delivery_id)
        anew = {"body": event.body, "links_expire_at": event.links_expire_at}
        self.deliveries[delivery_id] = replace(held, **anew, held_until=None, next_attempt_at=now)
        return self.deliveries[delivery_id]

    def clean(self, before: datetime) -> int:
        old = [watch for watch in self.watches.values() if self._outdated(watch, before)]
        for watch in old:
            del self.watches[watch.id]
            for delivery in [each for each in self.deliveries.values() if each.watch_id == watch.id]:
                del self.deliveries[delivery.id], self.logs[delivery.id]
        for name in [name for name in self.tasks if not any(self.of(name))]:
            del self.tasks[name]
        return len(old)

    def _outdated(self, watch: Watch, before: datetime) -> bool:
        own = [each for each in self.deliveries.values() if each.watch_id == watch.id]
        owing = any(each.state == "pending" for each in own)
        task = self.tasks[name_of(watch)]
        owing = owing or bool(pending(task.known))
        over = watch.ended_at is not None and watch.ended_at < before
        return over and not owing and watch.id not in self.declared
