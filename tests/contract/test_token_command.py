"""Tokens that a program prints: run without a shell, bounded, and only as often as needed."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from notifier.adapters.clock import SystemClock
from notifier.adapters.providers import Command, Unready, credentials
from notifier.adapters.providers.credentials import bearer


@pytest.fixture
def learned():
    return []


@pytest.fixture
def command(learned):
    """`command(code)` runs a Python program."""

    def make(code, *arguments, ttl=60.0):
        return Command((sys.executable, "-c", code, *arguments), ttl=ttl, clock=SystemClock(), learned=learned.append)

    return make


async def test_what_a_program_prints_is_the_bearer_token(command, learned):
    """Without the white space round it; arguments reach it as they are, for no shell reads them."""
    made = command("import sys; print('  ' + sys.argv[1] + '\\n')", "$(id);*'\"")
    assert await made.now() == bearer("$(id);*'\"")
    assert learned == ["$(id);*'\""]


async def test_it_runs_once_for_all_until_its_time_is_over_or_it_is_refused(command, tmp_path):
    """Also for many who wait at the same time."""
    code = f"import os; open({str(tmp_path / 'runs')!r}, 'a').write('x'); print('token')"
    runs = lambda: len((tmp_path / "runs").read_text())  # noqa: E731  # read anew each time
    made = command(code)
    assert set(map(repr, await asyncio.gather(*(made.now() for _ in range(20))))) == {repr(bearer("token"))}
    assert runs() == 1
    made.refused()
    await made.now()
    assert runs() == 2
    brief = command(code, ttl=0.0)
    await brief.now()
    await brief.now()
    assert runs() == 4


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "failed with exit status 3"),
        ("pass", "printed no token: one line of visible ASCII is needed"),
        ("print('a b')", "printed no token"),
        ("import sys; sys.stdout.buffer.write(b'\\xff' * 9)", "printed no token"),
        ("while True: print('x' * 100)", "printed no token"),
        ("import sys; sys.stderr.write('planted'); print('planted'); raise SystemExit(1)", "failed with exit status 1"),
    ],
)
async def test_a_program_that_gives_no_token_is_told_and_not_asked_at_once_again(command, learned, code, message):
    """Nothing of what it printed is shown, and endless output ends it."""
    made = command(code + "\n" if "while" not in code else code)
    found = await made.now()
    assert isinstance(found, Unready)
    assert f"({sys.executable}) {message}" in found.message
    assert "planted" not in found.message
    assert await made.now() is found
    assert learned == []


async def test_a_program_that_is_not_there_is_told(learned):
    """With the system's own words."""
    made = Command(("/nonexistent/gcloud",), ttl=1.0, clock=SystemClock(), learned=learned.append)
    found = await made.now()
    assert "cannot be run: No such file or directory; run it by hand as this user" in found.message


async def test_a_program_that_hangs_is_ended_with_its_children(command, monkeypatch, tmp_path):
    """Nobody waits for it longer than its time; nothing of it stays."""
    monkeypatch.setattr(credentials, "COMMAND_SECONDS", 1.0)
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, time; "
        f"child = subprocess.Popen(['sleep', '600']); open({str(pid)!r}, 'w').write(str(child.pid)); time.sleep(600)"
    )
    found = await command(code).now()
    assert "took more than 1 s" in found.message
    deadline = time.monotonic() + 10
    while _lives(int(pid.read_text())) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert not _lives(int(pid.read_text()))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
