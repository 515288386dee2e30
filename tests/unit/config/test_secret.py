"""Secrets and their `_file` twins."""

import pytest
from pydantic import SecretStr

from notifier.config.secret import MOST_BYTES, is_secret

GOOD = ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"]
HIDDEN = "c2VjcmV0"  # part of every wrong secret below: it must never be seen


def revealed(secrets):
    return [secret.get_secret_value() for secret in secrets]


def file_with(tmp_path, content):
    path = tmp_path / "secret"
    path.write_bytes(content.encode())
    return path


def webhooks(text):
    return f"providers: {{videos: {{api_key: k}}}}\nwebhooks: {{{text}}}\n"


@pytest.mark.parametrize(
    "ending", ["", "\n", "\r\n", "\n\n"], ids=["none", "lf", "crlf", "two"]
)
def test_a_file_gives_the_secret_without_its_line_ending(settings_of, tmp_path, secret, ending):
    """`api_key_file` and `token_file` name files; the settings hold what is in them."""
    path = file_with(tmp_path, "k-1" + ending)
    settings = settings_of(f"""
        intake: {{tokens: [{{name: a, token_file: {path}}}]}}
        providers: {{videos: {{api_key_file: "{path}"}}}}
        webhooks: {{secret: {secret}}}
        """)
    assert settings.providers["videos"].api_key == SecretStr("k-1")
    assert settings.intake.tokens[0].token == SecretStr("k-1")


def test_a_file_may_be_named_through_the_environment(settings_of, tmp_path):
    """As systemd's credentials need it."""
    file_with(tmp_path, GOOD[0] + "\n")
    text = webhooks('secret_file: "${CREDENTIALS_DIRECTORY}/secret"')
    settings = settings_of(text, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert revealed(settings.webhooks.secrets) == GOOD[:1]


def test_a_relative_file_begins_at_the_working_directory(settings_of, tmp_path, monkeypatch):
    """Not at the configuration's own folder."""
    file_with(tmp_path, GOOD[0])
    monkeypatch.chdir(tmp_path)
    assert revealed(settings_of(webhooks("secret_file: secret")).webhooks.secrets) == GOOD[:1]


@pytest.mark.parametrize(
    "way",
    [f"secrets: [{GOOD[0]}, {GOOD[1]}]", 'secrets: ["${A}", "${B}"]', "secrets_file: {path}"],
    ids=["list", "env", "file"],
)
def test_several_secrets_keep_their_order(settings_of, tmp_path, way):
    """As a list, or one a line with blank lines between."""
    path = file_with(tmp_path, f"\n{GOOD[0]}\n\n  \n{GOOD[1]}\r\n")
    settings = settings_of(webhooks(way.replace("{path}", str(path))), {"A": GOOD[0], "B": GOOD[1]})
    assert revealed(settings.webhooks.secrets) == GOOD


def test_an_endpoint_takes_the_same_forms_or_the_global_secrets(settings_of, least):
    """Its own replace the global ones; without any, those are its secrets."""
    text = least + f"endpoints: [{{url: 'https://a.example/1', secret: {GOOD[1]}}}, {{url: 'https://a.example/2'}}]\n"
    first, second = settings_of(text).endpoints
    assert revealed(first.secrets) == GOOD[1:]
    assert revealed(second.secrets) == GOOD[:1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("timeout: 5s", "2:11: webhooks.secret: is missing (take it from the environment with ${NAME}, or give"),
        ("secret: ''", "2:20: webhooks.secret: is empty (write the secret, or ${NAME} to take it from"),
        ("secret: null", "2:20: webhooks.secret: is empty"),
        ("secret: 5", "2:20: webhooks.secret: is not text (put the secret in quotes)"),
        ("secret: [x]", "2:20: webhooks.secret: is not text (put the secret in quotes)"),
        (f"secret: {HIDDEN}", "2:20: webhooks.secret: a signing secret starts with whsec_ (HMAC) or whsk_ (ed25519)"),
        (f"secret: whsec_{HIDDEN}", "2:20: webhooks.secret: a whsec_ secret holds 16 to 128 bytes"),
        (f"secret: whsk_{HIDDEN}", "2:20: webhooks.secret: a whsk_ key holds 32 bytes"),
        ("secret: '${V}'", "2:20: webhooks.secret: a signing secret starts with"),
        ("secrets: []", "2:21: webhooks.secrets: is empty (give at least one secret)"),
        (f"secrets: {GOOD[0]}", "2:21: webhooks.secrets: is not a list of secrets (write [newest, older]"),
        (f"secrets: [{GOOD[0]}, whsec_{HIDDEN}]", "2:62: webhooks.secrets[1]: a whsec_ secret holds"),
        (f"secret: {GOOD[0]}, secrets: [{GOOD[1]}]", "2:69: webhooks.secrets: cannot stand beside secret (keep one"),
        (f"secret_file: x, secret: {GOOD[0]}", "2:36: webhooks.secret: cannot stand beside secret_file"),
        ("secret_file: 5", "2:25: webhooks.secret_file: is not the path of a file (relative"),
        ("secret_file: ''", "2:25: webhooks.secret_file: is not the path of a file"),
        ('secret_file: "\\0"', "2:25: webhooks.secret_file: is not the path of a file"),
        ("secret_file: '${V", "2:25: webhooks.secret_file: has a ${ without"),
    ],
)
@pytest.mark.parametrize("secrets", ["required", "optional"])
def test_a_wrong_secret_is_a_problem_also_when_secrets_are_not_needed(problems_in, text, problem, secrets):
    """Whatever is known is judged, and no message holds a part of a secret."""
    closing = "'" if text.endswith("${V") else ""
    found = problems_in(webhooks(text + closing), {"V": HIDDEN}, secrets=secrets)
    found = [line for line in found if "cannot be read" not in line]
    assert len(found) == 1
    assert found[0].startswith(problem)
    assert HIDDEN not in found[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{path} is empty (write the secret into it)"),
        (b" \n\n", "{path} is empty (write the secret into it)"),
        (b"\xff\xfe", "names a file that is not text"),
        (b"x" * (MOST_BYTES + 1), "names a file of more than 65536 bytes"),
    ],
    ids=["empty", "blank", "bytes", "large"],
)
@pytest.mark.parametrize("key", ["secret_file", "secrets_file"])
def test_a_file_without_a_secret_in_it_is_a_problem(problems_in, tmp_path, content, message, key):
    """It is told apart from a file that cannot be read."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    (found,) = problems_in(webhooks(f"{key}: {path}"))
    assert found.startswith(f"2:{len(key) + 14}: webhooks.{key}: {message.format(path=path)}")


@pytest.mark.parametrize("content", [f"{GOOD[0]}\nwhsec_{HIDDEN}\n"])
def test_a_wrong_line_in_a_file_is_a_problem_of_the_file(problems_in, tmp_path, content):
    """Its place is that of the setting, since a secret file has no other."""
    (found,) = problems_in(webhooks(f"secrets_file: {file_with(tmp_path, content)}"))
    assert found.startswith("2:26: webhooks.secrets_file: a whsec_ secret holds 16 to 128 bytes")
    assert HIDDEN not in found


UNKNOWN = """\
intake: {tokens: [{name: a, token: "${NO}"}, {name: b, token_file: "${NO}/x"}]}
providers: {videos: {api_key_file: /nonexistent/key}}
webhooks: {secrets: ["${NO}", "${NO}"]}
endpoints: [{url: "https://a.example/", secrets_file: /nonexistent/secrets}]
"""


def test_unknown_secrets_are_no_problem_when_they_are_not_needed(settings_of):
    """A check needs no secrets' values: single ones are empty then, lists lack them."""
    settings = settings_of(UNKNOWN, secrets="optional")
    assert [token.token for token in settings.intake.tokens] == [SecretStr(""), SecretStr("")]
    assert settings.providers["videos"].api_key == SecretStr("")
    assert settings.webhooks.secrets == settings.endpoints[0].secrets == ()


def test_two_callers_need_two_tokens(problems_in, settings_of, tmp_path):
    """However each is given; a token that is not known is not the same as another one."""
    text = f"""
intake: {{tokens: [{{name: a, token: "${{A}}"}}, {{name: b, token_file: {file_with(tmp_path, "same")}}}]}}
providers: {{videos: {{api_key: k}}}}
webhooks: {{secret: {GOOD[0]}}}
"""
    (found,) = problems_in(text, {"A": "same"})
    assert "intake.tokens[1].token: is the same as that of tokens[0]" in found
    assert '"same"' not in found
    settings_of(text, {"A": "other"})
    settings_of(text, secrets="optional")


EMPTY = """\
intake: {tokens: [{name: a, token: "${E}"}, {name: b, token_file: "${E}"}]}
providers: {videos: {api_key_file: BLANK}}
webhooks: {secrets: ["${E}", "${E}${E}"]}
endpoints: [{url: "https://a.example/", secrets_file: BLANK}]
"""


@pytest.mark.parametrize("content", ["", "\n"], ids=["empty", "blank"])
def test_a_secret_that_is_still_empty_matters_only_to_a_run(problems_in, settings_of, tmp_path, content):
    """A variable that is set to nothing, and a file with nothing in it, are secrets that are not known yet."""
    blank = file_with(tmp_path, content)
    text = EMPTY.replace("BLANK", str(blank))
    settings = settings_of(text, {"E": ""}, secrets="optional")
    assert settings.providers["videos"].api_key == settings.intake.tokens[0].token == SecretStr("")
    assert settings.webhooks.secrets == settings.endpoints[0].secrets == ()
    assert [line.split(" (")[0] for line in problems_in(text, {"E": ""})] == [
        "1:36: intake.tokens[0].token: is empty",
        "1:67: intake.tokens[1].token_file: is not the path of a file",
        f"2:36: providers.videos.api_key_file: {blank} is empty",
        "3:22: webhooks.secrets[0]: is empty",
        "3:30: webhooks.secrets[1]: is empty",
        f"4:55: endpoints[0].secrets_file: {blank} is empty",
    ]


def test_a_variable_for_anything_else_is_needed_all_the_same(problems_in, least):
    """Only secrets may be unknown at a check, not an address or what is in metadata under a secret's name."""
    text = f"""{least}  timeout: ${{NO}}
watches: [{{task_id: a, callback_url: "https://a.example/", metadata: {{secret: "${{NO}}"}}}}]
"""
    found = problems_in(text, secrets="optional")
    assert [line.split(": ")[1] for line in found] == ["webhooks.timeout", "watches[0].metadata.secret"]


def test_unknown_secrets_are_problems_when_they_are_needed(problems_in):
    """Each is told: the variable by its name, the file by its place only, as people put secrets there by mistake."""
    unset = "the environment variable NO is not set (set it, or write $$ for a dollar)"
    unread = "names a file that cannot be read: No such file or directory (check its path and permissions)"
    assert problems_in(UNKNOWN) == [
        f"1:36: intake.tokens[0].token: {unset}",
        f"1:68: intake.tokens[1].token_file: {unset}",
        f"2:36: providers.videos.api_key_file: {unread}",
        f"3:22: webhooks.secrets[0]: {unset}",
        f"3:31: webhooks.secrets[1]: {unset}",
        f"4:55: endpoints[0].secrets_file: {unread}",
    ]


@pytest.mark.parametrize("value", ["a b", "ä", "a\\tb", "\\x7f", " k"])
def test_a_key_or_token_must_fit_into_a_header(problems_in, secret, value):
    """Both travel as `Authorization: Bearer …`."""
    found = problems_in(
        f'providers: {{videos: {{api_key: "{value}"}}}}\n'
        f'intake: {{tokens: [{{name: a, token: "{value}"}}]}}\n'
        f"webhooks: {{secret: {secret}}}\n"
    )
    message = "cannot go into an HTTP header (only visible ASCII characters without spaces can)"
    assert found == [f"1:31: providers.videos.api_key: {message}", f"2:36: intake.tokens[0].token: {message}"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("webhooks", "secret"), True),
        (("webhooks", "secrets", 1), True),
        (("providers", "any", "api_key_file"), True),
        (("intake", "tokens", 3, "token"), True),
        (("endpoints", 0, "secrets_file"), True),
        (("webhooks", "timeout"), False),
        (("intake", "tokens", 3, "name"), False),
        (("watches", 0, "metadata", "secret"), False),
        (("secret",), False),
        (("log", "secret"), False),
        (("webhooks",), False),
        (("providers", "any"), False),
        ((), False),
    ],
)
def test_only_the_settings_that_are_secrets_count_as_such(path, expected):
    """A key of the same name elsewhere, as in metadata, is an ordinary one."""
    assert is_secret(path) is expected


def test_secrets_are_not_seen_in_the_settings_as_text(settings_of, least):
    """`repr` and `str` show neither secrets nor headers, which may hold a receiver's password."""
    text = least + 'endpoints: [{url: "https://a.example/", headers: {Authorization: Bearer pass-1}}]\n'
    settings = settings_of(text)
    assert GOOD[0] not in repr(settings) + str(settings)
    assert "pass-1" not in repr(settings) + str(settings)
