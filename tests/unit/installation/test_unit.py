"""Unit files: what is shipped, how it is installed, and whether somebody edited it."""

from pathlib import Path

import pytest

from notifier.installation.unit import Edited, Older, Same, compare, fits_a_unit, marked, shipped_units, with_program

BODY = "[Service]\nExecStart=/opt/notifier/bin/notifier run\n"


def test_an_installed_unit_is_known_again() -> None:
    """Its first line vouches for the rest; the version that wrote it does not matter when the rest is the same."""
    assert compare(marked(BODY, "1.0"), BODY) == Same()
    assert compare(marked(BODY, "1.0"), BODY + "Nice=5\n") == Older("1.0")


def test_any_edit_makes_it_somebodys_own() -> None:
    """A line added, changed or removed, also with the first line taken away."""
    edited = marked(BODY, "1.0").replace("notifier run", "notifier run --verbose")
    assert compare(edited, BODY) == Edited((f"-{BODY.splitlines()[1]}", f"+{BODY.splitlines()[1]} --verbose"))
    assert isinstance(compare(edited.partition("\n")[2], BODY), Edited)
    assert isinstance(compare(marked(BODY, "1.0").replace("[Service]\n", ""), BODY), Edited)


def test_our_text_without_our_mark_is_ours() -> None:
    """Who installed the unit by hand has edited nothing."""
    assert compare(BODY, BODY) == Same()


def test_the_commands_of_a_unit_are_those_of_the_program() -> None:
    """The command itself may have any name and place; its neighbours come from the same folder."""
    text = f"{BODY}ExecStartPre=/opt/notifier/bin/python -V\nExecReload=/bin/kill 1\n"
    assert with_program(text, Path("/usr/bin/notifier-2")) == (
        "[Service]\nExecStart=/usr/bin/notifier-2 run\nExecStartPre=/usr/bin/python -V\nExecReload=/bin/kill 1\n"
    )


def test_a_program_below_a_folder_of_the_same_name_is_put_in_once() -> None:
    """Its path has the shipped one in it, which is not to be replaced again."""
    program = Path("/srv/opt/notifier/bin/notifier")
    assert f"ExecStart={program} run\n" in with_program(BODY, program)


@pytest.mark.parametrize("path", ["/a b/n", '/a"b/n', "/a'b/n", "/a%b/n", "/a$b/n", "/a\\b/n", "/a\nb/n", "/a\x1bb/n"])
def test_a_path_that_a_unit_would_read_otherwise_is_known(path: str) -> None:
    """A blank ends a word, and % begins a specifier."""
    assert not fits_a_unit(Path(path))
    assert fits_a_unit(Path("/opt/notifier-2.0_ü+x@y/bin/notifier"))


def test_the_shipped_units_run_the_program_from_where_it_is_looked_for() -> None:
    """Every service names its command in the folder that an installation replaces."""
    units = shipped_units()
    assert "notifier.service" in units
    for name, text in units.items():
        if name.endswith(".service"):
            assert "ExecStart=/opt/notifier/bin/" in text, name
            commands = [line for line in with_program(text, Path("/usr/bin/n")).splitlines() if line.startswith("Exec")]
            assert not [line for line in commands if "/opt/notifier" in line], name
