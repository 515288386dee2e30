"""Misbehaviour of the whole simulated API: which poll meets which step. Pure, random ones included."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import ConfigDict, Field

from notifier.demo.simulator.step import Seconds, Step, nth

_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Honest:
    """Nothing goes wrong."""

    __pydantic_config__ = _STRICT


@dataclass(frozen=True, slots=True)
class InOrder:
    """The steps are used up one a poll, whichever task is polled."""

    __pydantic_config__ = _STRICT
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Every:
    """Each `every`-th poll meets the step."""

    __pydantic_config__ = _STRICT
    every: Annotated[int, Field(ge=1)]
    step: Step


@dataclass(frozen=True, slots=True)
class During:
    """Every poll meets the step for `lasting` seconds, beginning `after` seconds from when the rule was set."""

    __pydantic_config__ = _STRICT
    lasting: Seconds
    step: Step
    after: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class AtRandom:
    """One poll in `one_in` on average meets one of the steps; the same `seed` picks the same polls and steps."""

    __pydantic_config__ = _STRICT
    one_in: Annotated[int, Field(ge=1)]
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    seed: int = 0


Rule: TypeAlias = Honest | InOrder | Every | During | AtRandom


def step_at(rule: Rule, index: int, elapsed: float) -> Step | None:
    """What poll number `index` (from 0), `elapsed` seconds after the rule was set, meets; None: the truth."""
    match rule:
        case Honest():
            return None
        case InOrder(steps):
            return nth(steps, index)
        case Every(every, step):
            return step if index % every == every - 1 else None
        case During():
            return rule.step if rule.after <= elapsed < rule.after + rule.lasting else None
        case AtRandom():
            return _drawn(rule, index)


_NAMED = {"slow": Step(delay=5), "drip": Step(drip=0.5), "broken": Step(body="{broken")}


def parse_misbehaviour(text: str) -> tuple[Step, ...]:
    """The steps that `429,500,slow,broken` names; ValueError, saying what can be named, for anything else."""
    return tuple(_named(word.strip()) for word in text.split(","))


def _named(word: str) -> Step:
    if word in _NAMED:
        return _NAMED[word]
    if len(word) == 3 and word.isascii() and word.isdigit() and 300 <= int(word) <= 599:
        return Step(status=int(word), retry_after=2 if word == "429" else None)
    raise ValueError(f"{word!r} is no misbehaviour; name HTTP statuses from 300 to 599, {', '.join(_NAMED)}")


def _drawn(rule: AtRandom, index: int) -> Step | None:
    """Drawn from a hash, not from a generator: the choice depends on seed and poll number alone."""
    digest = hashlib.sha256(f"{rule.seed}:{index}".encode()).digest()
    if int.from_bytes(digest[:8], "big") % rule.one_in:
        return None
    return rule.steps[int.from_bytes(digest[8:16], "big") % len(rule.steps)]
