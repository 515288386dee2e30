"""`notifier backup` as a person runs it; the copy itself is held by the stores' tests."""

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from notifier.adapters.stores.sqlite import open_sqlite
from notifier.cli.root import app

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


async def test_a_wrong_configuration_is_78(config: Path, tmp_path: Path) -> None:
    """With its errors, as for every command."""
    config.write_text("stroe: {}\n")
    result = backup(config, tmp_path / "copy.db")
    assert (result.exit_code, "stroe" in result.stderr) == (78, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_store_that_may_not_be_read_is_told(config: Path, tmp_path: Path) -> None:
    """Whoever is not its owner learns that, and no more."""
    (tmp_path / "notifier.db").chmod(0)
    assert backup(config, tmp_path / "copy.db").exit_code == 1
