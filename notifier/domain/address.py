"""Which URLs and addresses may be called: the guard's rules, as pure functions.

Text can lie about where a call goes, an address cannot: `examine` refuses what is wrong with a URL before any
look-up, and `judge` is asked about every address that is about to be dialled.

Callable without further ado are https URLs at globally reachable unicast addresses. Everything else, and plain
http, needs its address listed by the operator. Cloud metadata services hand out credentials to whoever asks, so
they are never called, listed or not.

An IPv6 address that leads to an IPv4 address is judged twice, as itself and as the address inside; both must
pass. Only the IPv4-mapped form (`::ffff:a.b.c.d`), which a dual-stack socket treats as that IPv4 address, is
covered by a listed IPv4 network.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from notifier.domain.address_blocks import METADATA, Address, Block, Network, block_of

__all__ = ["LONGEST_URL", "SETTING", "Address", "Network", "Refusal", "Target", "examine", "judge"]

LONGEST_URL = 2048
SETTING = "webhooks.allow_networks"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that is not made. `rule` is a short word, `message` says what would be right; neither holds a path,
    a query string or user information."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads as far as its text says. `host` is lower case and without brackets; `literal` is its
    address when the host is one, else a look-up decides."""

    scheme: str
    host: str
    port: int
    literal: Address | None


_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_TEREDO = ip_network("2001::/32")
_6TO4 = ip_network("2002::/16")
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
# Forms that keep the IPv4 address in the last 32 bits.
_TRAILING = tuple(ip_network(n) for n in ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96"))
# RFC 5214, section 6.1; the two bits that say "universal" and "group" vary.
_ISATAP_IDENTIFIER, _ISATAP_FIXED_BITS = 0x0000_5EFE, 0xFCFF_FFFF

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?P<port>:.*)?")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PORT = re.compile(r":[1-9][0-9]{0,4}")
_DEFAULT_PORTS = {"https": 443, "http": 80}


def examine(url: str, allow: Sequence[Network], *, longest: int = LONGEST_URL) -> Target | Refusal:
    """Judge a URL as far as its text allows; `allow` is `webhooks.allow_networks`. Signed URLs of files may be longer
    than what is taken for a callback URL."""
    if (refusal := _judge_text(url, longest)) is not None:
        return refusal
    match _URL.match(url):
        case None:
            return Refusal("url", "this is not a whole URL; write it as https://host/path")
        case found:
            scheme, authority = found["scheme"].lower(), found["authority"]
    if scheme not in _DEFAULT_PORTS:
        return Refusal("scheme", f"{scheme}:// is not called, only https:// (and http:// as {SETTING} allows)")
    target = _read_authority(scheme, authority)
    return target if isinstance(target, Refusal) else _judge_target(target, allow)


def judge(address: Address, *, scheme: str, allow: Sequence[Network]) -> Refusal | None:
    """Judge an address that is about to be dialled for a URL of this scheme; None lets the call through."""
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address))  # a zone (`%eth0`) changes the route, not what the address is
    inside = list(_wrapped(address))
    if (secret := next((a for a in (address, *inside, *_conceivable(address)) if a in METADATA), None)) is not None:
        return _metadata_refusal(address, secret)
    for inner in inside:
        if (block := block_of(inner)) is not None and not _listed(inner, allow):
            return _refuse_wrapped(address, inner, block)
    listed = _listed(address, allow)
    if (block := block_of(address)) is not None and not listed:
        return Refusal(block.rule, f"{address} is {block.noun}; to call it, list it in {SETTING}")
    if scheme != "https" and not listed:
        return _plain_http(str(address))
    return None


def _judge_text(url: str, longest: int) -> Refusal | None:
    """What is wrong with a URL whatever its parts are; parsers disagree about these, so none is asked."""
    if len(url) > longest:
        return Refusal("length", f"the URL has {len(url)} characters; at most {longest} are accepted")
    if " " in url or not url.isprintable():
        return Refusal("characters", "the URL has white space or a control character in it; remove or encode it")
    if "\\" in url:
        return Refusal("characters", "the URL has a backslash in it; write / or %5C")
    return None


def _read_authority(scheme: str, authority: str) -> Target | Refusal:
    if "@" in authority:
        return Refusal("userinfo", "the URL has user information (user:password@) in it; remove it")
    match _AUTHORITY.fullmatch(authority):
        case None:
            return Refusal("host", "the host of the URL is not a name or an address")
        case found:
            host, port = found["host"].lower(), found["port"]
    if not host:
        return Refusal("host", "the URL has no host")
    if port is not None and (_PORT.fullmatch(port) is None or int(port[1:]) > 65535):
        return Refusal("port", "the port of the URL is not a number from 1 to 65535")
    number = _DEFAULT_PORTS[scheme] if port is None else int(port[1:])
    literal = _read_host(host)
    return literal if isinstance(literal, Refusal) else Target(scheme, host.strip("[]"), number, literal)


def _read_host(host: str) -> Address | Refusal | None:
    """The address that the host spells, None for a name."""
    if not host.isascii():
        return Refusal("host", "the host has non-ASCII characters; write it in its xn-- form")
    if host.startswith("["):
        return _read_ipv6(host[1:-1])
    if "%" in host:
        return Refusal("host", "the host is percent-encoded; write it out")
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _read_ipv4(host)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return Refusal("host", "the host is not a valid name: letters, digits and hyphens between single dots")
    return None


def _read_ipv4(host: str) -> IPv4Address | Refusal:
    """Only four plain decimal numbers: resolvers read 0177.1, 0x7f.1 and 2130706433 as 127.0.0.1."""
    try:
        return IPv4Address(host)
    except ValueError:
        return Refusal("spelling", "the host is an IPv4 address in an odd spelling; write it as four numbers")


def _read_ipv6(host: str) -> IPv6Address | Refusal:
    if "%" in host:
        return Refusal("zone", "the address has a zone (%…), which is for link-local addresses only; remove it")
    try:
        return IPv6Address(host)
    except ValueError:
        return Refusal("spelling", "what is in the brackets is not an IPv6 address")


def _judge_target(target: Target, allow: Sequence[Network]) -> Target | Refusal:
    if target.literal is not None:
        return judge(target.literal, scheme=target.scheme, allow=allow) or target
    if _is_localhost(target.host) and not any(a.overlaps(b) for a in allow for b in _LOOPBACK):
        advice = f"to call it, list 127.0.0.0/8 in {SETTING}"
        return Refusal("loopback", f"{target.host} is a loopback name; {advice}")
    if target.scheme == "http" and not allow:
        return _plain_http(f"the addresses of {target.host}")
    return target


def _is_localhost(host: str) -> bool:
    name = host.removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def _listed(address: Address, allow: Sequence[Network]) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any(address in network or (mapped is not None and mapped in network) for network in allow)


def _wrapped(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address can lead to."""
    if isinstance(address, IPv4Address) or int(address) <= 1:  # `::` and `::1` only look IPv4-compatible
        return
    number = int(address)
    trailing = any(address in network for network in _TRAILING)
    if trailing or (number >> 32) & _ISATAP_FIXED_BITS == _ISATAP_IDENTIFIER:
        yield _ipv4(number)
    if address in _6TO4:
        yield _ipv4(number >> 80)
    if address in _TEREDO:
        yield _ipv4(number >> 64)  # the server
        yield _ipv4(~number)  # the client, inverted
    if address in _LOCAL_NAT64:
        # Which one the gateway uses cannot be seen, so each counts, but for 0.0.0.0/8: padding, and no destination.
        yield from (inner for inner in _nat64(number, _LOCAL_NAT64.prefixlen) if int(inner) >> 24)


def _conceivable(address: Address) -> Iterator[IPv4Address]:
    """Any network may choose a NAT64 prefix of its own, which nobody else can tell from an ordinary one. What stands
    in these places of an ordinary address is chance, too rare to be a metadata address by accident."""
    if isinstance(address, IPv6Address):
        yield from _nat64(int(address), 32)


def _nat64(number: int, shortest: int) -> Iterator[IPv4Address]:
    """The places of RFC 6052, section 2.2, for prefixes of at least `shortest` bits; bits 64 to 71 hold nothing."""
    without_gap = (number >> 64) << 56 | number & (1 << 56) - 1
    for prefix in (32, 40, 48, 56, 64):
        if prefix >= shortest:
            yield _ipv4(without_gap >> 88 - prefix)
    yield _ipv4(number)


def _ipv4(number: int) -> IPv4Address:
    return IPv4Address(number & 0xFFFF_FFFF)


def _metadata_refusal(address: Address, secret: Address) -> Refusal:
    leads = "is" if address == secret else f"leads to {secret},"
    what = f"{address} {leads} a cloud metadata address"
    return Refusal("metadata", f"{what}; it is never called, whatever {SETTING} lists")


def _refuse_wrapped(address: Address, inner: IPv4Address, block: Block) -> Refusal:
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped == inner
    advice = f"to call it, list {'the latter' if mapped else 'both'} in {SETTING}"
    return Refusal(block.rule, f"{address} leads to {inner}, {block.noun}; {advice}")


def _plain_http(what: str) -> Refusal:
    advice = f"use https://, or list {what} in {SETTING}"
    return Refusal("plain-http", f"plain http:// is only for listed addresses; {advice}")
