"""What an endpoint is, and what a change makes of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notifier.domain.endpoint import Change, Endpoint, Terms, changed, declared, receiver, rotated
from notifier.domain.signature import Ed25519Key, HmacKey, new_private_key, new_secret, parse_secret

T0 = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
LATER = T0 + timedelta(minutes=5)
FRESH = b"f" * 32
OLD, OLDER = new_secret(b"o" * 32), new_secret(b"p" * 32)
TERMS = Terms((OLD, OLDER), {"X-Env": "test", "Authorization": "Bearer pass-1"}, ("task.failed",), 2.0, 3)
ENDPOINT = Endpoint("ep_1", "https://a.example/hook", TERMS, number=7, created_at=T0, updated_at=T0)


def after(change):
    return changed(ENDPOINT, change, random_bytes=FRESH, now=LATER)


def test_neither_secrets_nor_header_values_are_in_a_repr():
    """Whatever prints an endpoint, what was asked for it, or what the dispatcher makes of it."""
    change = Change(secrets=(OLD,), headers={"Authorization": "Bearer pass-1"})
    for shown in map(repr, (ENDPOINT, TERMS, change, receiver(TERMS))):
        assert OLD not in shown
        assert "pass-1" not in shown


def test_an_endpoint_is_a_receiver():
    """Its keys in their order, its headers, events and limits."""
    found = receiver(TERMS)
    assert found.keys == (HmacKey(b"o" * 32), HmacKey(b"p" * 32))
    assert (dict(found.headers), found.events) == (dict(TERMS.headers), {"task.failed"})
    assert (found.rate, found.concurrency) == (2.0, 3)


def test_an_endpoint_of_the_configuration_has_the_same_id_after_every_start():
    """It follows from the URL; nobody knows when it was created."""
    one, again, other = declared("https://a/", TERMS), declared("https://a/", Terms()), declared("https://b/", TERMS)
    assert one.id == again.id != other.id
    assert (one.id[:3], len(one.id)) == ("ep_", len("ep_") + 24)
    assert (one.source, one.number, one.created_at, one.updated_at) == ("config", 0, None, None)


@pytest.mark.parametrize(
    ("change", "terms"),
    [
        (Change(secrets=(OLDER,)), {"secrets": (OLDER,)}),
        (Change(events=("task.completed",)), {"events": ("task.completed",)}),
        (Change(rate=9.0), {"rate": 9.0}),
        (Change(rate=None), {"rate": None}),
        (Change(concurrency=9), {"concurrency": 9}),
        (Change(concurrency=None), {"concurrency": None}),
        (Change(headers={"X-New": "1"}), {"headers": {**TERMS.headers, "X-New": "1"}}),
        (Change(headers={"x-env": "other"}), {"headers": {"Authorization": "Bearer pass-1", "x-env": "other"}}),
        (Change(headers={"AUTHORIZATION": None, "X-Gone": None}), {"headers": {"X-Env": "test"}}),
        (Change(headers=None), {"headers": {}}),
    ],
)
def test_only_what_is_named_changes(change, terms):
    """None resets a limit; headers change one by one, whatever their case, and only None removes them all."""
    assert after(change) == replace(ENDPOINT, terms=replace(TERMS, **terms), updated_at=LATER)


@pytest.mark.parametrize(
    "change", [Change(), Change(rate=2.0), Change(headers={"X-Env": "test"}), Change(events=("task.failed",))]
)
def test_a_change_to_what_is_changes_nothing(change):
    """Not the time of the last change either."""
    assert after(change) is ENDPOINT


def test_rotating_keeps_the_newest_secret():
    """A new one before it, older ones gone: receivers have until the next rotation to take it over."""
    assert after(Change(rotate=True)).terms.secrets == (new_secret(FRESH), OLD)


def test_a_rotated_secret_is_of_the_same_kind():
    """Who verifies with a public key gets another key pair."""
    key = new_private_key(b"k" * 32)
    new, kept = rotated((key, OLD), FRESH)
    assert kept == key
    assert parse_secret(new) == Ed25519Key(FRESH)
