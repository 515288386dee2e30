"""The videos API: `GET {base_url}/v1/result/{id}` with a Bearer key; `queued → processing → completed | failed`."""

import json
from collections.abc import Mapping
from typing import Any

from notifier.domain.answer import MAX_URL_CHARACTERS, Completed, Failed, Meaning, Running, TaskError, clean_text

PATH = "/v1/result/{task_id}"
KNOWN = frozenset({"queued", "processing"})


def read(document: Mapping[str, Any], response: str | None) -> Meaning:
    """What the API's JSON object says. Status words count in any case; one that is not documented means running."""
    status = clean_text(document.get("status"))
    word = "" if status is None else status.strip().lower()
    if status is not None and word == "completed":
        return Completed(status, _urls(document.get("video_url")), response)
    if status is not None and word == "failed":
        return Failed(status, _error(document.get("error")), response)
    return Running(status, word in KNOWN, response)


def _urls(video_url: object) -> tuple[str, ...]:
    text = clean_text(video_url, MAX_URL_CHARACTERS) if isinstance(video_url, str) else None
    return (text,) if text else ()


def _error(error: object) -> TaskError:
    """The API documents `error` as a string, or an object with `message`."""
    if isinstance(error, Mapping):
        message = clean_text(error.get("message")) or clean_text(json.dumps(error))
        return TaskError(clean_text(error.get("code")), message or "")
    return TaskError(None, clean_text(error) or "the provider gave no reason")
