"""Address ranges with a special meaning, after the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890
and its updates), and the cloud metadata addresses, which no registry lists.

Stricter than the registries in one way: ranges that are globally reachable but serve one protocol only (AS112, AMT,
6to4 relays) count as special, because no receiver of webhooks lives there.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Block:
    """A range of addresses that are not ordinary destinations; `noun` says in a sentence what one of them is."""

    network: Network
    rule: str
    noun: str


def _blocks(*rows: tuple[str, str, str]) -> tuple[Block, ...]:
    return tuple(Block(ip_network(network), rule, noun) for network, rule, noun in rows)


# The first block that holds an address names it, so smaller blocks come before the ones around them.
_IPV4_BLOCKS = _blocks(
    ("0.0.0.0/32", "unspecified", "the unspecified address"),
    ("0.0.0.0/8", "reserved", "an address of “this network” (RFC 791)"),
    ("10.0.0.0/8", "private", "a private address (RFC 1918)"),
    ("100.64.0.0/10", "shared", "a shared address behind a carrier's NAT (RFC 6598)"),
    ("127.0.0.0/8", "loopback", "a loopback address"),
    ("169.254.0.0/16", "link-local", "a link-local address"),
    ("172.16.0.0/12", "private", "a private address (RFC 1918)"),
    ("192.0.0.0/24", "reserved", "reserved for protocol assignments (RFC 6890)"),
    ("192.0.2.0/24", "documentation", "a documentation address (RFC 5737)"),
    ("192.31.196.0/24", "reserved", "an AS112 address (RFC 7535)"),
    ("192.52.193.0/24", "reserved", "an AMT relay address (RFC 7450)"),
    ("192.88.99.0/24", "reserved", "a 6to4 relay address (RFC 7526)"),
    ("192.168.0.0/16", "private", "a private address (RFC 1918)"),
    ("192.175.48.0/24", "reserved", "an AS112 address (RFC 7534)"),
    ("198.18.0.0/15", "benchmarking", "a benchmarking address (RFC 2544)"),
    ("198.51.100.0/24", "documentation", "a documentation address (RFC 5737)"),
    ("203.0.113.0/24", "documentation", "a documentation address (RFC 5737)"),
    ("224.0.0.0/4", "multicast", "a multicast address"),
    ("255.255.255.255/32", "broadcast", "the broadcast address"),
    ("240.0.0.0/4", "reserved", "a reserved address (RFC 1112)"),
)
_IPV6_BLOCKS = _blocks(
    ("::/128", "unspecified", "the unspecified address"),
    ("::1/128", "loopback", "a loopback address"),
    ("::ffff:0:0/96", "wrapped", "an IPv4-mapped address (RFC 4291)"),
    ("::ffff:0:0:0/96", "wrapped", "an IPv4-translated address (RFC 2765)"),
    ("::/96", "wrapped", "an IPv4-compatible address (RFC 4291)"),
    ("64:ff9b::/96", "wrapped", "a NAT64 address (RFC 6052)"),
    ("64:ff9b:1::/48", "wrapped", "a local NAT64 address (RFC 8215)"),
    ("100::/64", "reserved", "a discard-only address (RFC 6666)"),
    ("2001::/32", "wrapped", "a Teredo address (RFC 4380)"),
    ("2001:2::/48", "benchmarking", "a benchmarking address (RFC 5180)"),
    ("2001::/23", "reserved", "reserved for protocol assignments (RFC 2928)"),
    ("2001:db8::/32", "documentation", "a documentation address (RFC 3849)"),
    ("2002::/16", "wrapped", "a 6to4 address (RFC 3056)"),
    ("2620:4f:8000::/48", "reserved", "an AS112 address (RFC 7534)"),
    ("3ffe::/16", "reserved", "an address of the closed 6bone (RFC 3701)"),
    ("3fff::/20", "documentation", "a documentation address (RFC 9637)"),
    # Ordinary unicast; what is outside of it is named by the rows that follow.
    ("2000::/3", "", ""),
    ("fc00::/7", "private", "a unique local address (RFC 4193)"),
    ("fe80::/10", "link-local", "a link-local address"),
    ("fec0::/10", "private", "a site-local address (RFC 3879)"),
    ("ff00::/8", "multicast", "a multicast address"),
    ("::/0", "reserved", "outside of global unicast space (2000::/3)"),
)

METADATA: frozenset[Address] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google Cloud, Azure, OpenStack, DigitalOcean, Oracle, Hetzner …
        "169.254.169.252",  # GKE's metadata server
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS Pod Identity
        "169.254.0.23",  # Tencent Cloud
        "169.254.42.42",  # Scaleway
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's WireServer; a public address by its number
        "192.0.0.192",  # Oracle Cloud Classic
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS Pod Identity
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
        "fd00:a9fe:a9fe::1",  # Akamai (Linode)
    )
)


def block_of(address: Address) -> Block | None:
    """The special range that an address is in, None for globally reachable unicast."""
    blocks = _IPV4_BLOCKS if isinstance(address, IPv4Address) else _IPV6_BLOCKS
    block = next((block for block in blocks if address in block.network), None)
    return block if block is not None and block.rule else None
