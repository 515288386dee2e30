"""Which callback URLs a limited token covers: whatever a URL looks like, it must not lead out of its prefix."""

from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.domain.prefix import climbs, parse_prefix
from tests.thoroughness import examples

SITE = "https://app.example.com"


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        (SITE, SITE),
        (SITE, SITE + "/"),
        (SITE, SITE + "/hooks/video?token=1#x"),
        (SITE, SITE + "?token=1"),
        (SITE + "/", SITE),
        (SITE, "HTTPS://APP.Example.COM/hooks"),
        ("HTTPS://APP.Example.COM/", SITE + "/hooks"),
        (SITE, SITE + ":443/hooks"),
        (SITE + ":443", SITE + "/hooks"),
        (SITE + ":8443", SITE + ":8443/hooks"),
        ("http://app.example.com", "http://app.example.com:80/"),
        (SITE, SITE + "/a/../b"),
        (SITE + "/hooks/", SITE + "/hooks/"),
        (SITE + "/hooks/", SITE + "/hooks/video"),
        (SITE + "/hooks", SITE + "/hooks"),
        (SITE + "/hooks", SITE + "/hooks?x"),
        (SITE + "/hooks", SITE + "/hooks/video"),
        (SITE + "/hooks", SITE + "/hooks/..hidden/a...b/%2e%2egg"),
        ("https://[2606:4700::1]/a", "https://[2606:4700::1]/a/b"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x"),
    ],
)
def test_what_is_under_a_prefix_is_covered(prefix: str, url: str) -> None:
    """The scheme's and the host's case and a port that is the usual one make no difference."""
    assert parse_prefix(prefix).covers(url)


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        (SITE, SITE + ".evil.net/"),
        (SITE, SITE + "@evil.net/"),
        (SITE, SITE + ":x@evil.net/"),
        (SITE, SITE + ":443@evil.net/"),
        (SITE, SITE + "\\@evil.net/"),
        (SITE, SITE + "%2eevil.net/"),
        (SITE, SITE + "./"),
        (SITE, "https://evil.net/" + SITE),
        (SITE, "https://x.app.example.com/"),
        (SITE, "https://app.example.co/"),
        (SITE, "http://app.example.com/"),
        (SITE, SITE + ":8443/"),
        (SITE + ":8443", SITE + "/"),
        (SITE, "//app.example.com/"),
        (SITE, "app.example.com"),
        (SITE, ""),
        (SITE, " " + SITE),
        (SITE + "/hooks/", SITE + "/hooks"),
        (SITE + "/hooks/", SITE + "/Hooks/video"),
        (SITE + "/hooks/", SITE + "/video?/hooks/"),
        (SITE + "/hooks/", SITE + "?/hooks/"),
        (SITE + "/hooks", SITE + "/hooks2"),
        (SITE + "/hooks", SITE + "/hooks;x"),
        (SITE + "/hooks", SITE + "/hooks%2fvideo"),
        (SITE + "/hooks", SITE + "//hooks"),
        (SITE + "/hooks", SITE + "/hooks/../admin"),
        (SITE + "/hooks", SITE + "/hooks/.."),
        (SITE + "/hooks", SITE + "/hooks/./x"),
        (SITE + "/hooks", SITE + "/hooks/%2e%2e/admin"),
        (SITE + "/hooks", SITE + "/hooks/%2E./admin"),
        (SITE + "/hooks", SITE + "/hooks/x%2f..%2f..%2fadmin"),
        (SITE + "/hooks", SITE + "/hooks/x%5c..%5c..%5cadmin"),
        (SITE + "/hooks", SITE + "/hooks/..;/admin"),
        (SITE + "/hooks", SITE + "/hooks/..;a=b/admin"),
        (SITE + "/hooks", SITE + "/hooks/%252e%252e/admin"),
        (SITE + "/hooks", SITE + "/hooks/%2525252525252e/admin"),
    ],
)
def test_what_is_not_under_a_prefix_is_not_covered(prefix: str, url: str) -> None:
    """Neither what only looks alike nor what some server would resolve to another path."""
    assert not parse_prefix(prefix).covers(url)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "whole URL"),
        ("app.example.com", "whole URL"),
        ("https://", "no host"),
        ("ftp://app.example.com", "ftp://"),
        ("https://user@app.example.com/", "user information"),
        ("https://*.example.com/", "not a valid name"),
        ("https://app.example.com:0/", "port"),
        ("https://169.254.169.254/", "metadata"),
        (SITE + "/hooks?x=", "query"),
        (SITE + "#", "query or a fragment"),
        (SITE + "/a/../b", "dot segment"),
        (SITE + "/a/%2e%2e/b", "dot segment"),
        (SITE + "/a b", "white space"),
    ],
)
def test_a_wrong_prefix_is_told(text: str, says: str) -> None:
    """It would cover nothing, or something else than it seems to."""
    with pytest.raises(ValueError, match=says):
        parse_prefix(text)


def test_a_prefix_of_a_private_receiver_is_right() -> None:
    """Whether it may be called is for allow_networks to say."""
    assert parse_prefix("http://10.0.0.1:8080/").covers("http://10.0.0.1:8080/x")


PIECES = ["a", "hooks", "..", ".", "%2e%2e", "%2E.", "..;x", "%252e%252e", "", "b%2f..", "%5c..", "é", ":", "@"]
SEGMENTS = st.lists(st.sampled_from(PIECES))
TAILS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), max_size=12)


@settings(max_examples=examples(40))
@given(SEGMENTS, TAILS)
@example(["hooks", ".."], "")
def test_no_path_leads_out(segments: list[str], tail: str) -> None:
    """What is covered is still below the prefix for a server that decodes once or twice and resolves dot segments."""
    url = f"{SITE}/hooks/{'/'.join(segments)}{tail}"
    path = urlsplit(url).path
    for _ in range(3 if parse_prefix(SITE + "/hooks/").covers(url) else 0):
        resolved = urlsplit(urljoin(SITE, quote(path.replace("\\", "/"), safe="/:@;%"))).path
        assert resolved.startswith("/hooks/")
        path = path.replace("%25", "%").replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%5c", "/")


@settings(max_examples=examples(40))
@given(TAILS)
@example(".evil.net")
@example("@evil.net")
@example(":80@evil.net")
def test_no_tail_changes_the_host(tail: str) -> None:
    """Whatever is written behind a prefix without a slash, what is covered goes to its host and port."""
    url = SITE + tail
    if not parse_prefix(SITE).covers(url):
        return
    parts = urlsplit(url)
    assert (parts.hostname, parts.port or 443, parts.username) == ("app.example.com", 443, None)


@given(st.sampled_from([SITE, SITE + "/hooks", "https://[2606:4700::1]"]), SEGMENTS)
def test_what_is_covered_begins_with_the_opening(prefix: str, segments: list[str]) -> None:
    """A database that looks for the opening in lower case misses nothing."""
    read = parse_prefix(prefix)
    for url in (prefix.upper().replace("/HOOKS", "/hooks") + "/" + "/".join(segments), prefix + ":443/hooks/x"):
        assert not read.covers(url) or url.lower().startswith(read.opening)


def test_endless_encoding_is_not_followed() -> None:
    """Layers of percent-encoding cost a fixed number of rounds."""
    assert climbs("/%" + "25" * 500 + "2e")
    assert not climbs("/%2541")
