"""Asking providers once more about tasks that have ended: in turn with the polls, and never for long."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from notifier.domain.answer import Answer
from notifier.domain.pace import Line, Turn
from notifier.domain.task import Task
from notifier.ports import Clock, Crew
from notifier.services.channel import Channel

PATIENCE_SECONDS = 10.0
"""From the question to the answer, the wait for a turn included."""
REST_SECONDS = 30.0
"""A provider that let a question wait for so long in vain is asked none for this long: those who ask must not lose
their patience one after the other."""
MOST_IN_LINE = 8
"""How many questions stand among a provider's polls at most, and no more than a second's worth: polls come first."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """The provider was not asked, or has not answered in time."""

    why: str


Ask: TypeAlias = Callable[[Task], Awaitable[Answer | Unasked]]


@dataclass(slots=True, eq=False)
class _Question:
    task: Task
    channel: Channel
    reply: asyncio.Future[Answer | Unasked]
    stop_waiting: Callable[[], None] = lambda: None
    asked: bool = False

    async def visit(self, channel: Channel, turn: Turn[int]) -> bool:
        self.asked = True
        self.settle(await channel.ask(self.task.task_id, json.loads(self.task.variables), turn.due))
        return False

    def settle(self, reply: Answer | Unasked) -> None:
        if not self.reply.done():
            self.stop_waiting()
            self.reply.set_result(reply)

    def vain(self) -> str:
        """Why there is no answer yet."""
        if self.asked:
            return f"the provider did not answer within {PATIENCE_SECONDS:g} s"
        if self.channel.pause is not None:
            return _paused(self.channel.pause.reason)
        return f"the provider's rate and concurrency left no room for a question within {PATIENCE_SECONDS:g} s"


class Inquiries:
    """`channel_of` names a provider's channel, None if it is not configured."""

    def __init__(self, channel_of: Callable[[str], Channel | None], *, crew: Crew, clock: Clock) -> None:
        self._channel_of = channel_of
        self._crew = crew
        self._clock = clock
        self._numbers = itertools.count(-1, -1)  # the keys of tasks are positive
        self._open: dict[int, _Question] = {}
        self._lines: dict[str, Line[int]] = {}
        self._resting: dict[str, tuple[float, Unasked]] = {}
        self._closed = False

    async def ask(self, task: Task) -> Answer | Unasked:
        """What the provider says of the task now, within its rate, concurrency and pause and within 10 s; it learns
        nothing from the answer but whether the provider is to be left alone."""
        channel = self._channel_of(task.provider)
        if channel is None:
            return Unasked("the configuration no longer names its provider")
        if channel.pause is not None:
            return Unasked(_paused(channel.pause.reason))
        until, why = self._resting.get(task.provider, (0.0, Unasked("")))
        if self._clock.monotonic() < until:
            return why
        if self._closed:
            return Unasked("Notifier is stopping")
        return await self._put(_Question(task, channel, asyncio.get_running_loop().create_future()))

    def close(self) -> None:
        """Ask nothing more, and let nobody wait."""
        self._closed = True
        for question in self._open.values():
            question.settle(Unasked("Notifier is stopping"))

    async def _put(self, question: _Question) -> Answer | Unasked:
        name, key = question.channel.name, next(self._numbers)
        self._open[key] = question
        question.stop_waiting = self._crew.later(PATIENCE_SECONDS, lambda: self._give_up(question))
        self._line(question.channel).join(key, self._clock.monotonic())
        self._pump(name)
        try:
            return await question.reply
        finally:
            question.stop_waiting()
            del self._open[key]
            question.channel.drop(key)
            self._lines[name].drop(key)
            self._lines[name].leave(key)
            self._pump(name)

    def _line(self, channel: Channel) -> Line[int]:
        room = min(max(int(channel.limits.rate), 1), MOST_IN_LINE)
        line = self._lines.setdefault(channel.name, Line[int](concurrency=room))
        line.concurrency = room
        return line

    def _pump(self, name: str) -> None:
        while (turn := self._lines[name].take(self._clock.monotonic())) is not None:
            question = self._open[turn.key]
            if not question.reply.done():  # else it is about to leave
                question.channel.invite(turn.key, question.visit)

    def _give_up(self, question: _Question) -> None:
        """Whoever waits behind it gives up with it."""
        unasked = Unasked(question.vain())
        self._resting[question.channel.name] = (self._clock.monotonic() + REST_SECONDS, unasked)
        for other in self._open.values():
            if other.channel is question.channel and (other is question or not other.asked):
                other.settle(unasked)


def _paused(reason: str) -> str:
    return f"the provider is paused ({reason})"
