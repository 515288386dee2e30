"""`notifier backup` as a person runs it; the copy itself is held by the stores' tests."""

import asyncio
import os
import signal
import stat
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from notifier.adapters.stores.sqlite import open_sqlite
from notifier.cli.root import app
from tests.contract.others import needs_readable_code

REST = "providers: {videos: {api_key: '${UNSET}'}}\nwebhooks: {secret: '${UNSET}'}\n"


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """A configuration without its secrets, and the store that it names."""
    await (await open_sqlite(tmp_path / "notifier.db")).close()
    path = tmp_path / "config.yaml"
    path.write_text(f"store: {{url: 'sqlite:///{tmp_path}/notifier.db'}}\n{REST}")
    return path


def backup(config: Path, target: Path) -> Result:
    return CliRunner().invoke(app, ["backup", str(target), "--config", str(config)])


async def test_it_says_what_it_made(config: Path, tmp_path: Path) -> None:
    """Size and source in one line; a second time it refuses."""
    target = tmp_path / "copy.db"
    result = backup(config, target)
    assert (result.exit_code, result.stderr) == (0, "")
    size = target.stat().st_size / 1024
    assert result.stdout == f"{target}  {size:.1f} KiB, checked; a copy of {tmp_path}/notifier.db\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    again = backup(config, target)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"notifier: {target} exists, and no backup overwrites a file: name another one\n"


async def test_what_is_missing_is_named(config: Path, tmp_path: Path) -> None:
    """The folder of the copy, or the store: one that is relative is looked for where the daemon runs."""
    result = backup(config, tmp_path / "no" / "copy.db")
    assert (result.exit_code, "create it: mkdir -p" in result.stderr) == (1, True)
    (tmp_path / "notifier.db").unlink()
    result = backup(config, tmp_path / "copy.db")
    assert result.exit_code == 1
    assert result.stderr == f"notifier: there is no store at {tmp_path}/notifier.db\n"
    config.write_text(f"store: {{url: 'sqlite:///elsewhere.db'}}\n{REST}")
    result = backup(config, tmp_path / "copy.db")
    assert result.exit_code == 1
    assert f"no store at {Path.cwd()}/elsewhere.db: store.url in {config} is relative" in result.stderr
    assert not (tmp_path / "copy.db").exists()


async def test_a_server_is_copied_by_its_own_program(config: Path) -> None:
    """What to type, with the user and without the password; it is asked for."""
    url = "postgresql://notifier:planted-pa55word@db.internal:5433/jobs?password=planted-too"
    config.write_text(f"store: {{url: '{url}'}}\n{REST}")
    result = backup(config, Path("copy of it"))
    assert result.exit_code == 1
    assert "pg_dump -Fc -f 'copy of it' postgresql://notifier@db.internal:5433/jobs\n" in result.stderr
    assert "planted" not in result.stderr


async def test_a_wrong_configuration_is_78(config: Path, tmp_path: Path) -> None:
    """With its errors, as for every command."""
    config.write_text("stroe: {}\n")
    result = backup(config, tmp_path / "copy.db")
    assert (result.exit_code, "stroe" in result.stderr) == (78, True)


AS_NOBODY = """
import encodings.utf_8_sig, os, sys           # first: another user may not be able to read these
from notifier.cli import backup, main
os.geteuid() or os.setuid(65534)
main()
"""


@needs_readable_code
@pytest.mark.parametrize("closed", ["store", "store/notifier.db"])
async def test_who_may_not_read_the_store_is_told_who_may(closed: str) -> None:
    """A closed folder or a closed file: exit 1, one line, and the command to type."""
    with tempfile.TemporaryDirectory() as name:  # unlike tmp_path, others may look into it
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "store").mkdir(0o755)
        await (await open_sqlite(folder / "store/notifier.db")).close()
        (folder / "config.yaml").write_text(f"store: {{url: 'sqlite:///{folder}/store/notifier.db'}}\n{REST}")
        (folder / closed).chmod(0)
        command = [sys.executable, "-c", AS_NOBODY, "backup", "copy.db", "--config", str(folder / "config.yaml")]
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=PIPE, stderr=PIPE)
        output, errors = await process.communicate()
        (folder / closed).chmod(0o755)
    told = errors.decode()
    assert (process.returncode, output, told.count("\n")) == (1, b"", 1)
    assert f"{folder}/store/notifier.db may not be read by this user" in told
    assert "sudo -u notifier " in told


async def test_sigterm_leaves_nothing_behind(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 143, as of any program that SIGTERM ends, but without a half-written copy; and the signal is as before."""

    def copy_and_be_ended(*_: object) -> None:
        assert list(tmp_path.glob("copy.db.*.part"))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("notifier.cli.backup._Bar.show", copy_and_be_ended)
    before, files = signal.getsignal(signal.SIGTERM), sorted(tmp_path.iterdir())
    target = tmp_path / "copy.db"
    result = backup(config, target)
    assert (result.exit_code, result.stderr) == (143, f"notifier: ended by SIGTERM; {target} was not written\n")
    assert sorted(path for path in tmp_path.iterdir() if path.name.startswith("copy")) == []
    assert set(files) <= set(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is before
