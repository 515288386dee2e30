"""`notifier provider`: the presets, and what an answer means; nobody is asked here."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from notifier.cli import provider
from notifier.cli.provider import preset_settings
from notifier.cli.root import app
from notifier.config import PRESETS, Loaded, parse
from notifier.config.preset_text import preset_text

OWN = """\
providers:
  acme:
    base_url: https://api.acme.example
    api_key: ${UNSET}
    vars: {region: us}
    poll: {path: "/v1/{vars.region}/jobs/{task_id}"}
    status: state
    running: [queued]
    completed: [done]
    failed: [broken]
    urls: url
    rules: [{http: [202], outcome: running}]
    hint: {header: x-wait}
  videos: {api_key: "${UNSET}", status: other}
webhooks: {secret: "${UNSET}"}
"""


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration at the usual place."""
    monkeypatch.setattr(provider, "DEFAULT_CONFIG", tmp_path / "no.yaml")


def run(*arguments: str, stdin: str | bytes = "", config: str = "") -> Result:
    env = {"NOTIFIER_CONFIG": config or None, "COLUMNS": "200"}
    return CliRunner().invoke(app, ["provider", *arguments], input=stdin, env=env)


def explained(result: Result) -> dict[str, str]:
    """The lines of an explanation by their names."""
    pairs = (line.split("  ", 1) for line in result.stdout.splitlines())
    return {name: text.strip() for name, text in pairs}


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(OWN)
    return str(path)


def try_out(tmp_path: Path, name: str, config: str) -> Result:
    (tmp_path / "c.yaml").write_text(config)
    return run("try", name, "task", config=str(tmp_path / "c.yaml"))


def test_only_providers_need_to_be_right(tmp_path: Path) -> None:
    """Whoever describes one has not thought of webhooks yet; a mistake in a provider is told all the same."""
    (tmp_path / "own.yaml").write_text("providers: {videos: {api_key: k}}\nstore: 7\nwatches: no\n")
    arguments = ("explain", "videos", "--answer", "-", "--config", str(tmp_path / "own.yaml"))
    assert run(*arguments, stdin='{"status": "queued"}').exit_code == 0
    (tmp_path / "own.yaml").write_text("providers: {videos: {api_key: k, intervall: 1s}}\n")
    wrong = run(*arguments, stdin="{}")
    assert (wrong.exit_code, "did you mean 'interval'" in wrong.stderr) == (78, True)


def test_trying_without_the_key_names_its_variable(tmp_path: Path) -> None:
    """At its place in the file; and of other providers nothing is asked."""
    keys = "providers:\n  fal: {api_key: '${OTHER_UNSET}'}\n  videos: {api_key: '${PLAIN_UNSET}'}\n"
    tried = try_out(tmp_path, "videos", keys)
    assert tried.exit_code == 1
    assert "c.yaml:3:" in tried.stderr
    assert "PLAIN_UNSET" in tried.stderr
    assert "OTHER_UNSET" not in tried.stderr


def test_trying_a_preset_that_is_not_configured_says_what_to_write(tmp_path: Path) -> None:
    """A preset has no key of its own."""
    tried = try_out(tmp_path, "fal", "providers: {videos: {api_key: k}}\n")
    assert tried.exit_code == 2
    assert "it is a preset: write `fal: {api_key: ${FAL_API_KEY}}` under its providers" in tried.stderr


@pytest.mark.parametrize("command", [("show", "nope"), ("explain", "nope", "--answer", "-")])
def test_an_unknown_name_leads_to_the_list(command: tuple[str, ...]) -> None:
    """The known ones in order, and the command that says more of them."""
    told = run(*command).stderr
    names = told.partition("known here: ")[2].partition(")")[0].split(", ")
    assert names == sorted(PRESETS)
    assert "notifier provider list" in told


# Presets


def test_the_list_names_every_preset() -> None:
    """In a table, with how the key is sent, what a watch must give, and how long result URLs live."""
    head, *rows = run("list").stdout.splitlines()
    assert head.split("  ")[0] == "NAME"
    assert [row.split()[0] for row in rows] == list(PRESETS)
    fal = next(row for row in rows if row.startswith("fal "))
    assert "header authorization" in fal.lower()
    assert all(f" {name} " in fal for name in PRESETS["fal"]["vars"])


def test_the_list_is_json_for_programs() -> None:
    """An array with one object for each."""
    found = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert list(found) == list(PRESETS)
    assert found["fal"]["vars"] == PRESETS["fal"]["vars"]
    assert found["replicate"]["urls_live"] == "1h"
    assert all(row["docs"].startswith("https://") for row in found.values())


@pytest.mark.parametrize(
    ("auth", "kind"),
    [
        (None, None),
        ({"bearer": "{api_key}"}, "bearer"),
        ({"bearer_file": "key"}, "bearer"),
        ({"header": {"name": "x-api-key", "value": "{api_key}"}}, "header x-api-key"),
        ({"query": {"name": "key", "value": "{api_key}"}}, "query key"),
        ({"basic": {"username": "{api_key}"}}, "basic"),
        ({"ttl": "5m", "command": ["a"]}, "command"),
    ],
)
def test_the_list_says_how_a_key_is_sent(auth: object, kind: str | None) -> None:
    """In the words of the configuration."""
    assert provider._auth_kind(auth) == kind


@pytest.mark.parametrize(
    ("expires", "lifetime"), [(None, None), ({"after": "24h"}, "24h"), ({"at": "expires"}, "as the answer says")]
)
def test_the_list_says_how_long_urls_live(expires: object, lifetime: str | None) -> None:
    """As far as it is known."""
    assert provider._lifetime(expires) == lifetime


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_shown_ready_to_paste(name: str) -> None:
    """With its comments, under `providers:`, and it means what the preset means; what the preset leaves to the user
    has to be filled in."""
    result = run("show", name)
    assert result.exit_code == 0
    needs = "" if PRESETS[name].get("base_url") else f"    base_url: {provider.UNKNOWN_BASE_URL}\n"
    loaded = parse(f"{result.stdout}{needs}webhooks: {{secret: '${{UNSET}}'}}\n", "pasted", {}, secrets="optional")
    assert isinstance(loaded, Loaded), loaded
    assert loaded.settings.providers == preset_settings(name).providers


def test_a_preset_s_text_is_its_own() -> None:
    """It begins with its name and holds no other entry, nor the comment of the next."""
    for name in PRESETS:
        first, *lines = preset_text(name).splitlines()
        assert first.startswith(f"{name}:")
        assert all(line.startswith(" ") or not line for line in lines), name


def test_a_name_that_nobody_knows_is_wrong_usage(own: str) -> None:
    """With a suggestion, and where one of the user's own would be found."""
    for arguments in (["show", "vidoes"], ["explain", "vidoes", "--answer", "-"]):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "did you mean 'videos'?" in result.stderr
    assert "did you mean 'acme'?" in run("explain", "acmee", "--answer", "-", "--config", own).stderr
    assert "did you mean 'acme'?" in run("try", "acmee", "1", "--config", own).stderr


# Explaining


def test_an_answer_is_explained_without_a_configuration() -> None:
    """By a preset: what it means, why, what was found, and what follows."""
    answer = '{"id": "v", "status": "completed", "video_url": "https://a/"}'
    result = run("explain", "videos", "--answer", "-", stdin=answer)
    assert result.exit_code == 0
    assert explained(result) == {
        "means": "completed",
        "because": "the status word 'completed' is one of completed",
        "status": "completed",
        "url": "https://a/",
        "then": "the task ends; its watches are told with task.completed",
    }


def test_a_provider_of_one_s_own_is_explained_by_its_file(own: str, tmp_path: Path) -> None:
    """No secret is needed. Status and headers are those that options give; a rule is named."""
    answer = tmp_path / "answer.json"
    answer.write_text('{"state": "queued"}')
    options = ("--answer", str(answer), "--http", "202", "--header", "X-Wait: 7", "--config", own)
    said = run("explain", "acme", *options).stdout
    assert "rules[0]: {http: [202], outcome: running}" in said
    assert "in 7 s" in said
    assert run("explain", "acme", "--answer", str(answer), config=own).exit_code == 0


def test_the_file_s_provider_goes_before_the_preset_of_its_name(own: str) -> None:
    """What is laid over a preset counts."""
    said = run("explain", "videos", "--answer", "-", "--config", own, stdin='{"status": "completed"}').stdout
    assert "status ('other') finds no word" in said


@pytest.mark.parametrize(
    ("stdin", "http", "means", "code"),
    [
        (b'{"state": "broken"}', "200", "failed", 0),
        (b"{}", "404", "not_found", 0),
        (b"{}", "429", "throttled", 0),
        (b"{}", "401", "unauthorized", 1),
        (b"\xff\xfe", "200", "unavailable", 1),
        (b'{"a": "' + b"x" * 1024 * 1024 + b'"}', "200", "unavailable", 1),
        (b"", "500", "unavailable", 1),
    ],
)
def test_the_exit_code_says_whether_an_answer_tells_something(
    own: str, stdin: bytes, http: str, means: str, code: int
) -> None:
    """1 when it cannot be read, or the key was refused."""
    result = run("explain", "acme", "--answer", "-", "--http", http, "--config", own, stdin=stdin)
    assert result.exit_code == code
    assert result.stdout.splitlines()[0].split() == ["means", means]


def test_an_answer_about_another_task_is_found_out() -> None:
    """When the task is named; without, the id in the answer is taken for the right one."""
    stdin = '{"id": "b", "status": "processing"}'
    assert run("explain", "videos", "--answer", "-", stdin=stdin).exit_code == 0
    result = run("explain", "videos", "--answer", "-", "--task-id", "a", stdin=stdin)
    assert (result.exit_code, "its id is not ours" in result.stdout) == (1, True)


def test_a_second_answer_is_explained_too(own: str, tmp_path: Path) -> None:
    """Of an API that is asked for the result once the task is completed."""
    Path(own).write_text(OWN.replace("    urls: url", '    result: {path: "/v1/{task_id}/result", urls: video.url}'))
    second = tmp_path / "second.json"
    second.write_text('{"video": {"url": "https://a/v.mp4"}}')
    done = '{"state": "done"}'
    alone = run("explain", "acme", "--answer", "-", stdin=done, config=own).stdout
    assert "with a second request, to /v1/{task_id}/result" in alone
    both = run("explain", "acme", "--answer", "-", "--result", str(second), stdin=done, config=own)
    assert (both.exit_code, "https://a/v.mp4" in both.stdout) == (0, True)
    none = run("explain", "videos", "--answer", "-", "--result", str(second), stdin='{"status": "completed"}')
    assert (none.exit_code, "no second request" in none.stderr) == (2, True)


def test_what_an_answer_holds_cannot_command_the_terminal() -> None:
    """Control characters become visible escapes."""
    said = run("explain", "videos", "--answer", "-", stdin='{"status": "a\\u001b[2Jb"}').stdout
    assert "\x1b" not in said
    assert "\\x1b[2J" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "videos"], "Missing option '--answer'"),
        (["explain", "videos", "--answer", "/does/not/exist"], "cannot be read: No such file"),
        (["explain", "videos", "--answer", "-", "--http", "99"], "greater than or equal to 100"),
        (["explain", "videos", "--answer", "-", "--header", "retry-after"], "NAME:VALUE"),
        (["try", "acme", ".."], "must not be a path segment"),
        (["try", "acme", "1", "--var", "region=."], "region has an empty segment"),
        (["try", "acme", "1", "--var", "colour=red"], "colour is no variable of this provider"),
    ],
)
def test_wrong_usage_is_exit_2(own: str, arguments: list[str], says: str) -> None:
    """Before anybody is asked, with what would be right."""
    result = run(*arguments, config=own)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_a_poll_needs_its_secret_and_no_other(own: str) -> None:
    """Exit 1 with the name of the setting and of its variable; the webhook secret of the file may be unset."""
    result = run("try", "acme", "1", "--config", own)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{own}:4:14: providers.acme.api_key: the environment variable UNSET is not set" in result.stderr


def test_a_wrong_file_is_told_as_everywhere(tmp_path: Path) -> None:
    """Exit 78 with the place."""
    path = tmp_path / "wrong.yaml"
    path.write_text(OWN.replace("status: state", "status: 'state ||'"))
    result = run("explain", "acme", "--answer", "-", "--config", str(path))
    assert (result.exit_code, f"{path}:7:13: providers.acme.status" in result.stderr) == (78, True)
