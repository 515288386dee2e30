"""`notifier install` and `notifier uninstall` on real files: another system's tree in a temporary folder."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from notifier.cli.root import app
from notifier.config import Loaded, Rejected, parse
from notifier.installation.apply import StepFailedError, apply
from notifier.installation.layout import FOR_ALL, UNIT_FILE, Layout, Ownership
from notifier.installation.step import MakeFolder, Run, WriteFile
from tests.contract.others import needs_readable_code

SERVICE = "etc/systemd/system/notifier.service"
SECRET = "etc/notifier/credentials/webhook_secret"
KEY = "etc/notifier/credentials/videos_api_key"
CONFIG = "etc/notifier/config.yaml"
DROP_IN = f"{SERVICE}.d/credentials.conf"
PROGRAM = "/opt/notifier/bin/notifier"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The top of an empty system."""
    root = tmp_path / "tree"
    root.mkdir()
    return root


def notifier(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


def install(tree: Path, *more: str, given: str | None = None) -> Result:
    result = notifier("install", "--root", str(tree), "--program", PROGRAM, *more, given=given)
    assert result.exit_code == 0, result.output
    return result


def snapshot(tree: Path) -> dict[str, tuple[str, str, int]]:
    """Everything in it: mode, contents and when it was last written."""
    return {
        str(path.relative_to(tree)): (
            stat.filemode(path.stat().st_mode),
            path.read_text() if path.is_file() else "",
            path.stat().st_mtime_ns if path.is_file() else 0,
        )
        for path in sorted(tree.rglob("*"))
    }


def test_an_empty_tree_gets_a_whole_service(tree: Path) -> None:
    """Folders, configuration, credentials and units, each with the mode that it should have, whatever the umask is."""
    before = os.umask(0o077)
    try:
        install(tree)
    finally:
        os.umask(before)
    modes = {path: mode for path, (mode, _, _) in snapshot(tree).items()}
    assert modes["etc/systemd/system"] == modes["etc"] == modes["var/lib"] == "drwxr-xr-x"
    assert modes["etc/notifier"] == "drwxr-x---"
    assert modes["etc/notifier/credentials"] == modes["var/lib/notifier"] == "drwx------"
    assert modes[CONFIG] == "-rw-r-----"
    assert modes[SECRET] == modes[KEY] == "-rw-------"
    assert modes[SERVICE] == modes[DROP_IN] == "-rw-r--r--"
    assert f"ExecStart={PROGRAM} " in (tree / SERVICE).read_text()


def test_the_installed_configuration_runs_once_its_key_is_there(tree: Path) -> None:
    """With the placeholder, `run` would say which setting is empty; with the key nothing is left to complain about."""
    install(tree)
    environ = {"CREDENTIALS_DIRECTORY": str(tree / SECRET.rpartition("/")[0])}
    text = (tree / CONFIG).read_text()
    empty = parse(text, "config.yaml", environ, secrets="required")
    assert isinstance(empty, Rejected)
    assert [f"providers.videos.api_key_file: {tree / KEY} is empty" in str(one) for one in empty.problems] == [True]
    (tree / KEY).write_text("sk-1\n")
    assert isinstance(parse(text, "config.yaml", environ, secrets="required"), Loaded)


def test_each_installation_has_a_secret_of_its_own_and_prints_none(tmp_path: Path) -> None:
    """A secret on a terminal, or in a log of an installation, would be known to more than root."""
    secrets = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        output = install(tmp_path / name, "--api-key-file", "-", given="sk-planted-key\n").output
        secret = (tmp_path / name / SECRET).read_text().strip()
        assert secret not in output
        assert "sk-planted-key" not in output
        assert (tmp_path / name / KEY).read_text() == "sk-planted-key\n"
        secrets.append(secret)
    assert secrets[0] != secrets[1]


def test_a_second_run_changes_nothing(tree: Path) -> None:
    """Not even the time of a file."""
    install(tree)
    before = snapshot(tree)
    assert "nothing to change" in install(tree).output
    assert snapshot(tree) == before


def test_what_somebody_edited_is_kept_and_the_rest_brought_up_to_date(tree: Path) -> None:
    """Configuration, credentials, drop-in and unit stay as they are; an untouched unit follows the program."""
    install(tree)
    for path in (CONFIG, SECRET, KEY, DROP_IN):
        (tree / path).write_text((tree / path).read_text() + "# mine\n")
    before = snapshot(tree)
    result = notifier("install", "--root", str(tree), "--program", "/usr/bin/notifier")
    assert result.exit_code == 0
    after = snapshot(tree)
    assert "ExecStart=/usr/bin/notifier " in after[SERVICE][1]
    updated = {path for path, there in after.items() if there != before[path]}
    assert updated == {path for path in before if path.endswith(".service")}

    (tree / SERVICE).write_text((tree / SERVICE).read_text().replace("/usr/bin/notifier run", "/usr/bin/mine run"))
    edited = snapshot(tree)
    result = notifier("install", "--root", str(tree), "--program", "/usr/bin/notifier")
    assert "+ExecStart=/usr/bin/mine run" in result.output
    assert snapshot(tree) == edited


def test_a_dry_run_changes_nothing(tree: Path) -> None:
    """Neither of an installation nor of a removal; the steps are those that would be taken."""
    dry = install(tree, "--dry-run").output
    assert snapshot(tree) == {}
    wet = install(tree).output
    assert dry.replace(" (dry run: nothing is changed)", "") == wet
    before = snapshot(tree)
    dry = notifier("uninstall", "--root", str(tree), "--purge", "--dry-run").output
    assert snapshot(tree) == before
    assert "/var/lib/notifier" in dry


def test_uninstalling_leaves_configuration_credentials_and_data(tree: Path) -> None:
    """And says so; with --purge nothing of ours is left."""
    install(tree)
    (tree / "var/lib/notifier/notifier.db").write_text("data")
    before = snapshot(tree)
    result = notifier("uninstall", "--root", str(tree))
    assert result.exit_code == 0
    assert f"keep    {tree}/var/lib/notifier" in result.output
    units = "etc/systemd/system/"
    assert snapshot(tree) == {path: there for path, there in before.items() if not path.startswith(units)}
    assert notifier("uninstall", "--root", str(tree), "--purge").exit_code == 0
    assert sorted(snapshot(tree)) == ["etc", "etc/systemd", "etc/systemd/system", "var", "var/lib"]
    assert "nothing to change" in notifier("uninstall", "--root", str(tree), "--purge").output


def test_an_edited_unit_outlives_its_removal_under_another_name(tree: Path) -> None:
    """systemd no longer uses it, and the edit is not lost."""
    install(tree)
    mine = (tree / SERVICE).read_text() + "# mine\n"
    (tree / SERVICE).write_text(mine)
    assert notifier("uninstall", "--root", str(tree)).exit_code == 0
    assert not (tree / SERVICE).exists()
    assert (tree / f"{SERVICE}.saved").read_text() == mine


@pytest.mark.parametrize("link", ["var/lib/notifier", "var", "etc/systemd", "etc/notifier/config.yaml", DROP_IN])
@needs_readable_code
@pytest.mark.parametrize("command", [["install", "--program", PROGRAM], ["uninstall", "--purge"]])
def test_a_link_out_of_the_tree_is_not_followed(tree: Path, link: str, command: list[str]) -> None:
    """It means a place in that system; here, it would lead to our own store and units."""
    elsewhere = tree.parent / "elsewhere"
    (elsewhere / "lib/notifier").mkdir(parents=True)
    (elsewhere / "notifier.db").write_text("data")
    (tree / link).parent.mkdir(parents=True, exist_ok=True)
    (tree / link).symlink_to(elsewhere)
    before = snapshot(elsewhere), sorted(tree.rglob("*"))
    result = notifier(command[0], "--root", str(tree), *command[1:])
    assert result.exit_code == 1
    assert f"{tree / link}: it leads to {elsewhere}, outside {tree}" in result.output
    assert (snapshot(elsewhere), sorted(tree.rglob("*"))) == before


def test_a_link_inside_the_tree_is_followed(tree: Path) -> None:
    """A relative one is right on either system."""
    (tree / "data/notifier").mkdir(parents=True, mode=0o700)
    (tree / "data/notifier").chmod(0o700)
    (tree / "var/lib").mkdir(parents=True)
    (tree / "var/lib/notifier").symlink_to("../../data/notifier")
    install(tree)
    assert notifier("uninstall", "--root", str(tree), "--purge").exit_code == 0
    assert not (tree / "data/notifier").exists()


def test_nothing_is_made_for_an_account_that_is_missing(tree: Path) -> None:
    """Made first and given away after, it would stay root's, and the service could not read it."""
    nobody = Ownership("root", "no-such-group", 0o750)
    for step in (MakeFolder(tree / "etc/folder", nobody), WriteFile(tree / "file", "text", nobody)):
        with pytest.raises(StepFailedError, match="there is no group no-such-group; create it"):
            apply(step, Layout())
    assert list(tree.iterdir()) == []


def test_a_program_that_a_unit_could_not_name_is_refused(tree: Path) -> None:
    """Before anything is done."""
    result = notifier("install", "--root", str(tree), "--program", "/opt/my notifier/bin/notifier")
    assert (result.exit_code, list(tree.iterdir())) == (2, [])
    assert "has a blank, a quote" in result.output


def test_what_is_in_the_way_stops_everything_before_the_first_change(tree: Path) -> None:
    """A masked unit, for example; exit 1, naming it and what to do."""
    unit = tree / SERVICE
    unit.parent.mkdir(parents=True)
    unit.symlink_to("/dev/null")
    result = notifier("install", "--root", str(tree), "--program", PROGRAM)
    assert result.exit_code == 1
    assert f"{unit}: is in the way" in result.output
    assert not (tree / "etc/notifier").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--root", "/nowhere/at/all"],
        ["--program", "notifier"],
        ["--program", "/nowhere/notifier"],
        ["--api-key-file", "/nowhere/key"],
        ["--api-key-file", "/dev/null"],
        ["--api-key-file", "/etc/passwd"],
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(arguments: list[str]) -> None:
    """Exit 2, naming the option."""
    result = notifier("install", "--dry-run", *arguments)
    assert (result.exit_code, result.output.split()[1]) == (2, f"{arguments[0]}:")


AS_NOBODY = """
import os, sys
from notifier.cli import install, main          # first: another user may not be able to read these
os.geteuid() or os.setuid(65534)
main()
"""


@needs_readable_code
@pytest.mark.parametrize("command", [["install", "--program", "/usr/bin/env"], ["uninstall", "--purge"]])
def test_only_root_installs_and_everybody_may_look(command: list[str]) -> None:
    """Without root nothing is tried: exit 1 and the command to type; a dry run works."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", AS_NOBODY, *arguments]
        return subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)

    refused = run(*command)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "only root may do this: sudo " in refused.stderr
    looked = run(*command, "--dry-run")
    assert (looked.returncode, looked.stderr) == (0, "")


def test_a_failed_command_says_what_it_said_and_what_to_do() -> None:
    """Its own words, for ours could not be better."""
    with pytest.raises(StepFailedError, match=r"exit status 3: no such unit; mend that, and run this again"):
        apply(Run(("sh", "-c", "echo no such unit >&2; exit 3"), ""), Layout())
    apply(Run(("false",), "", may_fail=True), Layout())


def test_a_file_is_written_whole_or_not_at_all(tree: Path) -> None:
    """A folder that takes nothing leaves neither half of a file nor a draft of it."""
    step = WriteFile(tree / "unit", "text", UNIT_FILE)
    (tree / "unit").mkdir(FOR_ALL.mode)
    (tree / "unit/inside").touch()
    with pytest.raises(StepFailedError, match="run this again"):
        apply(step, Layout(tree))
    assert [path.name for path in tree.iterdir()] == ["unit"]
