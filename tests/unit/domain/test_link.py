"""Signed links to saved files: who made one, for what, and until when."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from notifier.domain.link import Links, WatchLinks, expiry, file_path, link_key, verify_link
from notifier.domain.signature import Ed25519Key, HmacKey

NOW = datetime(2026, 11, 22, 13, 33, 0, 900_000, tzinfo=UTC)
NEW, OLD, OTHER = HmacKey(b"n" * 24), Ed25519Key(b"o" * 32), HmacKey(b"x" * 24)
LINKS = Links("https://notifier.example.com/base", 3600.0, (link_key(NEW), link_key(OLD)))


def parts(link: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(link).query, strict_parsing=True)
    return query["expires"][0], query["signature"][0]


def test_a_link_is_a_url_below_the_public_one():
    """With the second of its end, and a signature that needs no encoding."""
    link = urlsplit(LINKS.to("wch_1", 2, NOW))
    assert link._replace(query="").geturl() == "https://notifier.example.com/base/v1/watches/wch_1/files/2"
    expires, signature = parts(link.geturl())
    assert expires == str(int(NOW.timestamp()) + 3600)
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32


def test_the_key_is_the_one_of_rfc_5869():
    """HKDF-SHA256 without salt, worked out by hand: another implementation can check our links. No key is the webhook
    secret itself, and none shows itself."""
    extracted = hmac.digest(bytes(32), NEW.secret, "sha256")
    expanded = hmac.digest(extracted, b"notifier: links to saved files, version 1\x01", "sha256")
    assert link_key(NEW).key == expanded
    expires, signature = parts(LINKS.to("wch_1", 2, NOW))
    signed = hmac.new(expanded, f"wch_1\n2\n{expires}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == signed
    assert repr(link_key(NEW)) == "LinkKey()"


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_each_current_secret_verifies(secret):
    """So that a link lives on while secrets are rotated, whether they are whsec_ or whsk_."""
    expires, signature = parts(Links("https://x", 60.0, (link_key(secret),)).to("wch_1", 0, NOW))
    assert verify_link(LINKS.keys, "wch_1", "0", expires, signature, now=NOW) == "valid"
    assert verify_link([link_key(OTHER)], "wch_1", "0", expires, signature, now=NOW) == "mismatch"
    assert verify_link([], "wch_1", "0", expires, signature, now=NOW) == "mismatch"


def test_a_link_ends_when_it_says():
    """At that second, and what is told of it is that time."""
    expires, signature = parts(LINKS.to("wch_1", 0, NOW))
    end = expiry(expires)
    assert end == NOW.replace(microsecond=0) + timedelta(hours=1)
    last = end - timedelta(microseconds=1)
    assert verify_link(LINKS.keys, "wch_1", "0", expires, signature, now=last) == "valid"
    assert verify_link(LINKS.keys, "wch_1", "0", expires, signature, now=end) == "expired"


@pytest.mark.parametrize(
    "change",
    [
        {"watch_id": "wch_2"},
        {"n": "1"},
        {"expires": "9999999999"},
        {"expires": ""},
        {"expires": "soon"},
        {"signature": ""},
        {"signature": "é\udcff"},
        {"watch_id": "wch_1\n0"},
    ],
)
def test_nothing_of_a_link_can_be_changed(change):
    """Another file, a later end: then it is no link of ours, and nobody is told whether it has expired."""
    expires, signature = parts(LINKS.to("wch_1", 0, NOW))
    asked = {"watch_id": "wch_1", "n": "0", "expires": expires, "signature": signature} | change
    for now in (NOW, NOW + timedelta(days=1)):
        assert verify_link(LINKS.keys, **asked, now=now) == "mismatch"


def test_an_end_that_is_no_number_is_not_one_even_if_signed():
    """What could only come from whoever holds a key breaks nothing."""
    links = Links("https://x", -NOW.timestamp() - 5, LINKS.keys)
    expires, signature = parts(links.to("wch_1", 0, NOW))
    assert expires.startswith("-")
    assert verify_link(LINKS.keys, "wch_1", "0", expires, signature, now=NOW) == "mismatch"


def test_an_id_cannot_leave_its_place_in_the_path():
    """Whatever an id holds stays one segment."""
    assert file_path("a/../b?c", 1) == "/v1/watches/a%2F..%2Fb%3Fc/files/1"


def test_links_of_one_watch_end_together():
    """At the very second that each of them says."""
    links = WatchLinks(LINKS, "wch_1", NOW)
    assert links.to(2) == LINKS.to("wch_1", 2, NOW)
    assert links.expire_at == expiry(parts(links.to(0))[0]) == expiry(parts(links.to(1))[0])
