"""The simulated API's tasks, and a record of every poll. Time is an argument (Unix seconds) throughout."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from notifier.demo.simulator.rule import Honest, Rule, step_at
from notifier.demo.simulator.step import Answer, Step, answer, nth
from notifier.demo.simulator.story import Story, status_after, truth, usual_story

MAX_TIMES = 1_000
"""Polls of one task whose times are kept; older ones are only counted."""


@dataclass(slots=True)
class _Task:
    story: Story
    began: float
    polls: int = 0
    polled_at: list[float] = field(default_factory=list)
    end_told_at: float | None = None
    polls_after_end: int = 0


class Studio:
    """Knows every task from the moment that it is first asked for.

    `duration` is what an unscripted task takes, in seconds (see `usual_story`); `rule` is how the API misbehaves at
    first.
    """

    def __init__(self, duration: float, rule: Rule | None = None) -> None:
        self._duration = duration
        self._tasks: dict[str, _Task] = {}
        self._rule: Rule = rule or Honest()
        self._rule_since: float | None = None
        self._rule_polls = 0
        self._polls = 0
        self._misbehaved = 0
        self._unauthorized = 0

    def create(self, model: str | None, now: float, *, origin: str = "") -> dict[str, Any]:
        """Begin a task under an id of our own making and return its first answer; `origin` as `truth` has it."""
        # From the time and a count: unique over restarts without a source of randomness.
        task_id = f"vid_{hashlib.sha256(f'{now}:{len(self._tasks)}'.encode()).hexdigest()[:16]}"
        story = usual_story(task_id, self._duration)
        return self.script(task_id, {} if model is None else {"model": model}, now, story=story, origin=origin)

    def script(
        self,
        task_id: str,
        changes: Mapping[str, Any],
        now: float,
        *,
        story: Story | None = None,
        origin: str = "",
    ) -> dict[str, Any]:
        """Let the task begin now, afresh if it is known already, its usual story changed in the fields named."""
        usual = story or usual_story(task_id, self._duration)
        task = _Task(replace(usual, **changes), now)
        self._tasks[task_id] = task
        return truth(task_id, task.story, task.began, now, origin=origin)

    def misbehave(self, rule: Rule, now: float) -> None:
        """Replace the rule for all tasks; its polls and seconds count from now."""
        self._rule, self._rule_since, self._rule_polls = rule, now, 0

    def poll(self, task_id: str, now: float, *, origin: str = "") -> Answer:
        """Answer one poll and record it. A task's own steps come before the rule for all."""
        task = self._tasks.get(task_id)
        if task is None:
            task = self._tasks[task_id] = _Task(usual_story(task_id, self._duration), now)
        step = nth(task.story.misbehave, task.polls) or self._step(now)
        self._record(task, now, misbehaved=step is not None and step.spoils)
        return answer(truth(task_id, task.story, task.began, now, origin=origin), step)

    def end_told(self, task_id: str, now: float) -> None:
        """Note that an answer which `ends` went out: from here on, every poll of this task is one too many."""
        task = self._tasks[task_id]
        task.end_told_at = now if task.end_told_at is None else task.end_told_at

    def refused(self) -> None:
        """Note a poll without the right key."""
        self._unauthorized += 1

    def task(self, task_id: str, now: float) -> dict[str, Any] | None:
        """What happened to one task, and its true status; None for an id never asked for."""
        task = self._tasks.get(task_id)
        if task is None:
            return None
        return {"id": task_id, "status": status_after(task.story, now - task.began), **_stats(task)}

    def stats(self) -> dict[str, Any]:
        """Totals, and per task what `task()` tells."""
        return {
            "polls": self._polls,
            "polls_after_end": sum(task.polls_after_end for task in self._tasks.values()),
            "misbehaved": self._misbehaved,
            "unauthorized": self._unauthorized,
            "tasks": {task_id: _stats(task) for task_id, task in self._tasks.items()},
        }

    def _step(self, now: float) -> Step | None:
        self._rule_since = now if self._rule_since is None else self._rule_since
        step = step_at(self._rule, self._rule_polls, now - self._rule_since)
        self._rule_polls += 1
        return step

    def _record(self, task: _Task, now: float, *, misbehaved: bool) -> None:
        self._polls += 1
        self._misbehaved += misbehaved
        task.polls += 1
        task.polled_at.append(now)
        del task.polled_at[:-MAX_TIMES]
        task.polls_after_end += task.end_told_at is not None


def _stats(task: _Task) -> dict[str, Any]:
    return {
        "polls": task.polls,
        "polled_at": list(task.polled_at),
        "end_told_at": task.end_told_at,
        "polls_after_end": task.polls_after_end,
    }
