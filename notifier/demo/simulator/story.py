"""What a simulated task answers when nothing goes wrong: its story, told as of a given moment. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from notifier.demo.simulator.step import Step

Outcome: TypeAlias = Literal["completed", "failed"]
Status: TypeAlias = Literal["queued", "processing", "completed", "failed"]

ACTUAL_DURATION_SECONDS = 10
"""How long every simulated video plays."""
FILES = "/files/"
"""Where the simulator serves what its tasks made."""
_QUEUED_SHARE = 0.2
_FOR_GOOD = 10**9


@dataclass(frozen=True, slots=True)
class Story:
    """How one task goes. Times are in seconds; None means that the phase never ends. A `video_url` that is a path only
    is one of the simulator's own."""

    queued: float | None
    processing: float | None
    outcome: Outcome = "completed"
    error: str | Mapping[str, Any] | None = field(
        default_factory=lambda: {"code": "generation_failed", "message": "The simulated generation failed."}
    )
    video_url: str | None = None
    model: str = "simulated-video-1"
    misbehave: tuple[Step, ...] = ()


WORDS: Mapping[str, Mapping[str, Any]] = {
    "fail": {"outcome": "failed"},
    "stuck": {"processing": None},
    "nourl": {"video_url": None},
    "missing": {"misbehave": (Step(status=404, repeat=_FOR_GOOD),)},
    "flaky": {"misbehave": (Step(status=503), Step(body="{broken"), Step(status=429, retry_after=2))},
}
"""Words that change the story of a task when its id contains them, in any case; several may be combined."""


def usual_story(task_id: str, duration: float) -> Story:
    """The story of a task that nobody scripted: `duration` seconds, give or take 50 % by the hash of its id.

    The same id always takes the same time, a fifth of it in the queue.
    """
    total = duration * (0.5 + _fraction(task_id))
    url = f"{FILES}{quote(task_id, safe='')}.mp4"
    story = Story(queued=total * _QUEUED_SHARE, processing=total * (1 - _QUEUED_SHARE), video_url=url)
    for word, change in WORDS.items():
        if word in task_id.lower():
            story = replace(story, **change)
    return story


def status_after(story: Story, elapsed: float) -> Status:
    """The status word `elapsed` seconds after the story began."""
    if story.queued is None or elapsed < story.queued:
        return "queued"
    if story.processing is None or elapsed < story.queued + story.processing:
        return "processing"
    return story.outcome


def truth(task_id: str, story: Story, began: float, now: float, *, origin: str = "") -> dict[str, Any]:
    """The answer's JSON object at `now`, as the videos API documents it; both times are Unix seconds. `origin` is what
    the simulator is called by, as `http://host:port`."""
    status = status_after(story, now - began)
    answer = {
        "id": task_id,
        "object": "video",
        "created": int(began),
        "model": story.model,
        "status": status,
    }
    if status == "completed" and story.video_url is not None:
        answer |= {"video_url": (origin if story.video_url.startswith("/") else "") + story.video_url}
    if status == "completed":
        answer |= {"actualDuration": ACTUAL_DURATION_SECONDS}
    if status == "failed" and story.error is not None:
        answer |= {"error": story.error}
    return answer


def _fraction(task_id: str) -> float:
    """A number in [0, 1) that depends on nothing but the id."""
    digest = hashlib.sha256(task_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
