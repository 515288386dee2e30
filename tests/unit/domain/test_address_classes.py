"""The guard by class: every block of the IANA registries, and every way to write an IPv4 address into an IPv6 one."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.domain.address import judge
from notifier.domain.address_blocks import METADATA
from tests.thoroughness import examples

ALL_IPV6 = (ip_network("::/0"),)
EVERYTHING = (ip_network("0.0.0.0/0"), *ALL_IPV6)

# https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast (RFC 5771), which has one of its own.
IPV4_REGISTRY = """
    0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
    192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24
    192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/4 240.0.0.0/4 255.255.255.255/32
"""
# https://www.iana.org/assignments/iana-ipv6-special-registry, and all that iana-ipv6-address-space does not name
# "Global Unicast": everything outside of 2000::/3.
IPV6_REGISTRY = """
    ::1/128 ::/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128
    2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28
    2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10
    ::/8 100::/8 200::/7 400::/6 800::/5 1000::/4 4000::/3 6000::/3 8000::/3 a000::/3 c000::/3 e000::/4 f000::/5
    f800::/6 fe00::/9 fec0::/10 ff00::/8
"""
REGISTRY = [ip_network(text) for text in (IPV4_REGISTRY + IPV6_REGISTRY).split()]
IPV4_BLOCKS = [network for network in REGISTRY if network.version == 4]
METADATA_IPV4 = sorted(address for address in METADATA if isinstance(address, IPv4Address))

any_special_ipv4 = st.sampled_from(IPV4_BLOCKS).flatmap(lambda network: st.ip_addresses(network=network))


def refusal(address, allow=()):
    return judge(ip_address(address), scheme="https", allow=allow)


def is_special(address):
    return any(address in network for network in REGISTRY if network.version == address.version)


def test_no_address_of_a_special_purpose_block_is_called_unlisted():
    """The first, the last and one in the middle are refused, and only a listing of that very block opens them
    (a wrapped IPv4 address wants to be listed itself)."""
    for block in REGISTRY:
        for address in (block[0], block[-1], block[block.num_addresses // 2]):
            refused = refusal(address)
            assert refused is not None, address
            assert address in METADATA or "webhooks.allow_networks" in refused.message
            assert address in METADATA or refusal(address, EVERYTHING) is None


def test_the_neighbours_of_a_block_are_judged_by_their_own_block():
    """No block is wider than its registration: what lies next to it is public unless something else says otherwise."""
    for block in REGISTRY:
        for number in (int(block[0]) - 1, int(block[-1]) + 1):
            if 0 <= number <= int(type(block[0])(b"\xff" * (block.max_prefixlen // 8))):
                address = type(block[0])(number)
                # Closed or served by one protocol only; the registries do not list them.
                stricter = address in METADATA or (address.version == 6 and address in ip_network("3ffe::/16"))
                assert (refusal(address) is not None) == (is_special(address) or stricter), address


@given(st.ip_addresses())
def test_every_address_is_either_public_or_refused(address):
    """Nothing in a special block is public, wherever in the block it is."""
    if is_special(address):
        assert refusal(address) is not None


# Where RFC 6052, section 2.2, puts the 32 bits, as (bits before the gap, bits after it), gap at bits 64 to 71.
NAT64_SPLITS = {32: (32, 0), 40: (24, 8), 48: (16, 16), 56: (8, 24), 64: (0, 32)}


def nat64(prefix: int, length: int, v4: int, suffix: int = 0) -> int:
    """An IPv4 address behind a NAT64 prefix of that length; `suffix` fills the bits that hold nothing, the gap too."""
    if length == 96:
        return prefix | v4
    before, after = NAT64_SPLITS[length]
    room = 56 - after
    low = (v4 & (1 << after) - 1) << room | suffix & (0xFF << 56 | (1 << room) - 1)
    return prefix | (v4 >> after) << (64 + 64 - length - before) | low


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ],
)
def test_the_nat64_forms_of_this_file_are_those_of_the_standard(prefix, expected):
    """The examples of RFC 6052, section 2.4: else the properties below would prove nothing."""
    network = ip_network(prefix)
    made = nat64(int(network[0]), network.prefixlen, int(IPv4Address("192.0.2.33")))
    assert IPv6Address(made) == IPv6Address(expected)


def wrappings(v4: int, noise: int) -> dict[str, int]:
    """Every standard way to write an IPv4 address into an IPv6 one; `noise` fills what each leaves free."""
    local, isatap = int(IPv6Address("64:ff9b:1::")), 0x2606_4700 << 96 | (noise & 0xFFFF_FFFF) << 64
    found = {
        "mapped": 0xFFFF << 32 | v4,
        "translated": 0xFFFF << 48 | v4,
        "compatible": v4,
        "well-known NAT64": int(IPv6Address("64:ff9b::")) | v4,
        "local NAT64 /96": local | (noise & 0xFFFF_FFFF) << 48 | v4,
        "6to4": 0x2002 << 112 | v4 << 80 | noise & (1 << 80) - 1,
        "Teredo server": 0x2001_0000 << 96 | v4 << 64 | noise & (1 << 64) - 1,
        "Teredo client": 0x2001_0000 << 96 | (noise & (1 << 64) - 1) << 32 | v4 ^ 0xFFFF_FFFF,
    }
    for length in (48, 56, 64):
        subnet = (noise & 0xFFFF) << 64 >> (128 - length) << (128 - length)
        found[f"local NAT64 /{length}"] = nat64(local | subnet, length, v4, noise)
    for flags in (0x0000, 0x0100, 0x0200, 0x0300):
        found[f"ISATAP {flags:04x}"] = isatap | flags << 48 | 0x5EFE << 32 | v4
    return found


@settings(max_examples=examples(200))
@given(any_special_ipv4, st.integers(0, 2**128 - 1))
@example(IPv4Address("127.0.0.1"), 0)
@example(IPv4Address("10.0.0.1"), 2**128 - 1)
def test_no_wrapping_leads_to_a_special_ipv4_address(inner, noise):
    """Whatever is wrapped is refused, and listing all of IPv6 does not open an IPv4 address that is not listed."""
    for form, number in wrappings(int(inner), noise).items():
        address = IPv6Address(number)
        assert refusal(address) is not None, form
        # `::` and `::1` are no wrappings, and zeros in a local NAT64 address are padding: those may be listed.
        if number > 1 and not (int(inner) < 1 << 24 and form.startswith("local")):
            assert refusal(address, ALL_IPV6) is not None, form


@settings(max_examples=examples(200))
@given(st.sampled_from(METADATA_IPV4), st.integers(0, 2**128 - 1))
def test_no_wrapping_leads_to_a_metadata_address_whatever_is_listed(inner, noise):
    """A listing of everything opens no IPv6 form of a metadata address."""
    for form, number in wrappings(int(inner), noise).items():
        refused = refusal(IPv6Address(number), EVERYTHING)
        assert refused is not None, form
        assert refused.rule == "metadata", form
        assert str(inner) in refused.message, form


@pytest.mark.parametrize("length", [32, 40, 48, 56, 64, 96])
@settings(max_examples=examples(30))
@given(st.sampled_from(METADATA_IPV4), st.integers(0, 2**128 - 1))
def test_no_nat64_prefix_of_ones_own_leads_to_a_metadata_address(length, inner, noise):
    """A network may translate with any prefix (RFC 6052), and an ordinary looking address then leads inside."""
    prefix = (0x2A00 << 112 | noise >> 16) >> (128 - length) << (128 - length)
    for allow in ((), EVERYTHING):
        refused = refusal(IPv6Address(nat64(prefix, length, int(inner), noise)), allow)
        assert refused is not None
        assert refused.rule == "metadata"


@settings(max_examples=examples(100))
@given(st.ip_addresses(v=4), st.integers(0, 2**128 - 1))
def test_a_tunnel_is_refused_even_with_a_public_address_inside(inner, noise):
    """Where a wrapping really leads is up to somebody's gateway; but ISATAP looks like any other address."""
    for form, number in wrappings(int(inner), noise).items():
        if not form.startswith("ISATAP"):
            assert refusal(IPv6Address(number)) is not None, form


def test_a_listed_ipv4_network_covers_the_mapped_form_only():
    """A dual-stack socket takes ::ffff:127.0.0.1 for 127.0.0.1; other wrappings go through a gateway."""
    listed = (ip_network("127.0.0.0/8"),)
    for form, number in wrappings(int(IPv4Address("127.0.0.1")), 0).items():
        assert (judge(IPv6Address(number), scheme="http", allow=listed) is None) == (form == "mapped"), form
