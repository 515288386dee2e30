from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.address import Refusal, Target, examine, judge
from tests.thoroughness import examples

NOTHING = ()
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
LOOPBACK = (ip_network("127.0.0.0/8"),)


def words(text):
    return text.split()


FORBIDDEN = words("""
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.0.1
    172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.8 192.0.0.9 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1
    192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.254 255.255.255.255
    :: ::1 ::2 ::7f00:1 ::808:808 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:7f00:1 ::ffff:0:808:808
    64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 100:0:0:1::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2
    2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:1ff::1 2001:db8::1
    2002::1 2002:7f00:1::1 2002:808:808::1 2620:4f:8000::1 3ffe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1
    fc00::1 fdff::1 fe80::1 fe80::1%eth0 fec0::1 feff::1 ff02::1 ff0e::1
    2606:4700::5efe:7f00:1 2606:4700::200:5efe:a00:1
""")

METADATA = words("""
    169.254.169.254 169.254.169.252 169.254.170.2 169.254.170.23 169.254.0.23 169.254.42.42
    100.100.100.200 168.63.129.16 192.0.0.192
    fd00:ec2::254 fd00:ec2::254%eth0 fd00:ec2::23 fd20:ce::254 fd00:42::42
    fd00:a9fe:a9fe::1 fe80::a9fe:a9fe fe80::a9fe:a9fe%eth0 fd00:c1::a9fe:a9fe
""")

PUBLIC = words("""
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.255.255
    172.15.255.255 172.32.0.1 192.0.1.1 192.0.3.1 192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 223.255.255.255
    168.63.129.15 2000::1 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2a00:1450::1 3ffd::1
    3fff:1000::1
""")


def refusal(address, allow=NOTHING, scheme="https"):
    return judge(ip_address(address), scheme=scheme, allow=allow)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public_needs_listing(address):
    """Everything but globally reachable unicast is refused, with its reason and the setting that would allow it."""
    refused = refusal(address)
    assert refused is not None
    assert str(IPv6Address(int(ip_address(address))) if ":" in address else address) in refused.message
    assert "webhooks.allow_networks" in refused.message
    assert refusal(address, EVERYTHING) is None
    assert refusal(address, EVERYTHING, "http") is None


@pytest.mark.parametrize(
    ("address", "rule", "noun"),
    [
        ("0.0.0.0", "unspecified", "the unspecified address"),
        ("0.0.0.1", "reserved", "this network"),
        ("10.0.0.1", "private", "RFC 1918"),
        ("172.16.0.1", "private", "RFC 1918"),
        ("192.168.0.1", "private", "RFC 1918"),
        ("100.64.0.1", "shared", "carrier's NAT"),
        ("127.0.0.1", "loopback", "a loopback address"),
        ("169.254.0.1", "link-local", "a link-local address"),
        ("198.18.0.1", "benchmarking", "RFC 2544"),
        ("203.0.113.1", "documentation", "RFC 5737"),
        ("224.0.0.1", "multicast", "a multicast address"),
        ("255.255.255.255", "broadcast", "the broadcast address"),
        ("240.0.0.1", "reserved", "RFC 1112"),
        ("::", "unspecified", "the unspecified address"),
        ("::1", "loopback", "a loopback address"),
        ("::ffff:8.8.8.8", "wrapped", "IPv4-mapped"),
        ("::ffff:0:808:808", "wrapped", "IPv4-translated"),
        ("::808:808", "wrapped", "IPv4-compatible"),
        ("64:ff9b::808:808", "wrapped", "NAT64"),
        ("64:ff9b:1::808:808", "wrapped", "local NAT64"),
        ("100::1", "reserved", "discard-only"),
        ("2001:0:808:808::f7f7:f7f7", "wrapped", "Teredo"),
        ("2001:2::1", "benchmarking", "RFC 5180"),
        ("2001:4:112::1", "reserved", "RFC 2928"),
        ("2002:808:808::1", "wrapped", "6to4"),
        ("fc00::1", "private", "unique local"),
        ("fec0::1", "private", "site-local"),
        ("fe80::1", "link-local", "a link-local address"),
        ("ff02::1", "multicast", "a multicast address"),
        ("4000::1", "reserved", "2000::/3"),
    ],
)
def test_a_refusal_names_the_kind_of_address(address, rule, noun):
    """The reader learns which range the address is in, by the word and the document that people know it by."""
    refused = refusal(address)
    assert refused is not None
    assert refused.rule == rule
    assert noun in refused.message


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_needs_https_only(address):
    """The neighbours of each special range are public; plain http is for listed addresses."""
    assert refusal(address) is None
    refused = refusal(address, scheme="http")
    assert refused is not None
    assert refused.rule == "plain-http"
    assert refusal(address, (ip_network(address),), "http") is None


@pytest.mark.parametrize("address", METADATA)
def test_cloud_metadata_is_refused_whatever_is_listed(address):
    """Metadata services give credentials to whoever asks; no listing opens them."""
    for allow in (NOTHING, EVERYTHING, (ip_network(address.partition("%")[0]),)):
        refused = refusal(address, allow)
        assert refused is not None
        assert refused.rule == "metadata"
        assert "never called, whatever webhooks.allow_networks lists" in refused.message


@pytest.mark.parametrize("prefix", ["64:ff9b::", "64:ff9b:1::"])
def test_a_listed_wrapping_with_a_public_address_inside_is_allowed(prefix):
    """Behind DNS64 every IPv4-only receiver has a NAT64 address: listing the prefix is enough for public ones."""
    allow = (ip_network(f"{prefix}/96"),)
    assert refusal(f"{prefix}808:808", allow) is None
    assert refusal(f"{prefix}a00:1", allow) is not None


def test_an_address_on_another_list_is_not_allowed():
    """Only the listed network opens."""
    assert refusal("10.0.0.1", LOOPBACK) is not None
    assert refusal("::1", LOOPBACK) is not None


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target("https", "example.com", 443, None)),
        ("HTTPS://Example.COM:8443/a?b#c", Target("https", "example.com", 8443, None)),
        ("https://example.com./a//b@c:d", Target("https", "example.com.", 443, None)),
        ("https://xn--bcher-kva.example/", Target("https", "xn--bcher-kva.example", 443, None)),
        ("https://a_b.example/%2F%00", Target("https", "a_b.example", 443, None)),
        ("https://intranet/x", Target("https", "intranet", 443, None)),
        ("https://1.1.1.1/", Target("https", "1.1.1.1", 443, IPv4Address("1.1.1.1"))),
        ("https://3.example1/", Target("https", "3.example1", 443, None)),
        (
            "https://[2606:4700:4700::1111]:8443/",
            Target("https", "2606:4700:4700::1111", 8443, IPv6Address("2606:4700:4700::1111")),
        ),
        ("https://example.com/" + "x" * 2028, Target("https", "example.com", 443, None)),
    ],
)
def test_an_ordinary_url_is_left_to_the_look_up(url, target):
    """A name is judged when its addresses are known; a literal address is judged at once."""
    assert examine(url, NOTHING) == target


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://example.com/", "plain-http"),
        ("http://8.8.8.8/", "plain-http"),
        ("https://10.0.0.1/", "private"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:169.254.169.254]/", "metadata"),
        ("https://localhost/", "loopback"),
        ("https://LOCALHOST.:8443/", "loopback"),
        ("https://a.localhost/", "loopback"),
        ("http://2130706433/", "spelling"),
        ("http://0x7f.1/", "spelling"),
        ("http://127.1/", "spelling"),
        ("https://0177.0.0.1/", "spelling"),
        ("https://127.0.0.01/", "spelling"),
        ("https://127.0.0.1./", "spelling"),
        ("https://127.0.0.0x1/", "spelling"),
        ("https://1.2.3.4.5/", "spelling"),
        ("https://example.0x/", "spelling"),
        ("https://256.1.1.1/", "spelling"),
        ("https://[::g]/", "spelling"),
        ("https://[127.0.0.1]/", "spelling"),
        ("https://[v1.x]/", "spelling"),
        ("https://[]/", "spelling"),
        ("https://[fe80::1%25eth0]/", "zone"),
        ("https://[fe80::1%eth0]/", "zone"),
        ("https://user:pw@example.com/", "userinfo"),
        ("https://@example.com/", "userinfo"),
        ("https://example.com@127.0.0.1/", "userinfo"),
        ("http://a.example\\@127.0.0.1/", "characters"),
        ("https://example.com\\.evil.example/", "characters"),
        ("https://example.com/a b", "characters"),
        (" https://example.com/", "characters"),
        ("https://example.com/\n", "characters"),
        ("https://example.com/\x00", "characters"),
        ("https://example.com/\u2028", "characters"),
        ("https://example.com/\u200b", "characters"),
        ("https://①②⑦.⓪.⓪.①/", "host"),
        ("https://127。0。0。1/", "host"),
        ("https://bücher.example/", "host"),
        ("https://%6c%6f%63alhost/", "host"),
        ("https:///nohost", "host"),
        ("https://", "host"),
        ("https://:443/", "host"),
        ("https://?x", "host"),
        ("https://./", "host"),
        ("https://a..b/", "host"),
        ("https://-a.example/", "host"),
        ("https://a-.example/", "host"),
        ("https://a,b/", "host"),
        ("https://[::1/", "host"),
        ("https://::1/", "host"),
        ("https://[::1]x/", "host"),
        ("https://" + "a" * 64 + ".example/", "host"),
        ("https://" + "a." * 130 + "example/", "host"),
        ("https://example.com:/", "port"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:٤٤٣/", "port"),
        ("https://example.com:443:443/", "port"),
        ("https://example.com:-1/", "port"),
        ("https://example.com:0443/", "port"),
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("httpss://example.com/", "scheme"),
        ("javascript:alert(1)", "url"),
        ("example.com/x", "url"),
        ("//example.com/x", "url"),
        ("https:example.com", "url"),
        ("", "url"),
        ("https://example.com/" + "x" * 2029, "length"),
    ],
)
def test_a_bad_url_is_refused_before_any_look_up(url, rule):
    """What parsers or resolvers could read in two ways is refused by its text, and the rule is named."""
    refused = examine(url, NOTHING)
    assert isinstance(refused, Refusal)
    assert refused.rule == rule


def test_a_refusal_holds_no_secret():
    """User information, paths and query strings often hold credentials; messages go to logs."""
    for url in ("https://user:planted@h/", "https://10.0.0.1/planted?planted", "ftp://h/planted", "http://h/?planted"):
        refused = examine(url, NOTHING)
        assert isinstance(refused, Refusal)
        assert "planted" not in refused.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/x", "https://127.0.0.1/", "http://[::ffff:127.0.0.1]/"])
def test_a_listed_literal_may_be_called_over_http_and_https(url):
    """allow_networks opens the address for both schemes."""
    assert isinstance(examine(url, LOOPBACK), Target)


@pytest.mark.parametrize("allow", [LOOPBACK, (ip_network("127.0.0.1/32"),), (ip_network("::1/128"),), EVERYTHING])
@pytest.mark.parametrize("url", ["http://localhost:9000/", "https://a.localhost/"])
def test_localhost_is_left_to_the_look_up_once_loopback_is_listed(url, allow):
    """Where a loopback network is listed, its usual name works too."""
    assert isinstance(examine(url, allow), Target)


def test_plain_http_to_a_name_waits_for_the_look_up_when_something_is_listed():
    """Whether the name's addresses are the listed ones is known only then."""
    assert examine("http://receiver.internal/", LOOPBACK) == Target("http", "receiver.internal", 80, None)


@settings(max_examples=examples(100), deadline=None)
@given(st.text(max_size=30), st.sampled_from(["", "https://", "http://", "https://h", "https://[", "https://1."]))
def test_any_text_gets_a_verdict(text, start):
    """Nonsense is refused, never an exception."""
    assert isinstance(examine(start + text, LOOPBACK), Target | Refusal)
