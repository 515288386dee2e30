"""How the client commands find a daemon, and how they show what it said; no daemon is called here."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifier.adapters.intake_client import HttpAddress, UnixAddress, parse_address
from notifier.cli import client, table
from notifier.cli.client import Daemon, Nowhere, find
from notifier.cli.root import app

LOOPBACK = HttpAddress("http", "127.0.0.1", 8470)
PROVIDERS = "providers: {videos: {api_key: '${UNSET}'}}\nwebhooks: {secret: '${UNSET}'}\n"


def config_file(folder: Path, intake: str) -> str:
    path = folder / "config.yaml"
    path.write_text(f"intake: {intake}\n{PROVIDERS}")
    return str(path)


# Where the daemon is


@pytest.mark.parametrize(
    ("url", "address", "written"),
    [
        ("http://127.0.0.1:8470", LOOPBACK, "http://127.0.0.1:8470"),
        ("http://127.0.0.1:8470/", LOOPBACK, "http://127.0.0.1:8470"),
        ("https://n.example.com", HttpAddress("https", "n.example.com", 443), "https://n.example.com:443"),
        ("https://h/notifier/", HttpAddress("https", "h", 443, "/notifier"), "https://h:443/notifier"),
        ("http://[::1]:8470", HttpAddress("http", "::1", 8470), "http://[::1]:8470"),
        ("unix:/run/n.sock", UnixAddress("/run/n.sock"), "unix:/run/n.sock"),
        ("unix:///run/n.sock", UnixAddress("/run/n.sock"), "unix:/run/n.sock"),
        ("unix:n.sock", UnixAddress("n.sock"), "unix:n.sock"),
    ],
)
def test_an_address_is_a_url_or_a_socket(url: str, address: object, written: str) -> None:
    """HTTP with or without TLS and a path in front, or a unix socket; messages write it back."""
    assert parse_address(url) == address
    assert str(parse_address(url)) == written


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8470", "ftp://h", "http://", "unix:", "http://h:x", "http://[::1", "http://u:p@h", "http://h?a=1"]
)
def test_a_wrong_address_is_wrong_usage(url: str) -> None:
    """Exit 2, naming where it was given."""
    found = find(url, None, None, {})
    assert isinstance(found, Nowhere)
    assert (found.exit_code, found.message.split(":")[0]) == (2, "--url")
    result = CliRunner().invoke(app, ["watch", "list", "--url", url])
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_option_comes_before_a_variable() -> None:
    """`--url` and `--token`, then `$NOTIFIER_URL` and `$NOTIFIER_TOKEN`; each by itself, and empty is not set."""
    environ = {"NOTIFIER_URL": "http://env:1", "NOTIFIER_TOKEN": "env-token"}
    found = find("http://127.0.0.1:8470", "flag-token", None, environ)
    assert found == Daemon(LOOPBACK, "--url", "flag-token", "--token")
    env_address = HttpAddress("http", "env", 1)
    assert find(None, None, None, environ) == Daemon(env_address, "$NOTIFIER_URL", "env-token", "$NOTIFIER_TOKEN")
    assert find("", "flag-token", None, environ) == Daemon(env_address, "$NOTIFIER_URL", "flag-token", "--token")


def test_the_configuration_comes_last(tmp_path: Path) -> None:
    """`intake.listen` and its first token; a variable's token goes before the file's."""
    path = config_file(tmp_path, "{listen: '127.0.0.1:8470', tokens: [{name: a, token: first}, {name: b, token: b}]}")
    found = find(None, None, path, {})
    assert found == Daemon(LOOPBACK, f"intake.listen in {path}", "first", f"intake.tokens in {path}")
    assert find(None, None, None, {"NOTIFIER_CONFIG": path}) == found
    other = find(None, None, path, {"NOTIFIER_TOKEN": "env"})
    assert other == Daemon(LOOPBACK, f"intake.listen in {path}", "env", "$NOTIFIER_TOKEN")


def test_a_token_of_the_configuration_stays_with_its_daemon(tmp_path: Path) -> None:
    """Another daemon than the file's gets the file's token only when somebody names both: each as an option or as a
    variable. The file at the usual place, which nobody named, gives none."""
    path = config_file(tmp_path, "{tokens: [{name: a, token: first}]}")
    other = HttpAddress("http", "other", 80)
    by_option = Daemon(other, "--url", "first", f"intake.tokens in {path}")
    assert find("http://other", None, path, {}) == by_option
    assert find("http://other", None, None, {"NOTIFIER_CONFIG": path}) == by_option
    environ = {"NOTIFIER_URL": "http://other", "NOTIFIER_CONFIG": path}
    assert find(None, None, None, environ) == Daemon(other, "$NOTIFIER_URL", "first", f"intake.tokens in {path}")
    given = find(None, None, None, environ | {"NOTIFIER_TOKEN": "env"})
    assert given == Daemon(other, "$NOTIFIER_URL", "env", "$NOTIFIER_TOKEN")


def test_a_file_that_nobody_named_gives_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon named by its URL is not told what stands in the file at the usual place."""
    path = config_file(tmp_path, "{tokens: [{name: a, token: first}]}")
    monkeypatch.setattr(client, "DEFAULT_CONFIG", Path(path))
    assert find("http://127.0.0.1:8470", None, None, {"NOTIFIER_CONFIG": ""}) == Daemon(LOOPBACK, "--url")


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("'0.0.0.0:8470'", LOOPBACK),
        ("'[::]:8470'", HttpAddress("http", "::1", 8470)),
        ("'unix:/run/n.sock'", UnixAddress("/run/n.sock")),
        ("localhost:1", HttpAddress("http", "localhost", 1)),
    ],
)
def test_where_it_listens_becomes_where_to_call(tmp_path: Path, listen: str, address: object) -> None:
    """A wildcard is called at loopback."""
    path = config_file(tmp_path, f"{{listen: {listen}, tokens: [{{name: a, token: t}}]}}")
    found = find(None, None, path, {})
    assert isinstance(found, Daemon)
    assert found.address == address


@pytest.mark.parametrize(("listen", "says"), [("null", "takes no calls"), ("'systemd:'", "name it with --url")])
def test_a_file_may_not_say_where(tmp_path: Path, listen: str, says: str) -> None:
    """No intake, or a socket that systemd chose: exit 1 with what to do."""
    found = find(None, None, config_file(tmp_path, f"{{listen: {listen}}}"), {})
    assert isinstance(found, Nowhere)
    assert (found.exit_code, says in found.message) == (1, True)


def test_a_token_whose_variable_is_not_set_is_none(tmp_path: Path) -> None:
    """Nothing is sent that only stands for a token; the intake's 401 then says what is missing."""
    found = find(None, None, config_file(tmp_path, "{tokens: [{name: a, token: '${UNSET}'}]}"), {})
    assert isinstance(found, Daemon)
    assert found.token is None


def test_a_wrong_file_matters_only_when_it_is_needed(tmp_path: Path) -> None:
    """With a URL, a file that only a variable names may be missing: it was to give no more than a token, which may not
    be needed. Without, or named by `--config`, its problems are told and exit is 78."""
    missing = str(tmp_path / "missing.yaml")
    environ = {"NOTIFIER_CONFIG": missing}
    assert isinstance(find("http://127.0.0.1:8470", None, None, environ), Daemon)
    assert isinstance(find(None, None, None, environ | {"NOTIFIER_URL": "http://h"}), Daemon)
    for found in (find(None, None, None, environ), find("http://127.0.0.1:8470", None, missing, {})):
        assert isinstance(found, Nowhere)
        assert (found.exit_code, missing in found.message, "--url" in found.message) == (78, True, True)


@pytest.mark.parametrize("token", ["a b", "a\nb", "ü"])
def test_a_token_that_cannot_be_sent_is_wrong_usage(token: str) -> None:
    """A header of ours never gets a second line; the token is not repeated."""
    found = find("http://h", token, None, {})
    assert isinstance(found, Nowhere)
    assert (found.exit_code, token in found.message) == (2, False)


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["watch", "add", "vid_1"], "callback URL is missing"),
        (["watch", "add", "vid_1", "https://a/", "--callback-url", "https://b/"], "two different"),
        (["watch", "add", "vid_1", "https://a/", "--interval", "soon"], "not a duration"),
        (["watch", "add", "vid_1", "https://a/", "--deadline", "1ms"], "too short"),
        (["watch", "add", "vid_1", "https://a/", "--metadata", "[1]"], "JSON object"),
        (["watch", "add", "vid_1", "https://a/", "--metadata", "{"], "JSON object"),
        (["watch", "add", "vid_1", "https://a/", "--var", "region"], "NAME=VALUE"),
        (["watch", "add", "vid_1", "https://a/", "--var", "=eu"], "NAME=VALUE"),
        (["watch", "add", "vid_1", "https://a/", "--var", "a=1", "--var", "a=2"], "gives a two values"),
        (["watch", "list", "--state", "wathcing"], "watching, completed"),
        (["watch", "list", "--limit", "0"], "--limit"),
        (["delivery", "list", "--state", "watching"], "pending, delivered"),
        (["delivery", "show"], "Missing argument"),
        (["endpoint", "test"], "Missing argument"),
        (["endpoint", "add", "https://a/", "--header", "X-Env"], "NAME:VALUE"),
        (["endpoint", "add", "https://a/", "--header", "Host: b"], "'Host' is set by Notifier itself"),
        (["endpoint", "add", "https://a/", "--header", "X-A: ä"], "not a header's value"),
        (["endpoint", "add", "https://a/", "--event", "task.done"], "task.completed, task.failed"),
        (["endpoint", "add", "https://a/", "--rate", "10"], "not a rate"),
        (["endpoint", "add", "https://a/", "--concurrency", "-1"], "not a whole number"),
        (["endpoint", "change", "ep_1"], "say what is to change"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], says: str) -> None:
    """Before any daemon is looked for, with what would be right."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NOTIFIER_URL": "http://127.0.0.1:1"})
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


# What people see


def problem(*errors: dict[str, str], detail: str = "no") -> client.Reply:
    return client.Reply(422, json.dumps({"detail": detail, "errors": list(errors)}).encode())


def test_every_wrong_member_has_a_line() -> None:
    """Pointers become dotted names; what the other side wrote cannot steer the terminal."""
    reply = problem(
        {"pointer": "#/watches/3/callback_url", "detail": "is required"},
        {"pointer": "#/a~1b~0c%20d", "detail": "is not known"},
        {"pointer": "#", "detail": "must be\x1b[2J an object"},
        {"detail": "c.yaml:1:1: wrong"},
    )
    assert client._refused(Daemon(LOOPBACK, "--url"), reply).splitlines() == [
        "watches.3.callback_url: is required",
        "notifier: a/b~c d: is not known",
        "notifier: must be\\x1b[2J an object",
        "notifier: c.yaml:1:1: wrong",
    ]
    assert client._refused(Daemon(LOOPBACK, "--url"), problem(detail="stopping\a")) == "stopping\\x07"


def test_an_id_stays_one_segment_of_the_path() -> None:
    """Whatever was typed in its place."""
    assert client.segment("../a?b#c") == "%2E%2E%2Fa%3Fb%23c"
    assert client.segment("\udcff") == "%3F"


def test_a_list_in_a_pipe_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns as wide as their widest cell, nothing cut, nothing behind the last one."""
    table.show_table(("ID", "N", "TEXT"), [("wch_" + "0" * 60, 5, "a\nb"), ("wch_1", None, "")])
    assert capsys.readouterr().out.splitlines() == [
        "ID" + " " * 64 + "N  TEXT",
        "wch_" + "0" * 60 + "  5  a\\nb",
        "wch_1" + " " * 61 + "-",
    ]


@pytest.mark.parametrize("columns", [20, 60, 80])
def test_a_table_on_a_terminal_never_cuts_an_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    """However narrow it is; only the last column is folded, and square brackets are no markup."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, value in (("COLUMNS", str(columns)), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    watch_id, url = "wch_0123456789abcdef01234567", "https://app.example.com/hooks/[bold]video"
    table.show_table(("ID", "STATE", "URL"), [(watch_id, "watching", url)])
    _, first, *more = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{watch_id}  watching  https://app.")
    assert first.split()[-1] + "".join(line.strip() for line in more) == url
    assert all(len(line) <= max(columns, 66) for line in (first, *more))


def test_members_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """One in a line, null as a dash, structures as JSON in their own characters."""
    table.show_members({"id": "wch_1", "metadata": {"größe": 1}, "error": None})
    assert capsys.readouterr().out == 'id        wch_1\nmetadata  {"größe": 1}\nerror     -\n'


def test_times_are_shown_to_the_second() -> None:
    """Fractions are for programs."""
    assert table.moment("2026-11-22T13:33:00.123456Z") == "2026-11-22T13:33:00Z"
    assert table.moment(None) is None
