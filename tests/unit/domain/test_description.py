"""What a description says about a watch's values and about whom it trusts."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.description import Description, Question, SecondLook
from notifier.domain.template import parse_json_template, parse_template
from tests.thoroughness import examples

POLL = Question(
    parse_template("/{+vars.path}/{vars.region}/{task_id}", "path"),
    method="POST",
    query=(("r", parse_template("{vars.region}", "query")),),
    headers=(("x-r", parse_template("{vars.tag}", "header")),),
    body=parse_json_template({"a": "{vars.tag}"}),
)
DESCRIPTION = Description(
    base_url="https://api.example/v1",
    poll=POLL,
    variables={"path": None, "region": "eu", "tag": "x"},
    hosts=("queue.example",),
    result=SecondLook(path=parse_template("/{vars.region}", "path")),
    download=parse_template("/{vars.region}/content", "path"),
)


@pytest.mark.parametrize(
    ("given_", "wrong"),
    [
        ({"path": "a/b"}, []),
        ({"path": "a/b", "region": "us", "tag": "t"}, []),
        ({}, [("path", "is missing, and this provider cannot be asked without it")]),
        (
            {"path": "a", "pth": "b"},
            [("pth", "is no variable of this provider (known: path, region, tag)")],
        ),
        ({"path": "a" * 513}, [("path", "must have at most 512 characters")]),
        ({"path": "a//b"}, [("path", "has an empty segment, or one of dots, that would lead to another path")]),
        ({"path": "a", "region": ".."}, [("region", "has an empty segment, or one of dots, that would lead to")]),
        ({"path": "a", "tag": "é"}, [("tag", "is not visible ASCII, and a header takes nothing else")]),
    ],
)
def test_a_watch_s_values_are_judged_before_anything_is_asked(given_, wrong):
    """Missing ones, unknown ones, and those that cannot stand where they would go."""
    found = list(DESCRIPTION.judge_variables(given_))
    assert len(found) == len(wrong)
    for (name, message), (wanted, start) in zip(found, wrong, strict=True):
        assert name == wanted
        assert message.startswith(start)


def test_a_provider_without_variables_takes_none():
    """And says so."""
    plain = Description("https://api.example", Question(parse_template("/{task_id}", "path")))
    assert list(plain.judge_variables({"a": "b"})) == [("a", "is no variable of this provider (known: none)")]
    assert [text.text for text in plain.texts()] == ["/{task_id}"]
    assert [text.text for text in replace(plain, result=SecondLook()).texts()] == ["/{task_id}"]


def test_a_watch_s_own_values_go_before_the_defaults():
    """What is no variable of the provider is left out."""
    assert DESCRIPTION.values("t", {"region": "us", "other": "x"}) == {
        "task_id": "t",
        "vars.region": "us",
        "vars.tag": "x",
    }


@pytest.mark.parametrize(
    ("base_url", "url", "trusted"),
    [
        ("https://api.example/v1", "https://api.example/x?y#z", True),
        ("https://api.example/v1", "https://API.example:443", True),
        ("https://api.example/v1", "HTTPS://api.example/", True),
        ("https://api.example/v1", "http://api.example/", False),
        ("https://api.example/v1", "https://api.example:8443/", False),
        ("https://api.example/v1", "https://api.example.evil.example/", False),
        ("https://api.example/v1", "https://api.example@evil.example/", False),
        ("https://api.example/v1", "https://evil.example@api.example/", False),
        ("https://api.example/v1", "https://evil.example\\@api.example/", False),
        ("https://api.example/v1", "https://evil.example#@api.example/", False),
        ("https://api.example/v1", "https://api.example\t.evil.example/", False),
        ("https://api.example/v1", "https://api.example%2eevil.example/", False),
        ("https://api.example/v1", "//api.example/", False),
        ("https://api.example/v1", "ftp://api.example/", False),
        ("https://api.example/v1", "https:///x", False),
        ("https://api.example/v1", "https://api.example:99999/", False),
        ("https://api.example/v1", "https://queue.example/x", True),
        ("https://api.example/v1", "https://queue.example:444/x", False),
        ("https://api.example/v1", "http://queue.example/x", False),
        ("http://api.example:81", "http://queue.example/x", True),
        ("http://api.example:81", "http://queue.example:81/x", True),
        ("http://api.example:81", "https://queue.example/x", True),
        ("http://api.example:81", "http://api.example/x", False),
        ("http://[::1]:81", "http://[::1]:81/x", True),
        ("https://é.example", "https://é.example/x", False),
        ("https://é.example", "https://queue.example/x", False),
    ],
)
def test_credentials_go_to_the_own_origin_and_listed_hosts_alone(base_url, url, trusted):
    """Never over a downgrade to http, and never to a URL that two parsers may read differently."""
    assert Description(base_url, POLL, hosts=("queue.example",)).trusts(url) is trusted


@given(st.text(alphabet="htps:/@.\\#?%[]\t api.exmlvo019", max_size=30))
@settings(max_examples=examples(60), deadline=None)
def test_nothing_that_was_pasted_together_is_trusted_by_mistake(tail):
    """Whatever follows the scheme, the host is one of ours as it is written."""
    url = f"https://{tail}"
    if DESCRIPTION.trusts(url):
        rest = tail.lower()
        assert any(
            rest == host or (rest.startswith(host) and rest[len(host)] in "/?#:")
            for host in ("api.example", "queue.example")
        )
