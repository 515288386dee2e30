"""What providers' tasks taught of how long they take, and when each of them is asked about next."""

from collections.abc import Mapping
from datetime import datetime

from notifier.domain.answer import Running
from notifier.domain.lifetimes import Life, Lifetimes
from notifier.domain.rhythm import FEWEST_ENDS, Clues, Limits, Plan, next_wait
from notifier.domain.task import Task
from notifier.ports import Chance, History
from notifier.services.channel import PollLimits

MOST_MODELS = 200
"""Models of one provider that are told apart; one that makes up names must fill no memory."""


class Kind:
    """Tasks that are alike, and the plan for them, which is made anew when enough more of them have ended."""

    def __init__(self) -> None:
        self.lifetimes = Lifetimes()
        self._plan: Plan | None = None
        self._limits: Limits | None = None
        self._renew_at = FEWEST_ENDS

    def plan(self, limits: Limits) -> Plan | None:
        seen = self.lifetimes.seen
        if seen < FEWEST_ENDS:
            return None
        if self._plan is None or seen >= self._renew_at or limits != self._limits:
            self._plan, self._limits = Plan(self.lifetimes, limits), limits
            self._renew_at = seen + max(1, min(seen // 10, 10))
        return self._plan


class Rhythms:
    """Learns from every provider; only those with `interval: auto` are asked by it."""

    def __init__(self, history: History, *, chance: Chance) -> None:
        self._history = history
        self._chance = chance
        self._limits: Mapping[str, Limits] = {}
        self._kinds: dict[str, dict[str | None, Kind]] = {}
        self._first: dict[int, float] = {}

    def configure(self, providers: Mapping[str, PollLimits]) -> None:
        """These are the providers from now on."""
        self._limits = {
            name: Limits(reference=limits.interval, least=min(limits.min_interval, limits.interval))
            for name, limits in providers.items()
            if limits.adaptive
        }

    async def load(self) -> None:
        """Remember what the store knows. Before the first poll."""
        for life in await self._history.lives():
            self._learn(life)

    def wait(self, task: Task, answer: Running, now: datetime) -> float | None:
        """Seconds from `now`, when this answer came, to the task's next poll; None: its interval says it."""
        limits = self._limits.get(task.provider)
        if limits is None or task.fixed or task.watched_since is None:
            return None
        age = max((now - task.watched_since).total_seconds(), 0.0)
        # What was saved before a restart is not known for sure, so it is as if every interval had been used.
        first = self._first.setdefault(task.key, max(age - (task.polls - 1) * limits.reference, 0.0))
        earliest = limits.earliest(task.polls, first)
        if earliest - age > limits.longest(age):  # polls so far ahead were none of the plan's: the wall clock was set
            earliest = age + limits.reference
            self._first[task.key] = earliest - task.polls * limits.reference
        return next_wait(
            self._plan(task, limits),
            limits,
            Clues(answer.progress, answer.ask_again, (task.deadline_at - now).total_seconds()),
            age=age,
            earliest=earliest,
            spread=self._chance.spread(),
        )

    def _plan(self, task: Task, limits: Limits) -> Plan | None:
        """By the tasks of the same model, or by all of the provider as long as too few of those are known."""
        kinds = self._kinds.get(task.provider, {})
        plans = (kinds[model].plan(limits) for model in (task.model, None) if model in kinds)
        return next((plan for plan in plans if plan is not None), None)

    def note(self, before: Task, after: Task, now: datetime) -> None:
        """Learn when a poll found the task over for the first time: it may be asked for a missing URL after that."""
        bare = after.bare == 1 and before.bare == 0
        over = after.end is not None and after.end.state != "abandoned" and before.bare == 0
        if not (bare or over) or after.watched_since is None or after.seen_running_at is None:
            return
        since = (after.seen_running_at - after.watched_since).total_seconds()
        by = (now - after.watched_since).total_seconds()
        if 0 <= since < by:  # else the clock was set
            self._learn(Life(after.provider, after.model, since, by))

    def _learn(self, life: Life) -> None:
        kinds = self._kinds.setdefault(life.provider, {})
        for model in {None, life.model}:
            if model in kinds or len(kinds) <= MOST_MODELS:
                kinds.setdefault(model, Kind()).lifetimes.learn(life.after, life.by)

    def forget(self, key: int) -> None:
        """The task is not polled any more."""
        self._first.pop(key, None)
