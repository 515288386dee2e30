import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.signature import (
    Ed25519Key,
    HmacKey,
    Invalid,
    PublicKey,
    Valid,
    new_private_key,
    new_secret,
    parse_public_key,
    parse_secret,
    public_jwk,
    public_key,
    sign,
    verify,
)
from tests.thoroughness import examples

# Signatures that other senders make for this message with these keys.
EVENT, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
WHSK = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
WHPK = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="

HMAC, ED25519 = parse_secret(WHSEC), parse_secret(WHSK)
OTHER = HmacKey(b"x" * 32)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def check(keys, *, event=EVENT, timestamp=str(AT), signature=V1, body=BODY, now=AT, tolerance=300):
    return verify(keys, event, timestamp, signature, body, now=now, tolerance=tolerance)


@pytest.mark.parametrize(("secret", "signature"), [(WHSEC, V1), (WHSK, V1A)])
def test_a_signature_is_the_one_that_other_senders_make(secret, signature):
    """The same key and message give the same header value as in other implementations of Standard Webhooks."""
    assert sign([parse_secret(secret)], EVENT, AT, BODY) == signature


def test_several_keys_sign_in_order_with_single_spaces():
    """Foreign verifiers split the header at single spaces; the newest secret comes first."""
    assert sign([ED25519, HMAC], EVENT, AT, BODY) == f"{V1A} {V1}"


@pytest.mark.parametrize("event_id", ["", "evt.1"])
def test_an_ambiguous_event_id_is_not_signed(event_id):
    """A full stop in the id would let one signed content be split in two ways."""
    with pytest.raises(ValueError, match="full stop"):
        sign([HMAC], event_id, AT, BODY)


def test_nothing_is_signed_without_a_key():
    """A header without a signature is never made, as receivers would see an unsigned event."""
    with pytest.raises(ValueError, match="without a key"):
        sign([], EVENT, AT, BODY)


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), body=st.binary(max_size=60))
def test_a_plain_ed25519_implementation_verifies_what_we_sign(seed, body):
    """A v1a signature is a bare ed25519 signature of id.timestamp.body under the published public key."""
    key = Ed25519Key(seed)
    version, _, encoded = sign([key], "evt_1", AT, body).partition(",")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key(key).removeprefix("whpk_")))
    assert version == "v1a"
    public.verify(base64.b64decode(encoded), f"evt_1.{AT}.".encode() + body)


@pytest.mark.parametrize("keys", [[HMAC], [OTHER, HMAC], [ED25519], [PublicKey(base64.b64decode(WHPK[5:]))]])
@pytest.mark.parametrize("signature", [f"{V1} {V1A}", f"{V1A} {V1}", f"v2,zzzz {V1A} v1,AAAA {V1}"])
def test_one_good_signature_is_enough(keys, signature):
    """While secrets are rotated, any of the keys may match any of the signatures, in any order."""
    assert check(keys, signature=signature) == Valid()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": BODY + b" "}, "mismatch"),
        ({"event": "msg_other"}, "mismatch"),
        ({"timestamp": str(AT + 1)}, "mismatch"),
        ({"signature": V1.replace("g0", "g1")}, "mismatch"),
        ({"signature": V1A}, "mismatch"),
        ({"signature": ""}, "signature"),
        ({"signature": "v1,"}, "signature"),
        ({"signature": "v1,AAAA"}, "mismatch"),
        ({"signature": V1.replace(",", ":")}, "signature"),
        ({"signature": "v1,not*base64"}, "signature"),
        ({"signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE"}, "signature"),
        ({"signature": "v1,é"}, "signature"),
        ({"event": ""}, "id"),
        ({"event": "msg.1"}, "id"),
        ({"timestamp": ""}, "timestamp"),
        ({"timestamp": f"{AT}.0"}, "timestamp"),
        ({"timestamp": f" {AT}"}, "timestamp"),
        ({"timestamp": "-1"}, "timestamp"),
        ({"timestamp": "٣"}, "timestamp"),
        ({"timestamp": "9" * 5000}, "timestamp"),
        ({"timestamp": f"{AT}000"}, "too_new"),
        ({"now": AT + 301}, "too_old"),
        ({"now": AT - 301}, "too_new"),
        ({"now": AT + 11, "tolerance": 10}, "too_old"),
    ],
)
def test_what_is_wrong_is_invalid_and_says_why(change, reason):
    """Each part of the message is covered; malformed headers are a verdict, never an exception."""
    verdict = check([HMAC], **change)
    assert isinstance(verdict, Invalid)
    assert verdict.reason == reason


@pytest.mark.parametrize("now", [AT - 300, AT + 300])
def test_the_tolerance_is_inclusive(now):
    """A message of exactly the tolerated age is valid, on either side."""
    assert check([HMAC], now=now) == Valid()


@pytest.mark.parametrize("encoded", ["AAAA", b64(bytes(64)), b64(bytes(63))])
def test_a_bad_ed25519_signature_is_invalid(encoded):
    """Signatures of a wrong length are no match, not an error."""
    assert isinstance(check([ED25519], signature=f"v1a,{encoded}"), Invalid)


def test_a_mismatch_of_algorithms_is_named():
    """With a whpk_ key and a v1 signature the reader learns that the kinds differ, not only that nothing fits."""
    verdict = check([parse_public_key(WHPK)], signature=V1)
    assert isinstance(verdict, Invalid)
    assert "v1" in verdict.message
    assert "v1a" in verdict.message


@pytest.mark.parametrize(
    ("key", "mislabelled"), [(HMAC, V1.replace("v1,", "v1a,")), (ED25519, V1A.replace("v1a,", "v1,"))]
)
def test_a_signature_counts_only_under_its_own_version(key, mislabelled):
    """A receiver must not accept one algorithm's bytes under the other's name."""
    assert isinstance(check([key], signature=mislabelled), Invalid)


def test_without_keys_nothing_is_valid():
    """An empty list of keys verifies nothing."""
    assert isinstance(check([]), Invalid)


def test_both_forms_of_a_private_key_are_one_key():
    """A whsk_ key may be the seed alone, or the seed and the public key."""
    seed = base64.b64decode(WHSK.removeprefix("whsk_"))[:32]
    assert parse_secret("whsk_" + b64(seed)) == ED25519
    assert public_key(ED25519) == WHPK
    assert parse_public_key(WHPK) == PublicKey(base64.b64decode(WHPK[5:]))


PLANTED = b64(b"planted-secret-planted-secret")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "starts with whsec_"),
        (PLANTED, "starts with whsec_"),
        (f"WHSEC_{PLANTED}", "starts with whsec_"),
        (f"whpk_{PLANTED}", "public key"),
        (f"whsec_{PLANTED}\n", "white space"),
        (f"whsec_{PLANTED[:-1]}", "padding"),
        (f"whsec_{PLANTED[:8]}-{PLANTED[9:]}", "padding"),
        (f"whsec_{PLANTED[:8]}é{PLANTED[9:]}", "padding"),
        (f"whsec_{b64(b'planted-secret!')}", "holds 15"),
        (f"whsec_{b64(b'planted-secret' * 10)}", "holds 140"),
        (f"whsk_{PLANTED}", "holds 29"),
        (f"whsk_{b64(b'planted!' * 8)}", "do not belong together"),
    ],
)
def test_a_wrong_secret_is_explained_without_being_shown(text, says):
    """The message says what would be right, and neither it nor a chained exception quotes the value."""
    with pytest.raises(ValueError, match=says) as caught:
        parse_secret(text)
    shown = repr(caught.value)
    assert "planted" not in shown
    assert not any(text[at : at + 8] in shown for at in range(6, len(text) - 8) if len(text) > 16)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "says"), [(WHSK, "starts with whpk_"), ("whpk_AAAA", "holds 3"), ("whpk_*", "padding")]
)
def test_a_wrong_public_key_is_explained(text, says):
    """A public key is 32 bytes in base64 after whpk_."""
    with pytest.raises(ValueError, match=says):
        parse_public_key(text)


@pytest.mark.parametrize("key", [HMAC, ED25519])
def test_a_key_does_not_show_itself(key):
    """What ends up in a log or a traceback holds no key."""
    for text in (repr(key), str(key), f"{[key]}"):
        assert text.strip("[]") in {"HmacKey()", "Ed25519Key()"}


def test_new_secrets_are_made_of_the_given_bytes():
    """Randomness comes from the caller; what is made can be read again."""
    assert parse_secret(new_secret(bytes(range(32)))) == HmacKey(bytes(range(32)))
    made = new_private_key(bytes(range(32)))
    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
    assert base64.b64decode(made.removeprefix("whsk_")) == bytes(range(32)) + public
    assert parse_secret(made) == Ed25519Key(bytes(range(32)))


def test_too_little_randomness_is_refused():
    """A secret under 16 bytes can be guessed."""
    with pytest.raises(ValueError, match="16 to 128"):
        new_secret(b"short")


def test_the_json_web_key_is_that_of_the_standard():
    """Key and thumbprint are the example of RFC 8037, appendix A."""
    raw = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert public_jwk(PublicKey(raw)) == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "use": "sig",
        "alg": "EdDSA",
    }
    assert "d" not in public_jwk(ED25519)
