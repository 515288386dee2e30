"""Signed links: a saved file can be fetched without a token by whoever was given the link, until it expires."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from notifier.domain.signature import HmacKey, SigningKey

_PURPOSE = b"notifier: links to saved files, version 1"
"""Sets these keys apart from all else that a secret signs (RFC 5869, section 3.2)."""
_SECONDS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)

LinkVerdict: TypeAlias = Literal["valid", "expired", "mismatch"]


@dataclass(frozen=True, slots=True)
class LinkKey:
    """Derived from one webhook secret: who sees a link learns nothing of that."""

    key: bytes = field(repr=False)


def link_key(secret: SigningKey) -> LinkKey:
    """The key that a webhook secret is good for here (HKDF-SHA256, RFC 5869)."""
    raw = secret.secret if isinstance(secret, HmacKey) else secret.seed
    return LinkKey(HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE).derive(raw))


def file_path(watch_id: str, n: int) -> str:
    """Where the intake serves the `n`-th file of a watch."""
    return f"/v1/watches/{quote(watch_id, safe='')}/files/{n}"


@dataclass(frozen=True, slots=True)
class Links:
    """What links are made with: they begin with `public_url`, live for `lifetime` seconds, and the newest of `keys`
    (the first) signs."""

    public_url: str
    lifetime: float
    keys: tuple[LinkKey, ...]

    def to(self, watch_id: str, n: int, now: datetime) -> str:
        expires = str(int(now.timestamp() + self.lifetime))
        signature = _signature(self.keys[0], watch_id, str(n), expires)
        return f"{self.public_url}{file_path(watch_id, n)}?expires={expires}&signature={signature}"


@dataclass(frozen=True, slots=True)
class WatchLinks:
    """Links to the files of one watch, made at one moment: they live and end together."""

    links: Links
    watch_id: str
    now: datetime

    def to(self, n: int) -> str:
        return self.links.to(self.watch_id, n, self.now)

    @property
    def expire_at(self) -> datetime:
        """Until when they live: whole seconds, as in the links."""
        return datetime.fromtimestamp(int(self.now.timestamp() + self.links.lifetime), UTC)


def verify_link(
    keys: Sequence[LinkKey], watch_id: str, n: str, expires: str, signature: str, *, now: datetime
) -> LinkVerdict:
    """Whether one of the keys made this link, and it still lives; all but `keys` and `now` as they stand in its URL.

    Every key is tried whatever matched before, and none is named: the time taken says nothing about which was near.
    `expired` is told only to who has a link of ours.
    """
    given = signature.encode("utf-8", "replace")
    matches = [hmac.compare_digest(_signature(key, watch_id, n, expires).encode(), given) for key in keys]
    if not any(matches) or not _SECONDS.fullmatch(expires):
        return "mismatch"
    return "valid" if now.timestamp() < int(expires) else "expired"


def expiry(expires: str) -> datetime:
    """When a link ends that `verify_link` knew."""
    return datetime.fromtimestamp(int(expires), UTC)


def _signature(key: LinkKey, watch_id: str, n: str, expires: str) -> str:
    """HMAC-SHA256 in base64 for URLs. Each part in a line of its own, which no part can hold, so that no link can be
    read as another; the method is left out, for GET and HEAD ask for the same."""
    text = "\n".join((quote(watch_id, safe=""), quote(n, safe=""), quote(expires, safe="")))
    digest = hmac.digest(key.key, text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
