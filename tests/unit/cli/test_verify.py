import base64
import time

import pytest
import typer
from typer.testing import CliRunner

from notifier.cli import secret as secret_command
from notifier.cli.verify import verify
from notifier.domain.signature import Ed25519Key, HmacKey, parse_public_key, parse_secret, public_key, sign

KEY = HmacKey(b"planted-planted-planted-planted!")
WHSEC = "whsec_" + base64.b64encode(KEY.secret).decode()
OTHER = "whsec_" + base64.b64encode(b"another-another-another!").decode()
PAIR = Ed25519Key(bytes(range(32)))
BODY = b'{"type": "task.completed"}'

app = typer.Typer()
app.command()(verify)


@pytest.fixture(autouse=True)
def no_secret_around(monkeypatch):
    monkeypatch.delenv("WEBHOOK_SECRET", raising=False)


def head(*, body=BODY, age=0, key=KEY, event="evt_1"):
    at = int(time.time()) - age
    return [f"Webhook-Id: {event}", f"webhook-timestamp: {at}", f"WEBHOOK-SIGNATURE: {sign([key], event, at, body)}"]


def run(*arguments, stdin=BODY, lines=None):
    lines = head() if lines is None else lines
    flags = [part for line in lines for part in ("-H", line)]
    result = CliRunner().invoke(app, [*arguments, *flags], input=stdin)
    assert "planted" not in result.output
    assert base64.b64encode(b"planted").decode()[:8] not in result.output
    return result


def test_a_genuine_message_is_valid():
    """Headers from -H in any case, body from stdin: exit 0 and a line that begins with valid."""
    result = run("--secret", WHSEC)
    assert (result.exit_code, result.output.startswith("valid: evt_1 ")) == (0, True)


def test_headers_and_body_may_come_from_files(tmp_path):
    """What a receiver saved can be checked as it is, with a line break at the end of the secret's file."""
    (tmp_path / "headers").write_text("POST /hook HTTP/1.1\nhost: x\n" + "\n".join(head()) + "\n")
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "secret").write_text(WHSEC + "\n")
    files = {"--headers": "headers", "--body": "body", "--secret-file": "secret"}
    result = run(*(part for flag, name in files.items() for part in (flag, str(tmp_path / name))), lines=[], stdin=b"")
    assert result.exit_code == 0


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_whole_message_may_come_from_stdin(line_break):
    """Without flags for headers, stdin is a dump: headers, a blank line, the body with its own blank lines."""
    body = b'{"a":\n\n1}'
    dump = line_break.join(["POST /hook HTTP/1.1", *head(body=body), "", ""]).encode() + body
    assert run("--secret", WHSEC, lines=[], stdin=dump).exit_code == 0


def test_the_secret_may_come_from_the_environment(monkeypatch):
    """A secret in a variable is not seen in the list of processes; what is given as a flag goes before it."""
    monkeypatch.setenv("WEBHOOK_SECRET", WHSEC)
    assert run().exit_code == 0
    assert run("--secret", OTHER).exit_code == 1
    assert run("--public-key", public_key(PAIR)).exit_code == 1


def test_one_of_several_secrets_is_enough():
    """As while secrets are rotated."""
    assert run("--secret", OTHER, "--secret", WHSEC).exit_code == 0


def test_a_public_key_verifies_v1a():
    """The receiver of an ed25519 signature needs the public key only."""
    assert run("--public-key", public_key(PAIR), lines=head(key=PAIR)).exit_code == 0


@pytest.mark.parametrize(
    ("flags", "lines", "stdin", "says"),
    [
        (["--secret", OTHER], head, BODY, "another secret"),
        (["--secret", WHSEC], head, BODY + b" ", "byte by byte"),
        (["--secret", WHSEC], head, BODY + b"\n", "line break that was not signed"),
        (["--secret", WHSEC], lambda: head(age=400), BODY, "raise --tolerance"),
        (["--secret", WHSEC, "--tolerance", "10s"], lambda: head(age=20), BODY, "raise --tolerance"),
        (["--secret", WHSEC], lambda: head(age=-400), BODY, "clocks"),
        (["--secret", WHSEC], lambda: head()[1:], BODY, "no webhook-id header"),
        (["--secret", WHSEC], lambda: [*head()[:2], "webhook-signature: v1"], BODY, "no well-formed"),
        (["--public-key", public_key(PAIR)], head, BODY, "v1a"),
    ],
)
def test_an_invalid_message_is_told_with_the_place_to_look(flags, lines, stdin, says):
    """Exit 1 and a line that begins with invalid, says why and what to look at."""
    result = run(*flags, lines=lines(), stdin=stdin)  # made now: a suite may take longer than the tolerance
    assert result.exit_code == 1
    assert result.output.startswith("invalid: ")
    assert says in result.output


def test_a_longer_tolerance_lets_an_old_message_pass():
    """A message from the archive can still be checked."""
    assert run("--secret", WHSEC, "--tolerance", "2h", lines=head(age=3600)).exit_code == 0


@pytest.mark.parametrize(
    ("flags", "lines", "stdin"),
    [
        ([], head(), BODY),
        (["--secret", WHSEC[:-3]], head(), BODY),
        (["--secret", "planted"], head(), BODY),
        (["--public-key", "planted"], head(), BODY),
        (["--secret-file", "/nonexistent"], head(), BODY),
        (["--secret", WHSEC, "--tolerance", "soon"], head(), BODY),
        (["--secret", WHSEC], ["webhook-id evt_1"], BODY),
        (["--secret", WHSEC, "--body", "-"], [], BODY),
        (["--secret", WHSEC], [], BODY),
        (["--secret", WHSEC, "--headers", "/nonexistent"], [], BODY),
    ],
)
def test_wrong_usage_is_no_verdict(flags, lines, stdin):
    """What cannot be checked exits 2, so that a script does not take it for a forgery; no secret is shown."""
    result = run(*flags, lines=lines, stdin=stdin)
    assert result.exit_code == 2
    assert "valid:" not in result.output


def test_a_new_secret_is_bare_on_stdout():
    """A script can take the output as it is; no two are alike."""
    results = [CliRunner().invoke(secret_command.app, ["new"]) for _ in range(2)]
    assert all(result.exit_code == 0 and result.output.count("\n") == 1 for result in results)
    first, second = (parse_secret(result.output.strip()) for result in results)
    assert isinstance(first, HmacKey)
    assert len(first.secret) == 32
    assert first != second


def test_a_new_key_pair_is_the_private_key_then_the_public_one():
    """The two lines belong together; the private key is seed and public key, as other senders expect it."""
    result = CliRunner().invoke(secret_command.app, ["new", "--asymmetric"])
    private, public = result.output.splitlines()
    key = parse_secret(private)
    assert isinstance(key, Ed25519Key)
    assert len(base64.b64decode(private.removeprefix("whsk_"))) == 64
    assert parse_public_key(public) == parse_public_key(public_key(key))
