"""What the videos API's answers mean."""

from typing import Any

import pytest

from notifier.adapters.providers.videos import read
from notifier.domain.answer import Completed, Failed, Running, TaskError

URL = "https://cdn.example.com/x.mp4"


@pytest.mark.parametrize("status", ["queued", "processing", "Queued", "PROCESSING"])
def test_documented_statuses_before_the_end_are_running(status: str) -> None:
    """The provider's own word is kept as it wrote it."""
    assert read({"status": status}, "{}") == Running(status, known=True, response="{}")


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
def test_an_unknown_or_missing_status_is_running_and_not_known(document: dict[str, Any], status: str | None) -> None:
    """Nothing ends by a word that nobody documented."""
    assert read(document, None) == Running(status, known=False)


@pytest.mark.parametrize("word", ["completed", "Completed", "COMPLETED", " completed "])
def test_success_counts_in_any_case(word: str) -> None:
    """With the URL that it names."""
    assert read({"status": word, "video_url": URL}, None) == Completed(word, (URL,))


def test_a_long_presigned_url_is_kept_whole() -> None:
    """A URL that is cut is worth nothing."""
    url = "https://cdn.example.com/x.mp4?signature=" + "a" * 10_000
    assert read({"status": "completed", "video_url": url}, None) == Completed("completed", (url,))


@pytest.mark.parametrize("video_url", [None, "", 7, ["https://cdn.example.com/x.mp4"], {}])
def test_a_success_without_a_usable_url_has_none(video_url: object) -> None:
    """Anything but text that is not empty is no URL."""
    assert read({"status": "completed", "video_url": video_url}, None) == Completed("completed", ())


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
def test_a_failure_says_why(error: object, expected: TaskError) -> None:
    """`error` is a string, or an object with `message`; the message is never empty."""
    assert read({"status": "FAILED", "error": error}, None) == Failed("FAILED", expected)
