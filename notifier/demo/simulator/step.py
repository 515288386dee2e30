"""One way of misbehaving, and the answer that comes of it. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from notifier.domain.answer import MAX_ANSWER_BYTES

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^([!-~]([ -~]*[!-~])?)?$")]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


@dataclass(frozen=True, slots=True)
class Step:
    """What goes wrong with `repeat` polls. An empty step is an honest answer in between."""

    # Read by pydantic when a step arrives as JSON: a mistyped key must not pass as an honest answer.
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    status: Annotated[int, Field(ge=200, le=599)] | None = None
    """HTTP status; 2xx keeps the true body, any other gets an error object."""
    retry_after: Annotated[int, Field(ge=0)] | HeaderValue | None = None
    """The Retry-After header: seconds or an HTTP date."""
    headers: Mapping[HeaderName, HeaderValue] = field(default_factory=dict)
    body: str | None = None
    """Sent as it is instead of the JSON."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Laid over the true answer's: an unknown status word, another task's id …; null takes a field away."""
    pad: Annotated[int, Field(ge=0, le=64 * 1024 * 1024)] = 0
    """Characters added to the answer, to make it too large."""
    delay: Seconds = 0.0
    """Seconds before the first byte."""
    drip: Seconds = 0.0
    """Seconds between one byte of the body and the next."""
    repeat: Annotated[int, Field(ge=1)] = 1

    @property
    def spoils(self) -> bool:
        """False for the empty step."""
        return replace(self, repeat=1) != Step()


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, and what has to be known about it besides.

    `status` is the body's status word, None when it holds none. `ends` is true when whoever reads this answer
    knows how the task ended and has no reason to poll again.
    """

    http_status: int
    headers: Mapping[str, str]
    body: bytes
    status: str | None = None
    ends: bool = False
    delay: float = 0.0
    drip: float = 0.0


def answer(truth: Mapping[str, Any], step: Step | None) -> Answer:
    """The true answer, spoilt by `step` when there is one."""
    step = step or Step()
    http_status = step.status or 200
    told = _told(truth, step) if http_status < 300 else _error(http_status)
    body = json.dumps(told).encode() if step.body is None else step.body.encode()
    honest = http_status == 200 and step.body is None and step.drip == 0 and len(body) <= MAX_ANSWER_BYTES
    return Answer(
        http_status,
        _headers(step),
        b"" if http_status in {204, 304} else body,  # neither may have one (RFC 9110, section 15)
        status=told.get("status") if honest else None,
        ends=honest and _ends(truth["id"], told),
        delay=step.delay,
        drip=step.drip,
    )


def nth(steps: tuple[Step, ...], index: int) -> Step | None:
    """The step that meets poll number `index` (from 0), None when all of them are used up."""
    for step in steps:
        if index < step.repeat:
            return step
        index -= step.repeat
    return None


def _told(truth: Mapping[str, Any], step: Step) -> dict[str, Any]:
    told = {name: value for name, value in {**truth, **step.fields}.items() if name not in _removed(step)}
    return told | ({"padding": "x" * step.pad} if step.pad else {})


def _removed(step: Step) -> set[str]:
    return {name for name, value in step.fields.items() if value is None}


def _error(http_status: int) -> dict[str, Any]:
    return {"error": {"code": str(http_status), "message": f"Simulated answer {http_status}."}}


def _headers(step: Step) -> dict[str, str]:
    retry_after = {} if step.retry_after is None else {"retry-after": str(step.retry_after)}
    named = {name.lower(): value for name, value in step.headers.items()}
    return {"content-type": "application/json"} | retry_after | named


def _ends(task_id: str, told: Mapping[str, Any]) -> bool:
    """A success without a result URL is not the last word: a poller may ask again for the URL."""
    succeeded = told.get("status") == "completed" and bool(told.get("video_url"))
    return told.get("id") == task_id and (succeeded or told.get("status") == "failed")
