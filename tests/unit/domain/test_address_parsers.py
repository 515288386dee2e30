"""The guard reads a URL itself; what it lets through, every parser on the way to the wire must read alike."""

from ipaddress import IPv6Address
from urllib.parse import urlsplit

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from notifier.domain.address import Target, examine
from notifier.domain.address_blocks import Network
from tests.thoroughness import examples

NOTHING: tuple[Network, ...] = ()
DEFAULT_PORTS = {"https": 443, "http": 80}


def words(text):
    return text.split()


# What makes parsers disagree: separators, encodings, look-alikes, brackets, and hosts worth hiding.
HOSTS = words("example.com EXAMPLE.com. a_b.example xn--bcher-kva.example localhost 127.1 8.8.8.8 [2a00::1] [::1]")
MARKS = words(r"""// / \ ? # @ : :443 :8443 :0 . .. [ ] %00 %2e %2F %40 %5c _ - ~ ; , & = ' " < > ^ ` { | } ! $ ( *""")
LOOK_ALIKES = [*"①。．﹒＠／：℀ßİſ\u00ad\u200d\t\r\n "]

pieces = st.one_of(st.sampled_from(HOSTS), st.sampled_from(MARKS), st.sampled_from(LOOK_ALIKES))
urls = st.tuples(
    st.sampled_from(["https://", "https://", "HTTPS://", "https:/"]),
    st.sampled_from([*HOSTS, "[2A00:0::1.2.3.4]", ""]),
    st.sampled_from(["", "", "/", "?", "#", ":8443/"]),
    st.lists(pieces, max_size=5).map("".join),
).map("".join)


@settings(max_examples=examples(600))
@given(urls)
@example("https://a.example\\@127.0.0.1/")
@example("https://example.com;@127.0.0.1/")
@example("https://example.com#@127.0.0.1/")
@example("https://example.com?@127.0.0.1/")
@example("https://[::1].example.com/")
@example("https://EXAMPLE.com:0443/")
def test_who_is_judged_is_who_every_parser_finds(url):
    """The client's two parsers, and the standard library's, by which receivers are limited, find the host and port that
    the guard judged."""
    target = examine(url, NOTHING)
    if isinstance(target, Target):
        sent = httpx.URL(url)
        handed_over = URL(str(sent), encoded=True)
        assert (sent.port or DEFAULT_PORTS[target.scheme], handed_over.port) == (target.port, target.port)
        limited = urlsplit(url)
        assert (limited.port or DEFAULT_PORTS[target.scheme]) == target.port
        hosts = (sent.raw_host.decode("ascii"), handed_over.raw_host, limited.hostname)
        assert {_plain(host) for host in hosts} == {_plain(target.host)}


def _plain(host: str | None) -> str:
    """Without brackets, and an IPv6 address in its short form."""
    bare = (host or "").strip("[]").lower()
    return str(IPv6Address(bare)) if ":" in bare else bare
