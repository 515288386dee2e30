"""Files as such: read, missing, unreadable; and that a file's name leads every problem."""

import pytest

from notifier.config import Loaded, Rejected, load
from notifier.config.load import MOST_BYTES


def problems(path, **more):
    outcome = load(path, {}, secrets="required", **more)
    assert isinstance(outcome, Rejected)
    return [str(problem) for problem in outcome.problems]


def test_a_right_file_is_loaded(tmp_path, least):
    """With or without a byte order mark, from text or path."""
    path = tmp_path / "config.yaml"
    for start in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(start + least.encode())
        assert isinstance(load(str(path), {}, secrets="required"), Loaded)


def test_every_problem_begins_with_the_file_as_it_was_named(tmp_path, monkeypatch):
    """So that terminals and editors can jump there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my config.yaml").write_text("a: 1\nb: 2\n")
    assert [line.split(": ")[0] for line in problems("my config.yaml")] == [
        *("my config.yaml:1:1", "my config.yaml:1:1", "my config.yaml:1:1", "my config.yaml:2:1"),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "1:1: the file has no settings in it (begin with a copy of config.example.yaml)"),
        (b"a: 1\nb: \xe4\n", "2:4: is not UTF-8 (save the file as UTF-8)"),
        ("a: 1".encode("utf-16"), "1:1: is not UTF-8 (save the file as UTF-8)"),
        (b"a: 1\nb: \0\n", "2:4: the character U+0000 is not allowed in YAML (remove it)"),
        (b"a" * (MOST_BYTES + 1), "1:1: has more than 16777216 bytes (register watches through the intake instead)"),
    ],
    ids=["empty", "latin-1", "utf-16", "nul", "large"],
)
def test_a_file_that_is_no_configuration_is_one_problem(tmp_path, content, expected):
    """It says what to do."""
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    assert problems(path) == [f"{path}:{expected}"]


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path):
    """A missing file, a folder, a name that none can have."""
    advice = "give its path with --config, or in the environment variable NOTIFIER_CONFIG"
    missing = tmp_path / "missing.yaml"
    assert problems(missing) == [f"{missing}:1:1: cannot be read: No such file or directory ({advice})"]
    assert problems(tmp_path) == [f"{tmp_path}:1:1: cannot be read: Is a directory (name the file in it)"]
    assert "its name has a NUL character in it" in problems("a\0b")[0]
