"""What the README shows of the tools for the author of a provider runs here, word for word."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")


def blocks(heading: str, language: str) -> list[str]:
    section = re.split(r"\n##+ ", README.partition(f" {heading}\n")[2])[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_transcript_of_explain_is_what_happens(tmp_path: Path) -> None:
    """Each command after a $, with the ten lines of the section before, and nothing else, as its configuration."""
    (provider,) = blocks("A provider of your own", "yaml")
    (tmp_path / "config.yaml").write_text(provider)
    (transcript,) = blocks("Tools for the author of a provider", "console")
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", transcript, re.MULTILINE)
    assert [command.split()[0] for command, _ in steps] == ["cat", "notifier", "echo", "echo"]
    (tmp_path / "answer.json").write_text(steps[0][1])
    for command, output in steps[1:]:
        script = f'notifier() {{ "{sys.executable}" -m notifier "$@"; }}; {command}'
        shell = ["sh", "-c", script]
        ran = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.stdout, ran.stderr, ran.returncode) == (output, "", 0), command
