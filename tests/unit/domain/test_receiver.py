"""Which receiver a callback URL is."""

from notifier.domain.event import EVENT_TYPES
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.signature import HmacKey

OURS = HmacKey(b"o" * 32)
THEIRS = HmacKey(b"t" * 32)


def test_an_endpoint_is_found_by_its_exact_url():
    """Its own secrets, headers and events hold for that URL and no other."""
    endpoint = Receiver((THEIRS,), {"X-Env": "production"}, frozenset({"task.failed"}))
    receivers = Receivers(Receiver((OURS,)), {"https://a.example/hook": endpoint})
    assert receivers.at("https://a.example/hook") is endpoint
    for other in ("https://a.example/hook/", "https://a.example/hook?x=1", "https://A.example/hook"):
        assert receivers.at(other).keys == (OURS,)


def test_a_receiver_wants_every_event_unless_it_says_otherwise():
    """By default nothing is held back and nothing is added."""
    assert Receiver((OURS,)).events == frozenset(EVENT_TYPES)
    assert Receiver((OURS,)).headers == {}
