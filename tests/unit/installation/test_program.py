"""Which program the service runs, and whether it will be able to."""

from pathlib import Path

import pytest

from notifier.installation.program import running_program, unreadable


def test_the_command_beside_the_interpreter_is_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in every virtual environment, however it was called; the link to the interpreter is not followed."""
    (tmp_path / "notifier").touch()
    (tmp_path / "python").symlink_to("/usr/bin/python3")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert running_program("/elsewhere/notifier") == tmp_path / "notifier"


def test_else_it_is_the_one_that_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's file (`python -m notifier`) is no command."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    for name, expected in (("my-notifier", tmp_path / "my-notifier"), ("__main__.py", None), ("missing", None)):
        if name != "missing":
            (tmp_path / name).touch()
        assert running_program(str(tmp_path / name)) == expected


@pytest.mark.parametrize("path", ["/home/ann/venv/notifier", "/root/venv/notifier", "/var/tmp/venv/notifier"])
def test_what_the_unit_hides_is_named(path: str) -> None:
    """The hardened service sees neither homes nor the temporary folders of others."""
    (reason,) = unreadable([Path(path), Path(path)])
    assert path in reason
    assert "hides" in reason


def test_a_program_that_others_may_not_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made with a narrow umask, for example; the folder that closes it is told."""
    monkeypatch.setattr("notifier.installation.program._HIDDEN", {})
    program = tmp_path / "open/notifier"
    program.parent.mkdir()
    program.touch(0o755)
    tmp_path.chmod(0o700)
    (reason,) = unreadable([program])
    assert str(program) in reason
    assert list(unreadable([Path("/usr/bin/env")])) == []
