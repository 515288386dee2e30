"""A result file as events and views show it, and what to call it."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.result_file import ResultFile, download_name, file_members
from tests.thoroughness import examples

SAVED = ResultFile(
    n=1,
    url="https://cdn.example.com/1.mp4",
    name="videos/vid_1/wch_1-1",
    state="saved",
    location="file:///results/videos/vid_1/wch_1-1.mp4",
    size=7,
    sha256="ab" * 32,
    content_type="video/mp4",
    saved_at=datetime(2026, 11, 22, 13, 33, tzinfo=UTC),
)


def test_a_saved_file_has_a_link_when_there_are_links():
    """Only then, and only a saved one: nothing else could be fetched."""
    assert file_members(SAVED) == {
        "url": "https://cdn.example.com/1.mp4",
        "location": "file:///results/videos/vid_1/wch_1-1.mp4",
        "size": 7,
        "sha256": "ab" * 32,
        "content_type": "video/mp4",
        "saved_at": "2026-11-22T13:33:00.000000Z",
        "error": None,
    }
    assert file_members(SAVED, lambda n: f"https://x/{n}") == file_members(SAVED) | {"link": "https://x/1"}
    assert "link" not in file_members(ResultFile(1, SAVED.url, SAVED.name), lambda n: f"https://x/{n}")


@pytest.mark.parametrize(
    ("task_id", "name"),
    [
        ("vid_8f2c", "vid_8f2c-1.mp4"),
        ("a.b-C", "a.b-C-1.mp4"),
        ("../../etc/passwd", "_.._etc_passwd-3754d6cb3a-1.mp4"),
        ("-rf", "rf-686c39acd6-1.mp4"),
        ("...", "task-ab5df625bc-1.mp4"),
    ],
)
def test_a_name_follows_the_task_id(task_id, name):
    """As it is where it is harmless; else without the harm, and with a digest that tells it apart."""
    assert download_name(task_id, 1, SAVED.location) == name


@pytest.mark.parametrize("location", [None, "", "s3://bucket/no-ending", "file:///x.toolongending", "file:///x.m p4"])
def test_an_unknown_ending_is_bin(location):
    """Never what the location says beyond a short word."""
    assert download_name("vid", 0, location) == "vid-0.bin"


@settings(max_examples=examples(50))
@given(st.text(min_size=1, max_size=600), st.text(min_size=1, max_size=600))
def test_a_name_is_plain_for_any_task_id(one, other):
    """Letters, digits and ._-, no leading dot or dash, short enough for any file system; another task, another name."""
    first, second = (download_name(task_id, 0, SAVED.location) for task_id in (one, other))
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,119}", first)
    assert (first == second) == (one == other)
