"""The table of commands."""

import re

import pytest
from typer.testing import CliRunner

from notifier.cli.root import COMMANDS, app


def test_the_help_lists_every_command() -> None:
    """Each of them exists and says what it does."""
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    listed = re.findall(r"^│ (\S+) +(\w.*\w)", result.stdout.partition("Commands")[2], re.MULTILINE)
    assert [name for name, _ in listed] == list(COMMANDS)


@pytest.mark.parametrize(("typed", "hint"), [("wach", "Did you mean 'watch'?"), ("nonsense", "No such command")])
def test_an_unknown_command_is_wrong_usage(typed: str, hint: str) -> None:
    """Exit 2, with a guess when one is near."""
    result = CliRunner().invoke(app, [typed])
    assert result.exit_code == 2
    assert hint in result.stderr
