"""Entities as the tests need them: everything that a test does not care about has a plain value."""

import asyncio
import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from notifier.adapters.stores.postgres import open_postgres
from notifier.adapters.stores.sqlite import open_sqlite
from notifier.adapters.stores.store import SqlStore
from notifier.domain.answer import TaskError
from notifier.domain.delivery import Attempt, Delivery
from notifier.domain.event import Event, announce
from notifier.domain.task import End, Task
from notifier.domain.watch import Registration, Watch
from tests.postgres_server import shared_server

T0 = datetime(2026, 11, 22, 13, 33, 0, 123456, tzinfo=UTC)
HOOK = "https://app.example.com/hook"
USUAL = 30.0
DAY = 86400.0
_NUMBERS = itertools.count(1)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def registration(number: int = 1, task: str = "vid_1", url: str = HOOK, **changes: Any) -> Registration:
    """`number` makes the watch's id."""
    plain = Registration(
        id=watch_id(number),
        provider="videos",
        task_id=task,
        callback_url=url,
        interval=None,
        usual_interval=USUAL,
        deadline=DAY,
        metadata='{"order":1042}',
        source="intake",
    )
    return replace(plain, **changes)


def declaration(number: int = 1, task: str = "vid_1", url: str = HOOK, **changes: Any) -> Registration:
    return registration(number, task, url, source="config", **changes)


def watch_id(number: int) -> str:
    return f"wch_{number:024x}"


@dataclass
class Announcer:
    """Announces for real; remembers what it was asked for. `unwanted`: types it says no to."""

    unwanted: set[str] = field(default_factory=set)
    told: list[tuple[Task, Watch]] = field(default_factory=list)
    events: dict[str, Event] = field(default_factory=dict)

    def __call__(self, task: Task, watch: Watch) -> Event | None:
        self.told.append((task, watch))
        event = announce(task, watch, f"evt_{next(_NUMBERS):024x}")
        if event.type in self.unwanted:
            return None
        self.events[watch.id] = event
        return event


def completed(task: Task, seconds: float = 60.0) -> Task:
    heard = replace(task, status="completed", response='{"status":"completed"}', polls=task.polls + 1)
    return replace(heard, end=End("completed", at(seconds), urls=("https://cdn.example.com/v.mp4",)))


def failed(task: Task, seconds: float = 60.0) -> Task:
    heard = replace(task, status="failed", response='{"status":"failed"}', polls=task.polls + 1)
    return replace(heard, end=End("failed", at(seconds), error=TaskError("nsfw", "the prompt was refused")))


def given_up(task: Task, seconds: float = 60.0) -> Task:
    return replace(task, misses=3, missed_since=at(seconds - 50), end=End("abandoned", at(seconds), reason="not_found"))


def tried(delivery: Delivery, **changes: Any) -> tuple[Delivery, Attempt]:
    """One more failed attempt; `changes` are what else it made of the delivery."""
    number = delivery.attempts + 1
    due = at(100 * number)
    settled = replace(delivery, **{"attempts": number, "failures": number, "next_attempt_at": due, **changes})
    return settled, Attempt(at(10 * number), "failed", 500, "HTTP 500", 0.125, f"answer {number}")


def delivered(delivery: Delivery) -> tuple[Delivery, Attempt]:
    settled = replace(delivery, attempts=delivery.attempts + 1, state="delivered", next_attempt_at=None)
    return settled, Attempt(at(70), "delivered", 200, None, 0.25, "thanks")


def nothing_known(key: int) -> Task | None:
    """What a daemon knows that follows no task."""
    return None


class Backend(Protocol):
    """One kind of database with one place in it: what is opened again holds what was written before."""

    async def open(self) -> SqlStore: ...

    def remove(self) -> None:
        """Nobody will open it again."""
        ...


@dataclass
class SqliteBackend:
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "notifier.db"

    async def open(self) -> SqlStore:
        return await open_sqlite(self.path, busy_timeout=0.05)

    def remove(self) -> None:
        """Its folder goes by itself."""


@dataclass
class PostgresBackend:
    folder: Path
    name: str = field(default_factory=lambda: shared_server().create(_migrated()))

    async def open(self) -> SqlStore:
        return await open_postgres(shared_server().url(self.name))

    def remove(self) -> None:
        shared_server().drop(self.name)


@functools.cache
def _migrated() -> str:
    """A database with empty tables, to be copied: that is quicker than making them."""
    name = shared_server().create()

    async def open_and_close() -> None:
        await (await open_postgres(shared_server().url(name))).close()

    with ThreadPoolExecutor(1) as elsewhere:  # whoever asks first may stand in an event loop
        elsewhere.submit(asyncio.run, open_and_close()).result()
    return name


BACKENDS = {"sqlite": SqliteBackend, "postgresql": PostgresBackend}
