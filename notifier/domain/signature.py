"""Signs events and checks signatures the way Standard Webhooks says, with several keys and both algorithms.

What is signed is `id.timestamp.body`. `v1` is HMAC-SHA256 with a `whsec_` secret, `v1a` is ed25519 with a
`whsk_` key. Secrets are never part of a `repr` or of an error message.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TOLERANCE = 300
"""Seconds that a signature may be old, or ahead of the receiver's clock."""

NEW_SECRET_BYTES = 32
"""Random bytes in a new secret; Standard Webhooks asks for 24 to 64."""

_SMALLEST_SECRET, _LARGEST_SECRET = 16, 128
_SEED_BYTES = 32
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A shared secret (`whsec_…`): who can verify with it can also sign."""

    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """A private key (`whsk_…`), known by its 32-byte seed; receivers need only the public half."""

    seed: bytes = field(repr=False)
    private: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Kept beside the seed because expanding it costs more than a signature.
        object.__setattr__(self, "private", Ed25519PrivateKey.from_private_bytes(self.seed))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of an ed25519 key (`whpk_…`), 32 bytes; it verifies and cannot sign."""

    raw: bytes


SigningKey = HmacKey | Ed25519Key
VerifyingKey = SigningKey | PublicKey

Reason = Literal["id", "timestamp", "too_old", "too_new", "signature", "mismatch"]


@dataclass(frozen=True, slots=True)
class Valid:
    """At least one signature was made with one of the keys, and the timestamp is recent."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why a message must not be trusted; `message` tells a person where to look and holds no secret."""

    reason: Reason
    message: str


Verdict = Valid | Invalid


def parse_secret(text: str) -> SigningKey:
    """Read a secret as configurations hold it; `ValueError` says what is wrong without quoting it."""
    if text.startswith("whsec_"):
        return _hmac_key(_decode(text, "whsec_"))
    if text.startswith("whsk_"):
        return _ed25519_key(_decode(text, "whsk_"))
    if text.startswith("whpk_"):
        raise ValueError("this is a public key (whpk_), which cannot sign; give the whsk_ key it belongs to")
    raise ValueError(
        "a signing secret starts with whsec_ (HMAC) or whsk_ (ed25519); `notifier secret new` makes one"
    )


def parse_public_key(text: str) -> PublicKey:
    """Read a `whpk_…` public key; `ValueError` says what is wrong with it."""
    if not text.startswith("whpk_"):
        raise ValueError("a public key starts with whpk_")
    raw = _decode(text, "whpk_")
    if len(raw) != _SEED_BYTES:
        raise ValueError(f"a whpk_ key holds 32 bytes in base64; this one holds {len(raw)}")
    return PublicKey(raw)


def new_secret(random_bytes: bytes) -> str:
    """Write random bytes (16 to 128, `NEW_SECRET_BYTES` recommended) as a `whsec_` secret."""
    _hmac_key(random_bytes)
    return "whsec_" + _encode(random_bytes)


def new_private_key(random_bytes: bytes) -> str:
    """Write 32 random bytes as a `whsk_` key: the seed, then the public key, as other senders expect it."""
    key = _ed25519_key(random_bytes)
    return "whsk_" + _encode(key.seed + _public_bytes(key))


def public_key(key: Ed25519Key | PublicKey) -> str:
    """The `whpk_…` form that receivers configure."""
    return "whpk_" + _encode(_public_bytes(key))


def public_jwk(key: Ed25519Key | PublicKey) -> dict[str, str]:
    """The key as a JSON Web Key (RFC 8037), with its thumbprint (RFC 7638) for `kid`."""
    x = _encode_url(_public_bytes(key))
    required = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    kid = _encode_url(hashlib.sha256(required.encode()).digest())
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA"}


def sign(keys: Sequence[SigningKey], event_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature for each key, in their order, with single spaces between.

    `timestamp` is whole seconds since the epoch. An event id with a full stop in it would let one message be
    read as another, so it is a `ValueError`, as is signing with no key.
    """
    if not keys:
        raise ValueError("an event cannot be signed without a key")
    if not event_id or "." in event_id:
        raise ValueError("an event id is not empty and has no full stop in it")
    content = _content(event_id, str(timestamp), body)
    return " ".join(_signature(key, content) for key in keys)


def verify(
    keys: Sequence[VerifyingKey],
    event_id: str,
    timestamp_header: str,
    signature_header: str,
    body: bytes,
    *,
    now: int,
    tolerance: int = TOLERANCE,
) -> Verdict:
    """Check a received message against every key; one good signature is enough, as while secrets are rotated.

    `now` and `tolerance` are seconds. Every key meets every signature whatever matched before, so the time
    taken says nothing about which one was near.
    """
    if not event_id or "." in event_id:
        return Invalid("id", "webhook-id is empty or has a full stop in it")
    if (stale := _judge_timestamp(timestamp_header, now, tolerance)) is not None:
        return stale
    signatures = list(_parse_signatures(signature_header))
    if not signatures:
        return Invalid("signature", "webhook-signature holds no well-formed v1 or v1a signature")
    content = _content(event_id, timestamp_header, body)
    matches = [_matches(key, version, given, content) for key in keys for version, given in signatures]
    if any(matches):
        return Valid()
    return _mismatch(keys, {version for version, _ in signatures})


def _hmac_key(raw: bytes) -> HmacKey:
    if not _SMALLEST_SECRET <= len(raw) <= _LARGEST_SECRET:
        raise ValueError(f"a whsec_ secret holds 16 to 128 bytes in base64; this one holds {len(raw)}")
    return HmacKey(raw)


def _ed25519_key(raw: bytes) -> Ed25519Key:
    """From a seed (32 bytes), or a seed and its public key (64 bytes) as libsodium keeps them."""
    if len(raw) not in (_SEED_BYTES, 2 * _SEED_BYTES):
        raise ValueError(
            f"a whsk_ key holds 32 bytes (seed) or 64 bytes (seed and public key); this one holds {len(raw)}"
        )
    key = Ed25519Key(raw[:_SEED_BYTES])
    if len(raw) > _SEED_BYTES and raw[_SEED_BYTES:] != _public_bytes(key):
        raise ValueError("the two halves of this whsk_ key do not belong together; copy the whole key again")
    return key


def _decode(text: str, prefix: str) -> bytes:
    encoded = text.removeprefix(prefix)
    if encoded != encoded.strip():
        raise ValueError(f"there is white space after the {prefix} value; remove it")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        # Not chained: the library's message may quote the value.
        raise ValueError(f"what follows {prefix} is not base64 with padding (A-Z a-z 0-9 + / =)") from None


def _public_bytes(key: Ed25519Key | PublicKey) -> bytes:
    match key:
        case Ed25519Key():
            return key.private.public_key().public_bytes_raw()
        case PublicKey():
            return key.raw
        case _:
            assert_never(key)


def _content(event_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{event_id}.{timestamp}.".encode("utf-8", "surrogateescape") + body


def _signature(key: SigningKey, content: bytes) -> str:
    match key:
        case HmacKey():
            return "v1," + _encode(hmac.digest(key.secret, content, "sha256"))
        case Ed25519Key():
            return "v1a," + _encode(key.private.sign(content))
        case _:
            assert_never(key)


def _judge_timestamp(header: str, now: int, tolerance: int) -> Invalid | None:
    if _DIGITS.fullmatch(header) is None:
        return Invalid("timestamp", "webhook-timestamp is not a whole number of seconds since 1970")
    age = now - int(header)
    if age > tolerance:
        return Invalid("too_old", f"webhook-timestamp is {age} s old and at most {tolerance} s are accepted")
    if age < -tolerance:
        return Invalid("too_new", f"webhook-timestamp is {-age} s ahead and at most {tolerance} s are accepted")
    return None


def _parse_signatures(header: str) -> Iterator[tuple[str, bytes]]:
    """The signatures of a version that we know; others are passed over, as the standard asks of receivers."""
    for part in header.split(" "):
        version, _, encoded = part.partition(",")
        if version not in ("v1", "v1a") or not encoded:
            continue
        try:
            yield version, base64.b64decode(encoded, validate=True)
        except ValueError:
            continue


def _matches(key: VerifyingKey, version: str, given: bytes, content: bytes) -> bool:
    match key:
        case HmacKey():
            return version == "v1" and hmac.compare_digest(hmac.digest(key.secret, content, "sha256"), given)
        case Ed25519Key() | PublicKey():
            return version == "v1a" and _ed25519_matches(_public_bytes(key), given, content)
        case _:
            assert_never(key)


def _ed25519_matches(public: bytes, given: bytes, content: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(given, content)
    except InvalidSignature:
        return False
    return True


def _mismatch(keys: Sequence[VerifyingKey], versions: set[str]) -> Invalid:
    ours = {"v1" if isinstance(key, HmacKey) else "v1a" for key in keys}
    if not ours & versions:
        return Invalid(
            "mismatch",
            f"the message is signed with {' and '.join(sorted(versions))}, and the keys given are for "
            f"{' and '.join(sorted(ours)) or 'nothing'}",
        )
    return Invalid("mismatch", "no signature fits: another secret signed it, or id, timestamp or body changed")


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _encode_url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
