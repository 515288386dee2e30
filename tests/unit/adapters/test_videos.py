"""What the videos API's answers mean."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest

from notifier.app.describing import describe
from notifier.config import Loaded, parse
from notifier.domain import reading
from notifier.domain.answer import Answer, Completed, Failed, Running, TaskError

Read: TypeAlias = Callable[[dict[str, Any]], Answer]
URL = "https://cdn.example.com/x.mp4"
CONFIG = """
providers: {videos: {api_key: k}}
webhooks: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
"""


@pytest.fixture(scope="module")
def described() -> reading.Description:
    """The preset, as everybody has it."""
    loaded = parse(CONFIG, "config.yaml", {}, secrets="required")
    assert isinstance(loaded, Loaded), loaded
    return describe(loaded.settings.providers["videos"])


@pytest.fixture
def read(described: reading.Description) -> Read:
    """What a document means; the answer's text, which is handed on, is left out."""

    def read(document: dict[str, Any]) -> Answer:
        heard = reading.HttpAnswer(200, {}, json.dumps(document).encode())
        answer = reading.read(described, heard, {"task_id": "t"}, now=datetime(2026, 11, 22, tzinfo=UTC)).answer
        assert isinstance(answer, Running | Completed | Failed)
        assert answer.response == json.dumps(document)[: 64 * 1024]
        return replace(answer, response=None)

    return read


@pytest.mark.parametrize("status", ["queued", "processing", "Queued", "PROCESSING"])
def test_documented_statuses_before_the_end_are_running(read: Read, status: str) -> None:
    """The provider's own word is kept as it wrote it."""
    assert read({"status": status}) == Running(status, known=True)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"status": "upscaling"}, "upscaling"),
        ({"status": ""}, ""),
        ({"status": None}, None),
        ({"status": 3}, "3"),
        ({}, None),
    ],
)
def test_an_unknown_or_missing_status_is_running_and_not_known(
    read: Read, document: dict[str, Any], status: str | None
) -> None:
    """Nothing ends by a word that nobody documented."""
    assert read(document) == Running(status, known=False)


@pytest.mark.parametrize("word", ["completed", "Completed", "COMPLETED", " completed "])
def test_success_counts_in_any_case(read: Read, word: str) -> None:
    """With the URL that it names."""
    assert read({"status": word, "video_url": URL}) == Completed(word, (URL,))


def test_a_long_presigned_url_is_kept_whole(read: Read) -> None:
    """A URL that is cut is worth nothing."""
    url = "https://cdn.example.com/x.mp4?signature=" + "a" * 10_000
    assert read({"status": "completed", "video_url": url}) == Completed("completed", (url,))


@pytest.mark.parametrize("video_url", [None, "", 7, ["https://cdn.example.com/x.mp4"], {}])
def test_a_success_without_a_usable_url_has_none(read: Read, video_url: object) -> None:
    """Anything but text that is not empty is no URL."""
    assert read({"status": "completed", "video_url": video_url}) == Completed("completed", ())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("out of memory", TaskError(None, "out of memory")),
        ({"message": "refused", "code": "moderation"}, TaskError("moderation", "refused")),
        ({"message": "refused", "code": 7}, TaskError("7", "refused")),
        ({"reason": "other"}, TaskError(None, '{"reason": "other"}')),
        (None, TaskError(None, "the provider gave no reason")),
        ("", TaskError(None, "the provider gave no reason")),
    ],
)
def test_a_failure_says_why(read: Read, error: object, expected: TaskError) -> None:
    """`error` is a string, or an object with `message`; the message is never empty."""
    assert read({"status": "FAILED", "error": error}) == Failed("FAILED", expected)
