"""Our signatures and other people's: what one side signs, the other verifies."""

import asyncio
import base64
import json
from datetime import UTC, datetime

import jwt
import pytest
import standardwebhooks
import svix
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.adapters.clock import SystemClock
from notifier.adapters.providers import SignedToken
from notifier.domain.signature import Ed25519Key, HmacKey, Valid, parse_secret, sign, verify
from tests.thoroughness import examples

ASYMMETRIC = Ed25519Key(bytes(range(32)))
texts = st.text(st.characters(codec="utf-8"), max_size=60)


def whsec(raw: bytes) -> str:
    return "whsec_" + base64.b64encode(raw).decode()


@settings(max_examples=examples(25), deadline=None)
@given(body=texts, secrets=st.lists(st.binary(min_size=16, max_size=128), min_size=1, max_size=3), data=st.data())
def test_foreign_libraries_verify_what_we_sign(body: str, secrets: list[bytes], data: st.DataObject) -> None:
    """standardwebhooks and svix accept our header for any of the HMAC secrets, whatever else signed beside it."""
    raw, now = json.dumps(body), int(datetime.now(UTC).timestamp())
    keys = data.draw(st.permutations([*map(HmacKey, secrets), ASYMMETRIC]))
    signature = sign(keys, "evt_1", now, raw.encode())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    for secret in secrets:
        for library in (standardwebhooks, svix):
            verifier = library.Webhook(whsec(secret))
            verifier.verify(raw, headers)  # raises when it does not fit
            with pytest.raises(library.webhooks.WebhookVerificationError):
                verifier.verify(raw + " ", headers)


@settings(max_examples=examples(25), deadline=None)
@given(secret=st.binary(min_size=24, max_size=64), body=texts)
def test_we_verify_what_foreign_libraries_sign(secret: bytes, body: str) -> None:
    """A header made by standardwebhooks is valid here."""
    at = 1614265330
    signature = standardwebhooks.Webhook(whsec(secret)).sign("msg_1", datetime.fromtimestamp(at, UTC), body)
    verdict = verify([parse_secret(whsec(secret))], "msg_1", str(at), signature, body.encode(), now=at)
    assert verdict == Valid()


@settings(max_examples=examples(25), deadline=None)
@given(issuer=texts, secret=st.text(st.characters(codec="utf-8"), min_size=32, max_size=80))
def test_a_foreign_library_accepts_the_tokens_that_we_sign_for_providers(issuer: str, secret: str) -> None:
    """PyJWT reads the claims with the same secret, within the token's time, and refuses it with another one."""
    clock = SystemClock()
    sent = asyncio.run(SignedToken(issuer, secret, ttl=60.0, clock=clock, learned=lambda _: None).now())
    scheme, _, token = sent.headers["authorization"].partition(" ")
    claims = jwt.decode(token, secret, algorithms=["HS256"], options={"require": ["iss", "exp", "nbf"]})
    now = int(clock.now().timestamp())
    assert (scheme, claims["iss"], claims["exp"] - claims["nbf"]) == ("Bearer", issuer, 65)
    assert abs(claims["exp"] - now - 60) <= 5
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, secret + "x", algorithms=["HS256"])
