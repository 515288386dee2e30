"""Sends one attempt of a delivery: a POST through the guarded HTTP client, its result as a receipt."""

from collections.abc import Mapping

from notifier.adapters.http import CHECK_SECONDS, Fault, Http
from notifier.domain.address import Refusal
from notifier.domain.delivery import Answered, Receipt, Unanswered
from notifier.domain.retry_after import parse_retry_after
from notifier.ports import Clock

READ_BYTES = 32 * 1024
"""So much of an answer is read, to leave the connection usable where that is cheap."""
KEPT_BYTES = 1024
"""So much of an answer is kept in the delivery's log."""
BODY_GRACE_SECONDS = 1.0
"""So long the rest of an answer may take once its headers have settled the attempt."""


class WebhookSender:
    """Implements the Sender and Guard ports."""

    def __init__(self, http: Http, *, timeout: float, clock: Clock) -> None:
        self._http = http
        self._timeout = timeout
        self._clock = clock

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        started = self._clock.monotonic()
        reply = await self._http.post(
            url, headers=headers, body=body, timeout=self._timeout, cap=READ_BYTES, grace=BODY_GRACE_SECONDS
        )
        duration = self._clock.monotonic() - started
        if isinstance(reply, Fault):
            return Unanswered(reply.message, duration, timed_out=reply.kind == "timeout")
        return Answered(
            http_status=reply.status,
            retry_after=parse_retry_after(reply.headers.get("retry-after"), self._clock.now()),
            response=kept(reply.body),
            duration=duration,
        )

    async def check(self, url: str) -> Refusal | None:
        return await self._http.check(url, timeout=min(self._timeout, CHECK_SECONDS))


def kept(body: bytes) -> str:
    """The start of an answer as text that every store takes. Replacing what is no UTF-8 makes it longer, so it is cut
    once more."""
    text = body[:KEPT_BYTES].decode("utf-8", "replace").replace("\x00", "")
    return text.encode()[:KEPT_BYTES].decode("utf-8", "ignore")
