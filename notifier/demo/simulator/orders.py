"""The bodies that the simulator's HTTP calls take, read strictly: a mistyped key must not pass as a wish unheard."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from notifier.demo.simulator.rule import AtRandom, During, Every, Honest, InOrder, Rule
from notifier.demo.simulator.step import Seconds, Step
from notifier.demo.simulator.story import Outcome


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StoryOrder(_Order):
    """What of a task's usual story shall be different; see `Story` for the fields."""

    queued: Seconds | None = None
    processing: Seconds | None = None
    outcome: Outcome = "completed"
    error: str | dict[str, JsonValue] | None = None
    video_url: str | None = None
    model: str = ""
    misbehave: tuple[Step, ...] = ()

    def changes(self) -> Mapping[str, Any]:
        """Only what was named: a null is a wish, an absent field is none."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class VideoOrder(BaseModel):
    """A new video, asked for as the real API is; fields that change nothing here are let through."""

    model_config = ConfigDict(extra="allow")

    prompt: str | None = None
    model: str | None = None


_RULES: Mapping[str, TypeAdapter[Any]] = {
    "one_in": TypeAdapter(AtRandom),
    "steps": TypeAdapter(InOrder),
    "every": TypeAdapter(Every),
    "lasting": TypeAdapter(During),
}
"""Rules by the key that tells them apart; the first one found counts (`one_in` has `steps` too)."""


def read_story(body: bytes) -> StoryOrder | str:
    """The order, or a sentence on what is wrong with it."""
    try:
        return StoryOrder.model_validate_json(body or b"{}")
    except ValidationError as error:
        return _sentence(error)


def read_video(body: bytes) -> VideoOrder | str:
    """The order, or a sentence on what is wrong with it."""
    try:
        return VideoOrder.model_validate_json(body or b"{}")
    except ValidationError as error:
        return _sentence(error)


def read_rule(body: bytes) -> Rule | str:
    """The rule, `Honest` for `{}`, or a sentence on what is wrong with it."""
    try:
        keys = json.loads(body)
    except ValueError:
        return "not JSON"
    if keys == {}:
        return Honest()
    adapter = next((_RULES[key] for key in _RULES if isinstance(keys, dict) and key in keys), None)
    if adapter is None:
        return f"name one of {', '.join(_RULES)}, or send {{}} to have all answers honest again"
    try:
        rule: Rule = adapter.validate_json(body)
    except ValidationError as error:
        return _sentence(error)
    return rule


def _sentence(error: ValidationError) -> str:
    return "; ".join(
        ".".join(map(str, problem["loc"])) + f": {problem['msg']}" if problem["loc"] else problem["msg"]
        for problem in error.errors(include_url=False, include_context=False)
    )
