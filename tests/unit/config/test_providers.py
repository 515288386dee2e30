"""The description of a provider: what is wrong with one, and what presets give."""

import pytest
from pydantic import SecretStr

from notifier.app.describing import describe
from notifier.config import PRESETS, json_schema
from notifier.config.presets import lay
from notifier.domain.description import ExpiresAfter, ExpiresAt, HintHeader, HintSeconds

# Nine lines; what a test adds begins in line 10, column 5 (its value where the key's length says).
ACME = """\
webhooks: {secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3}
providers:
  acme:
    base_url: https://api.acme.example
    api_key: k
    poll: {path: "/v1/jobs/{task_id}"}
    status: status
    completed: [done]
    vars: {region: eu}
"""

ADDED = [
    ("urls: output.url", None),
    ("urls: output..url", "10:11: providers.acme.urls: is not JMESPath: Expecting: ['quoted_identifier', 'unquoted_"),
    ("urls: [a, 'b[']", "10:15: providers.acme.urls[1]: is not JMESPath: "),
    ("urls: lenght(a)", "10:11: providers.acme.urls: calls an unknown function: lenght() (known are abs, "),
    ("urls: []", "10:11: providers.acme.urls: is empty (write at least one expression, or remove the line)"),
    ("urls: 5", "10:11: providers.acme.urls: 5 is not text (put it in quotes)"),
    ("urls: " + "a" * 2001, "10:11: providers.acme.urls: is longer than 2000 characters (character 2001 of the expr"),
    ("urls: '" + "(" * 900 + "'", "10:11: providers.acme.urls: is nested too deeply"),
    ("urls: null", None),
    ("url: a", "10:5: providers.acme.url: unknown key (did you mean 'urls'?)"),
    ("error: {mesage: a}", "10:13: providers.acme.error.mesage: unknown key (did you mean 'message'?)"),
    ("failed: broken", "10:13: providers.acme.failed: 'broken' is not a list (write [first, second], or [] for none)"),
    ("failed: ['']", "10:14: providers.acme.failed[0]: '' is not a status word (write 1 to 200 characters)"),
    ("failed: [true]", "10:14: providers.acme.failed[0]: true is not text (put it in quotes)"),
    ("failed: [5]", None),
    ("rules: [{outcome: running}]", "10:13: providers.acme.rules[0]: fits every answer (write http: [202], or when:"),
    ("rules: [{http: [202]}]", "10:13: providers.acme.rules[0].outcome: is missing (write what such an answer means"),
    ("rules: [{http: [99], outcome: running}]", "10:21: providers.acme.rules[0].http[0]: 99 is not an HTTP status (w"),
    ("rules: [{http: [6xx], outcome: running}]", "10:21: providers.acme.rules[0].http[0]: '6xx' is not an HTTP statu"),
    ("rules: [{http: 202, outcome: running}]", "10:20: providers.acme.rules[0].http: 202 is not a list"),
    ("rules: [{http: [2XX, 404], outcome: runing}]", "10:41: providers.acme.rules[0].outcome: 'runing' is not one of"),
    ("rules: [{when: 'a ==', outcome: running}]", "10:20: providers.acme.rules[0].when: is not JMESPath"),
    ("hosts: ['https://x']", "10:13: providers.acme.hosts[0]: 'https://x' is not the name of a host"),
    ("expires: {}", "10:14: providers.acme.expires: says nothing (write after: 24h, or at: and the JMESPath of a time"),
    ("expires: {after: 1h, at: a}", "10:30: providers.acme.expires.at: cannot stand beside after (keep one of them)"),
    ("expires: {after: soon}", "10:22: providers.acme.expires.after: 'soon' is not a duration"),
    ("hint: {header: retry after}", "10:20: providers.acme.hint.header: 'retry after' is not the name of a header"),
    ("hint: {header: retry-after, seconds: a}", "10:42: providers.acme.hint.seconds: cannot stand beside header"),
    ("result: {}", "10:13: providers.acme.result: says nothing (write the path of the second request, or url: and a J"),
    ("result: {path: /r, url: u}", "10:29: providers.acme.result.url: cannot stand beside path"),
    ("result: {path: '/r/{answers.x}'}", "10:20: providers.acme.result.path: '/r/{answers.x}' has an unknown placeh"),
    ("result: {path: '/r/{answer.x}'}", None),
    ("result: {path: '/{vars.zone}'}", "10:20: providers.acme.result.path: has {vars.zone}, and vars names no zone (k"),
    ("result: {path: /r, rules: [{outcome: failed}]}", "10:32: providers.acme.result.rules[0]: fits every answer"),
    ("download: {path: 'r'}", "10:22: providers.acme.download.path: 'r' does not begin with a slash (write the path"),
    ("download: {}", "10:15: providers.acme.download.path: is missing (write it)"),
    ("auth: {}", "10:11: providers.acme.auth: says nothing (write bearer, header, query, basic, jwt_hs256, body or c"),
    ("auth: {bearer: a, command: [x]}", "10:32: providers.acme.auth.command: cannot stand beside bearer"),
    ("auth: {bearer: 'a b'}", "10:20: providers.acme.auth.bearer: cannot go into an HTTP header"),
    ("auth: {bearer: a, bearer_file: b}", "10:36: providers.acme.auth.bearer_file: cannot stand beside bearer"),
    ("auth: {header: {name: X}}", "10:20: providers.acme.auth.header.value: is missing (take it from the environm"),
    ("auth: {header: {value: a}}", "10:20: providers.acme.auth.header.name: is missing (write it)"),
    ("auth: {header: {name: Host, value: a}}", "10:27: providers.acme.auth.header.name: is set by Notifier itself"),
    ("auth: {header: {name: X, value: ' a'}}", "10:37: providers.acme.auth.header.value: is not a header's value"),
    ("auth: {query: {name: '', value: a}}", "10:26: providers.acme.auth.query.name: '' is not the name of a parameter"),
    ('auth: {query: {name: a, value: "b\\n"}}', "10:36: providers.acme.auth.query.value: has a control character"),
    ("auth: {basic: {username: 'a:b'}}", "10:30: providers.acme.auth.basic.username: has a colon in it"),
    ("auth: {jwt_hs256: {access_key: a}}", "10:23: providers.acme.auth.jwt_hs256.secret_key: is missing"),
    ("auth: {command: gcloud}", "10:21: providers.acme.auth.command: 'gcloud' is not a list (write [first, second]"),
    ("auth: {command: []}", "10:11: providers.acme.auth: says nothing (write bearer, header, query"),
    ("auth: {command: ['']}", "10:21: providers.acme.auth.command: names no program (write [program, argument, …])"),
    ('auth: {command: [a, "b\\0"]}', "10:21: providers.acme.auth.command: has a NUL character in it (remove it)"),
    ("auth: {berer: a}", None),
    ("auth: null", None),
    ("failed: [broken, ' Done ']", "10:22: providers.acme.failed[1]: ' Done ' is one of completed too (keep one"),
    ("auth: {jwt_hs256: {access_key: a, secret_key: b, ttl: 9s}}", "10:59: providers.acme.auth.jwt_hs256.ttl: '9s' is"),
    ("auth: {jwt_hs256: {access_key: a, secret_key: b, ttl: 10s}}", None),
    ("preset: null", None),
    ("docs: 5", "10:11: providers.acme.docs: 5 is not text"),
]


@pytest.mark.parametrize(("added", "problem"), ADDED)
def test_a_mistake_in_a_description_is_told_at_its_place(problems_in, added, problem):
    """Once, with what to write in its stead."""
    found = problems_in(ACME + f"    {added}\n")
    if added == "auth: {berer: a}":
        silent, unknown = found
        assert silent.startswith("10:11: providers.acme.auth: says nothing (write bearer, header, query, basic, jwt")
        assert unknown == "10:12: providers.acme.auth.berer: unknown key (did you mean 'bearer'?)"
    elif problem is None:
        assert found == []
    else:
        assert len(found) == 1, found
        assert found[0].startswith(problem)


POLLS = [
    ('{path: "/{id}"}', "6:18: providers.acme.poll.path: '/{id}' has an unknown placeholder {id} (known here are {tas"),
    ('{path: "/{answer.x}"}', "6:18: providers.acme.poll.path: '/{answer.x}' has an unknown placeholder"),
    ('{path: "/{task_id"}', "6:18: providers.acme.poll.path: '/{task_id' has a '{' that belongs to no placeholder"),
    ('{path: "/{vars.regoin}/{task_id}"}', "6:18: providers.acme.poll.path: has {vars.regoin}, and vars names no reg"),
    ('{path: "jobs/{task_id}"}', "6:18: providers.acme.poll.path: 'jobs/{task_id}' does not begin with a slash"),
    ('{path: "/x?id={task_id}"}', "6:18: providers.acme.poll.path: '/x?id={task_id}' is not the path of a URL"),
    ("{path: /jobs}", "6:11: providers.acme.poll: names no {task_id}, so that one task's answer would end them all"),
    ('{path: /x, query: {a: "{{task_id}}"}}', "6:11: providers.acme.poll: names no {task_id}"),
    ('{path: /x, query: {id: "{task_id}"}}', None),
    ('{path: /x, headers: {id: "{task_id}"}}', None),
    ('{path: /x, method: POST, body: {ids: [1, "{task_id}"]}}', None),
    ("{}", "6:11: providers.acme.poll.path: is missing (write it below base_url, as in"),
    ("{path: '/{task_id}', method: PUT}", "6:40: providers.acme.poll.method: 'PUT' is not one of GET, POST"),
    ("{path: '/{task_id}', query: {a: 5}}", "6:43: providers.acme.poll.query.a: 5 is not text (put it in quotes)"),
    ('{path: "/{task_id}", query: {a: "{vars.b}"}}', "6:43: providers.acme.poll.query.a: has {vars.b}, and vars na"),
    ('{path: "/{task_id}", query: {a: "{+task_id}"}}', "6:43: providers.acme.poll.query.a: '{+task_id}' has {+task"),
    ("{path: '/{task_id}', headers: {Host: a}}", "6:42: providers.acme.poll.headers.Host: is set by Notifier itself"),
    ("{path: '/{task_id}', headers: {A: é}}", "6:45: providers.acme.poll.headers.A: has a character in it that can"),
    ("{path: '/{task_id}', headers: {A: 'b{'}}", "6:45: providers.acme.poll.headers.A: has a '{' that belongs to n"),
    ("{path: '/{task_id}', headers: {A: b, a: c}}", "6:41: providers.acme.poll.headers: 'a' and 'A' are the same h"),
    ("{path: '/{task_id}', body: {a: b}}", "6:38: providers.acme.poll.body: is for a POST only (write method: POST"),
    ('{path: "/{task_id}", method: POST, body: {a: ["{id}"]}}', "6:52: providers.acme.poll.body: has a text that h"),
    ('{path: "/{task_id}", method: POST, body: {a: ["{vars.b}"]}}', "6:57: providers.acme.poll.body.a[0]: has {var"),
    ("{path: '/{task_id}', method: POST, body: [1, null, {}]}", None),
]


@pytest.mark.parametrize(("poll", "problem"), POLLS)
def test_a_mistake_in_a_request_is_told_at_its_place(problems_in, poll, problem):
    """Above all a placeholder that nothing fills."""
    found = problems_in(ACME.replace('{path: "/v1/jobs/{task_id}"}', poll))
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1, found
        assert found[0].startswith(problem)


NEEDED = ("api_key", "base_url", "completed", "poll", "status")


@pytest.mark.parametrize(
    ("removed", "problems"),
    [
        (["base_url"], ["3:8: providers.acme.base_url: is missing"]),
        (["poll"], ["4:5: providers.acme.poll: is missing"]),
        (["status"], ["4:5: providers.acme.status: is missing"]),
        (["completed"], ["4:5: providers.acme.completed: is missing"]),
        (["api_key"], ["4:5: providers.acme.api_key: is missing"]),
        (
            ["base_url", "poll", "status", "completed", "api_key"],
            [f"4:5: providers.acme.{key}: is missing" for key in NEEDED],
        ),
    ],
)
def test_what_a_description_needs_is_told_when_it_is_missing(problems_in, removed, problems):
    """All of it in one run."""
    kept = [line for line in ACME.splitlines() if line.strip().partition(":")[0] not in removed]
    found = problems_in("\n".join(kept) + "\n")
    assert [line.partition(": is missing")[0].partition(": ")[2] for line in found] == [
        problem.partition(": is missing")[0].partition(": ")[2] for problem in problems
    ]


def test_rules_may_stand_for_status_words(problems_in):
    """Where they say what a success is."""
    text = ACME.replace("    status: status\n    completed: [done]\n", "    rules: [{http: [200], outcome: OUTCOME}]\n")
    assert problems_in(text.replace("OUTCOME", "completed")) == []
    (found,) = problems_in(text.replace("OUTCOME", "failed"))
    assert "providers.acme.completed: is missing (write the status words of a success" in found


def test_a_key_is_needed_only_where_it_is_used(problems_in, settings_of):
    """Not beside a secret that stands in `auth` itself, nor for an API without credentials."""
    bare = ACME.replace("    api_key: k\n", "")
    for auth in ("null", "{bearer: x}", "{command: [x]}", "{query: {name: a, value: b}}"):
        assert problems_in(f"{bare}    auth: {auth}\n") == []
    for auth in ('{header: {name: a, value: "Key {api_key}"}}', '{basic: {username: "{api_key}"}}'):
        (found,) = problems_in(f"{bare}    auth: {auth}\n")
        assert "providers.acme.api_key: is missing (take it from the environment" in found
    assert settings_of(f"{bare}    auth: null\n").providers["acme"].api_key == SecretStr("")


def test_secrets_of_auth_come_from_files_and_the_environment(settings_of, problems_in, tmp_path):
    """Each has a `_file` twin, and a check needs none of them."""
    (tmp_path / "secret").write_text("planted\n")
    bare = ACME.replace("    api_key: k\n", "")
    settings = settings_of(f"{bare}    auth: {{header: {{name: X, value_file: {tmp_path}/secret}}}}\n")
    assert settings.providers["acme"].auth.header.value == SecretStr("planted")
    for one in ("{bearer: '${NO}'}", "{jwt_hs256: {access_key: '${NO}', secret_key_file: /none}}", "{bearer_file: /n}"):
        assert problems_in(f"{bare}    auth: {one}\n", secrets="optional") == []
        assert problems_in(f"{bare}    auth: {one}\n") != []


def test_a_provider_s_keys_are_laid_over_its_preset(settings_of):
    """Key by key: what it says replaces the preset's, null switches a key off, the rest stays."""
    text = """
    webhooks: {secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3}
    providers:
      mine: {preset: replicate, api_key: k, completed: [FINISHED], expires: null, interval: 5m}
    """
    mine = settings_of(text).providers["mine"]
    assert (mine.preset, mine.base_url, mine.completed) == ("replicate", "https://api.replicate.com", ("finished",))
    assert (mine.expires, mine.interval) == (None, 300.0)
    assert mine.poll.path.text == PRESETS["replicate"]["poll"]["path"]


def test_a_preset_s_name_may_be_used_for_another_api(settings_of):
    """`preset: null` takes nothing from it."""
    text = ACME.replace("acme:", "videos:\n    preset: null")
    assert settings_of(text).providers["videos"].base_url == "https://api.acme.example"


def test_every_preset_is_right_as_one_of_many(settings_of):
    """As a user would have it, with a key and where the account's API is."""
    account = '{base_url: "https://api.example", api_key: k, auth: {bearer: k}}'
    providers = ", ".join(f"{name}: {account}" for name in PRESETS)
    text = f"""
    webhooks: {{secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3}}
    providers: {{{providers}}}
    """
    for name, settings in settings_of(text).providers.items():
        described = describe(settings)
        assert described.status or described.rules, name


def test_laying_leaves_other_shapes_alone():
    """They are reported elsewhere."""
    for data in ({}, {"providers": []}, {"providers": {"videos": 5}}):
        assert lay(data) == data


def test_every_part_of_a_description_reaches_the_domain(settings_of):
    """Either form of what has two."""
    one = "    expires: {after: 1h}\n    hint: {header: Retry-After}\n"
    other = "    expires: {at: a}\n    hint: {seconds: b}\n"
    first, second = (describe(settings_of(ACME + added).providers["acme"]) for added in (one, other))
    assert (first.expires, first.hint) == (ExpiresAfter(3600.0), HintHeader("retry-after"))
    assert isinstance(second.expires, ExpiresAt)
    assert isinstance(second.hint, HintSeconds)
    assert first.variables == {"region": "eu"}
    assert (first.urls, first.error.message[0].text) == (None, "error.message")


def test_the_schema_marks_what_excludes_itself():
    """Both secrets of a section are judged."""
    definition = json_schema()["$defs"]["TokenAuthSettings"]
    assert [way["oneOf"][0]["required"] for way in definition["allOf"]] == [["access_key"], ["secret_key"]]
