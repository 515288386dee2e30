"""Providers, receivers and the guard, by hand: they say what a test tells them to say, and write down who asked."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from notifier.domain.address import Refusal
from notifier.domain.answer import Answer, Running
from notifier.domain.delivery import Answered, Receipt
from notifier.ports import ArchiveUnavailableError, GuardBusyError, Saved, SaveOrder, Unsaved
from tests.fakes import FakeClock, FakeCrew

T = TypeVar("T")


class Remote(Generic[T]):
    """Somebody at the other end: gives scripted answers by key, then `usual`, after `takes` seconds.

    An exception in a script is raised. What is asked while `held` is answered after `release()`.
    """

    def __init__(self, crew: FakeCrew, usual: T) -> None:
        self._crew = crew
        self.usual = usual
        self.takes = 0.0
        self.held = False
        self.in_flight = 0
        self.most_in_flight = 0
        self._scripts: defaultdict[str, deque[T | Exception]] = defaultdict(deque)
        self._gates: deque[asyncio.Event] = deque()

    def script(self, key: str, *answers: T | Exception) -> None:
        self._scripts[key].extend(answers)

    def hold(self) -> None:
        self.held = True

    def release(self, count: int | None = None) -> None:
        """Let the first `count` go that are held; all of them, and everybody after them, when not said."""
        self.held = count is not None
        for _ in range(len(self._gates) if count is None else count):
            self._gates.popleft().set()

    async def _answer(self, key: str) -> T:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._wait()
        finally:
            self.in_flight -= 1
        answer = self._scripts[key].popleft() if self._scripts[key] else self.usual
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _wait(self) -> None:
        if self.takes:
            await self._crew.sleep(self.takes)
        if self.held:
            gate = asyncio.Event()
            self._gates.append(gate)
            await gate.wait()


class FakeProvider(Remote[Answer]):
    """`asked` lists task ids with the (monotonic) time of each poll, `variables` what came with them; `running` until a
    script says otherwise."""

    def __init__(self, crew: FakeCrew, clock: FakeClock) -> None:
        super().__init__(crew, Running("processing", known=True))
        self._clock = clock
        self.asked: list[tuple[str, float]] = []
        self.variables: list[Mapping[str, str]] = []

    async def poll(self, task_id: str, variables: Mapping[str, str]) -> Answer:
        self.asked.append((task_id, self._clock.monotonic()))
        self.variables.append(variables)
        return await self._answer(task_id)

    def times(self, task_id: str) -> list[float]:
        """When this task was polled, in seconds since the fake world began."""
        return [at - 1000.0 for asked, at in self.asked if asked == task_id]


@dataclass(frozen=True, slots=True)
class Post:
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime


class FakeSender(Remote[Receipt]):
    """Receivers by URL: 204 until a script says otherwise. `posts` is what went out."""

    def __init__(self, crew: FakeCrew, clock: FakeClock) -> None:
        super().__init__(crew, Answered(204, None, "", 0.05))
        self._clock = clock
        self.posts: list[Post] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        self.posts.append(Post(url, dict(headers), body, self._clock.now()))
        return await self._answer(url)

    def to(self, url: str) -> Iterator[Post]:
        return (post for post in self.posts if post.url == url)


class FakeGuard:
    """Allows every URL that is not in `refused`; `checked` counts who asked. While `busy` it knows nothing."""

    def __init__(self) -> None:
        self.busy = False
        self.refused: dict[str, Refusal] = {}
        self.checked: Counter[str] = Counter()

    async def check(self, url: str) -> Refusal | None:
        self.checked[url] += 1
        if self.busy:
            raise GuardBusyError("too many look-ups hang")
        return self.refused.get(url)


class FakeArchive(Remote[Saved | Unsaved]):
    """Saves what it is asked for, unless a script (by URL) says otherwise. `orders` is what
    it was asked for, `shelf` what it keeps; `stuck` says why nothing can be removed, `elsewhere` what is another
    archive's."""

    def __init__(self, crew: FakeCrew) -> None:
        super().__init__(crew, Saved("", 4, "beef", "video/mp4"))
        self.orders: list[SaveOrder] = []
        self.shelf: set[str] = set()
        self.stuck: ArchiveUnavailableError | None = None
        self.elsewhere: set[str] = set()

    async def save(self, order: SaveOrder) -> Saved | Unsaved:
        self.orders.append(order)
        outcome = await self._answer(order.url)
        if isinstance(outcome, Saved):
            outcome = replace(outcome, location=f"file:///results/{order.name}.mp4")
            self.shelf.add(outcome.location)
        return outcome

    async def open(self, location: str, start: int, stop: int) -> AsyncIterator[bytes]:
        yield b"beef"[start:stop]

    async def remove(self, location: str) -> None:
        if self.stuck is not None:
            raise self.stuck
        if location in self.elsewhere:
            raise ArchiveUnavailableError("another archive's")
        self.shelf.discard(location)
