"""Signed links: who has one needs no token for that one file."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from notifier.adapters.api.auth import FailedAttempts, too_often
from notifier.adapters.api.caller import ANYBODY
from notifier.adapters.api.problems import Problem
from notifier.domain.link import Links, expiry, verify_link
from notifier.domain.moment import rfc3339
from notifier.ports import Clock

_FILE = re.compile(r"/v1/watches/([A-Za-z0-9_-]{1,64})/files/(0|[1-9][0-9]{0,5})")
_MOST_PARAMETERS = 8


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that shows a link, each part as it came."""

    watch_id: str
    n: str
    expires: str
    signature: str


class SignedLinks:
    """Judges the links of requests that come without a token: a good one is let in as anybody, another is a 403. A
    signature that does not fit counts as a failed authentication."""

    def __init__(
        self, app: ASGIApp, links: Callable[[], Links | None], clock: Clock, failures: FailedAttempts
    ) -> None:
        self._app = app
        self._links = links
        self._clock = clock
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope) if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else None
        links = self._links() if asked is not None else None
        if asked is not None and links is not None:
            problem = self._judge(scope, links, asked)
            if problem is not None:
                await problem.response()(scope, receive, send)
                return
            scope["notifier.caller"] = ANYBODY
        await self._app(scope, receive, send)

    def _judge(self, scope: Scope, links: Links, asked: _Asked) -> Problem | None:
        now = self._clock.now()
        verdict = verify_link(links.keys, asked.watch_id, asked.n, asked.expires, asked.signature, now=now)
        match verdict:
            case "valid":
                return None
            case "expired":
                ended = rfc3339(expiry(asked.expires))
                return Problem(403, f"this link has expired at {ended}; {_ADVICE}")
            case "mismatch":
                return too_often(self._failures, scope) or Problem(
                    403, f"the signature does not fit: the link was changed, or the secrets were; {_ADVICE}"
                )


_ADVICE = "GET /v1/watches/{id} shows a fresh one to those with a token, and with a token no link is needed"


def _asked(scope: Scope) -> _Asked | None:
    """The link of a request, unless it has a token or names no file, or is signed not at all."""
    found = _FILE.fullmatch(scope["path"])
    if found is None or any(name == b"authorization" for name, _ in scope["headers"]):
        return None
    try:
        given = parse_qsl(scope["query_string"].decode("latin-1"), True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        given = []
    values = {name: [value for known, value in given if known == name] for name in ("expires", "signature")}
    if not values["signature"]:
        return None
    # One given twice is none of ours: which of them counts must not be a question.
    expires, signature = (one[0] if len(one) == 1 else "" for one in (values["expires"], values["signature"]))
    return _Asked(found[1], found[2], expires, signature)
