"""What of a URL is looked at each time, and what once."""

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.adapters.http.target import divided

ODD = st.sampled_from(
    ["/", "//", "/.", "/..", "..", "a", "%", "%2e", "%zz", "?", "#", "@", ":", "ä", " ", "\\", "~", "'", '"', "{", "|"]
)
ORIGINS = st.sampled_from(["http://h.example:8080", "https://h", "HTTPS://H", "http://1.2.3.4"])


@given(ORIGINS, st.lists(ODD, max_size=6))
@settings(max_examples=60)
@example("http://h", ["/", "a", "/", "..", "/", "a"])
@example("http://user@h", ["/", "a"])
def test_a_divided_url_is_what_httpx_makes_of_the_whole(origin: str, rest: list[str]) -> None:
    """The short way leads to the same request."""
    url = origin + "".join(rest)
    try:
        whole = httpx.URL(url)
    except httpx.InvalidURL:
        with pytest.raises(httpx.InvalidURL):
            divided(url)
        return
    start, target = divided(url)
    assert f"{start}{target.decode()}" == str(whole)
    assert start.netloc == whole.netloc


def test_an_ordinary_path_is_not_parsed() -> None:
    """It goes along as it is; the origin is the same object each time."""
    first, target = divided("https://api.example.com/v1/result/vid_8f2c")
    second, _ = divided("https://api.example.com/v1/result/another")
    assert (target, first) == (b"/v1/result/vid_8f2c", second)
    assert first is second


def test_what_cannot_be_sent_is_an_error_at_once() -> None:
    """An address that is none, and a port that is none."""
    for url in ("http://999.1.1.1/a", "http://[::1/a"):
        with pytest.raises((httpx.InvalidURL, ValueError)):
            divided(url)
