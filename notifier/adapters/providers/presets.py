"""The literal table of known APIs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from notifier.adapters.providers import videos
from notifier.domain.answer import Meaning


@dataclass(frozen=True, slots=True)
class Preset:
    """How one family of APIs is asked and read: `path` holds `{task_id}`, `read` turns a 2xx answer's JSON object and
    its text into what it means."""

    path: str
    read: Callable[[Mapping[str, Any], str | None], Meaning]


PRESETS: Mapping[str, Preset] = {
    "videos": Preset(path=videos.PATH, read=videos.read),
}
