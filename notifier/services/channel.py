"""One provider's polls: the line of due tasks, and the pause when the provider will not talk to us."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from notifier.domain.answer import Answer, Running, Throttled, Unauthorized, outcome_name
from notifier.domain.pace import Line, Pause, PauseReason, Turn, next_strike, pause_again
from notifier.domain.share import Demand, is_part
from notifier.domain.task import Task, backoff
from notifier.ports import ALWAYS, Chance, Clock, Crew, PollMeter, Provider, Tenure
from notifier.services.wakeup import WakeUp

log = structlog.get_logger()

MAX_WORDS_REMEMBERED = 1000
"""Unknown status words of one provider that are told apart; one that makes up words must fill no memory."""
LAPSED_SECONDS = 0.5
"""How often a node whose lease is over looks whether it may poll again."""


@dataclass(frozen=True, slots=True)
class PollLimits:
    """A provider's numbers: `interval`, `not_found_grace` and `min_interval` in seconds, `rate` in polls a second. When
    it is `adaptive`, the interval says how many polls there may be, and how long tasks take says when."""

    interval: float
    rate: float
    concurrency: int
    not_found_grace: float
    min_interval: float = 5.0
    adaptive: bool = False


Visit: TypeAlias = "Callable[[Channel, Turn[int]], Awaitable[bool]]"


class Channel:
    """Starts `visit(channel, turn)` for whoever's turn it is; a visit that answers True stands in line again.

    `share` is what it may take of the provider's rate (polls a second); None: nobody else takes any."""

    def __init__(
        self,
        name: str,
        provider: Provider,
        limits: PollLimits,
        *,
        crew: Crew,
        clock: Clock,
        chance: Chance,
        meter: PollMeter,
        visit: Visit,
        tenure: Tenure = ALWAYS,
        share: float | None = None,
    ) -> None:
        self.name = name
        self.limits = limits
        self.share_of_rate = share
        self._provider = provider
        self._crew = crew
        self._clock = clock
        self._chance = chance
        self._meter = meter
        self._visit = visit
        self._tenure = tenure
        self._line = Line[int](concurrency=limits.concurrency, rate=limits.rate, now=clock.monotonic())
        self._demand = Demand()
        self._pause: Pause | None = None
        self._wakeup = WakeUp(self._pump, crew=crew, clock=clock)
        self.patient: set[int] = set()
        self._guests: dict[int, Visit] = {}
        self._words: set[str] = set()
        self._closed = False
        self._log = log.bind()  # once: to find out that nobody wants a debug line costs more than the line's arguments
        if share is not None:
            self._limit()

    def change(self, provider: Provider, limits: PollLimits) -> None:
        """Other numbers from now on; a provider that was replaced (another key or address) starts unpaused."""
        if provider is not self._provider:
            self._resume()
        self._log = log.bind()  # the level may have changed, too
        self._provider, self.limits = provider, limits
        self._limit()
        self._pump()

    def share(self, rate: float) -> None:
        """Take so much of the provider's rate from now on: others take the rest of it."""
        self.share_of_rate = rate
        self._limit()
        self._pump()

    def _limit(self) -> None:
        whole = self.limits.rate
        rate = whole if self.share_of_rate is None else min(self.share_of_rate, whole)
        now = self._clock.monotonic()
        self._line.change(concurrency=self.limits.concurrency, rate=rate, now=now, part=is_part(rate, whole))

    def demand(self) -> float:
        """How many polls a second it wants to make. Asked in each beat, for what it finds is remembered."""
        line, now = self._line, self._clock.monotonic()
        rationed = line.rationed(now)
        return self._demand.note(
            now, taken=line.taken, waiting=line.waiting, rationed=rationed, share=self.share_of_rate or 0.0
        )

    def close(self) -> None:
        """Nobody starts any more; who is busy finishes."""
        self._closed = True
        self._meter.paused(self.name, None)
        self._wakeup.stop()

    @property
    def pause(self) -> Pause | None:
        return self._pause

    def oldest_wait(self) -> float:
        """For how long the task in front has been due, in seconds; 0 while the provider is paused on purpose."""
        oldest = self._line.oldest()
        return 0.0 if oldest is None or self._pause is not None else self._clock.monotonic() - oldest

    def join(self, key: int, late: float = 0.0) -> bool:
        """The task has been due for `late` seconds; one that waits or is being polled is not queued again. False if it
        waits, and need not be called for until its turn: it is `patient` then."""
        if self._line.waits(key):
            self.patient.add(key)
            return False
        if self._line.join(key, self._clock.monotonic() - late):
            self._pump()
        return True

    def invite(self, key: int, visit: Visit) -> None:
        """Stand in line once for a visit of one's own; `key` is no task's, and was not used before."""
        self._guests[key] = visit
        self.join(key)

    def drop(self, key: int) -> None:
        """The task is not to be polled any more, or the guest has gone."""
        self._line.drop(key)
        self.patient.discard(key)
        self._guests.pop(key, None)

    def polling(self, key: int) -> bool:
        """Whether a poll of this task is in flight."""
        return self._line.is_busy(key)

    async def ask(self, task_id: str, variables: Mapping[str, str], due: float) -> Answer:
        """Poll once. `due` (monotonic) is since when the task was waiting for its turn."""
        started, provider = self._clock.monotonic(), self._provider
        answer = await provider.poll(task_id, variables)
        duration = self._clock.monotonic() - started
        self._meter.polled(self.name, outcome_name(answer), duration=duration, lag=started - due)
        if provider is self._provider and not self._closed:  # what a replaced one says is no longer about this one
            self._heed(answer, started)
        return answer

    def report(self, before: Task, after: Task, answer: Answer) -> None:
        """One wide line for each poll: debug unless the status changed or the poll failed."""
        if isinstance(answer, Running) and not answer.known and answer.status is not None:
            self._remember_word(answer.status)
        failed = after.last_error is not None
        say = self._log.warning if failed else self._log.info if before.status != after.status else self._log.debug
        say(
            "task.polled",
            provider=self.name,
            task_id=before.task_id,
            outcome=outcome_name(answer),
            status=after.status,
            polls=after.polls,
            error=after.last_error,
        )

    def _remember_word(self, word: str) -> None:
        if word not in self._words and len(self._words) < MAX_WORDS_REMEMBERED:
            self._words.add(word)
            log.warning("status.unknown", provider=self.name, status=word, hint="taken as running; nothing ends by it")

    def _pump(self) -> None:
        """Start whoever may go now, and come back when the next one may."""
        if self._closed:
            return
        now = self._clock.monotonic()
        if not self._tenure.holds():
            self._wakeup.by(now + LAPSED_SECONDS)
            return
        while (turn := self._line.take(now)) is not None:
            self._crew.spawn(self._take_turn(turn))
        self._wakeup.by(self._line.wake_at(now))

    async def _take_turn(self, turn: Turn[int]) -> None:
        again = not self._tenure.holds()  # asked once more: this process may have been stopped in between
        try:
            if not again:
                again = await self._guests.pop(turn.key, self._visit)(self, turn)
        finally:
            self._line.leave(turn.key)
            if again:
                self._line.join(turn.key, self._clock.monotonic())
            self._pump()

    def _heed(self, answer: Answer, started: float) -> None:
        """Pause the whole provider, or take an answer as the sign that the pause is over."""
        pause = self._pause
        match answer:
            case Throttled(retry_after=told):
                self._strike("throttled", started, told)
            case Unauthorized():
                self._strike("unauthorized", started, None)
            case _ if pause is not None and started >= pause.until:
                self._resume()
            case _:
                pass

    def _strike(self, reason: PauseReason, started: float, told: float | None) -> None:
        before, now = self._pause, self._clock.monotonic()
        wait = backoff(self.limits.interval, next_strike(before, started), self._chance.spread())
        pause = pause_again(before, reason, started=started, now=now, told=told, wait=wait)
        self._pause, self._line.held_until = pause, pause.until
        if before is None or pause.strikes != before.strikes or pause.reason != before.reason:
            seconds = round(pause.until - now, 3)
            log.warning("provider.paused", provider=self.name, reason=reason, seconds=seconds, strikes=pause.strikes)
        self._meter.paused(self.name, reason)

    def _resume(self) -> None:
        if self._pause is not None:
            log.info("provider.resumed", provider=self.name, after=self._pause.reason)
            self._pause = self._line.held_until = None
            self._meter.paused(self.name, None)
