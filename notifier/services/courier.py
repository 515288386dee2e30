"""One HTTP try: sign, post, and tell the log what came of it."""

import structlog

from notifier.domain.delivery import Attempt, Delivery, Receipt
from notifier.domain.moment import rfc3339
from notifier.domain.receiver import Receivers, without_query
from notifier.domain.signature import sign
from notifier.ports import AttemptMeter, Clock, Sender

log = structlog.get_logger()


class Courier:
    """Posts events to receivers, each signed with the secrets of its URL at the time of the attempt."""

    def __init__(
        self, receivers: Receivers, *, sender: Sender, clock: Clock, meter: AttemptMeter, user_agent: str
    ) -> None:
        self.receivers = receivers
        self.sender = sender
        self._clock = clock
        self._meter = meter
        self._user_agent = user_agent

    async def post(self, event_id: str, url: str, body: bytes) -> Receipt:
        receiver = self.receivers.at(url)
        timestamp = int(self._clock.now().timestamp())
        headers = {
            **receiver.headers,
            "content-type": "application/json",
            "user-agent": self._user_agent,
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(receiver.keys, event_id, timestamp, body),
        }
        return await self.sender.post(url, headers, body)

    def report(self, delivery: Delivery, attempt: Attempt) -> None:
        """One wide line for each attempt, and one for a delivery that is exhausted with it."""
        self._meter.attempted(attempt.outcome, duration=attempt.duration)
        if attempt.outcome == "delivered" and delivery.attempts == 1 + delivery.failures + delivery.deferrals:
            self._meter.delivered((self._clock.now() - delivery.created_at).total_seconds())
        say = log.info if attempt.outcome == "delivered" else log.warning
        say(
            "delivery.attempted",
            event_id=delivery.id,
            watch_id=delivery.watch_id,
            type=delivery.type,
            url=without_query(delivery.callback_url),
            outcome=attempt.outcome,
            http_status=attempt.http_status,
            error=attempt.error,
            attempt=delivery.attempts,
            duration_ms=round(attempt.duration * 1000, 1),
            next_attempt_at=None if delivery.next_attempt_at is None else rfc3339(delivery.next_attempt_at),
        )
        if delivery.state == "exhausted":
            _tell_exhausted(delivery)


def _tell_exhausted(delivery: Delivery) -> None:
    log.error(
        "delivery.exhausted",
        event_id=delivery.id,
        watch_id=delivery.watch_id,
        url=without_query(delivery.callback_url),
        reason=delivery.reason,
        attempts=delivery.attempts,
        hint=f"kept; when the receiver is well again: notifier delivery redeliver {delivery.id}",
    )
