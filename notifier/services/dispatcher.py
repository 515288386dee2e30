"""One attempt: sign, post, settle, save. Slow receivers hold up nobody else: every host has its own lane."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from notifier.domain.address import Refusal
from notifier.domain.delivery import (
    Answered,
    Attempt,
    Delivery,
    Receipt,
    RetrySchedule,
    Unanswered,
    new_delivery,
    settle,
)
from notifier.domain.event import Event, announce, announce_test, event_type
from notifier.domain.moment import rfc3339
from notifier.domain.pace import Lanes, Turn
from notifier.domain.receiver import Receivers, lane_of, without_query
from notifier.domain.signature import sign
from notifier.domain.task import Task
from notifier.domain.watch import Watch
from notifier.ports import (
    Alarms,
    AttemptMeter,
    Chance,
    Clock,
    Crew,
    DeliveryStore,
    Guard,
    Sender,
    StoreUnavailableError,
)

log = structlog.get_logger()

SAVE_AGAIN_SECONDS = 1.0
AFTER_FAULT_SECONDS = 60.0
STUCK_SECONDS = 5.0
PORTION = 500
MAX_FRESH = 1000
"""How many deliveries are kept in memory while they wait for their first attempt."""


@dataclass(frozen=True, slots=True)
class DispatchPolicy:
    """What a reload can change: who signs with what, when to retry, and how many attempts at once."""

    receivers: Receivers
    schedule: RetrySchedule
    concurrency: int
    per_host: int


class Dispatcher:
    def __init__(
        self,
        policy: DispatchPolicy,
        *,
        store: DeliveryStore,
        sender: Sender,
        guard: Guard,
        alarms: Alarms,
        crew: Crew,
        clock: Clock,
        chance: Chance,
        meter: AttemptMeter,
        user_agent: str,
    ) -> None:
        self._policy = policy
        self._store = store
        self._sender = sender
        self._guard = guard
        self._alarms = alarms
        self._crew = crew
        self._clock = clock
        self._chance = chance
        self._meter = meter
        self._user_agent = user_agent
        self._lanes = Lanes[str](concurrency=policy.concurrency, per_lane=policy.per_host)
        self._fresh: dict[str, Delivery] = {}
        self._unsaved: dict[str, tuple[Delivery, Attempt]] = {}
        self._readable = True
        self._closed = False

    def configure(self, policy: DispatchPolicy, sender: Sender, guard: Guard) -> None:
        """Another policy from now on; attempts in flight finish under the old one."""
        self._policy, self._sender, self._guard = policy, sender, guard
        self._lanes.change(concurrency=policy.concurrency, per_lane=policy.per_host)
        self._pump()

    async def start(self) -> None:
        """Take up every pending delivery of the store."""
        now = self._clock.now()
        for number, waiting in enumerate(await self._store.waiting()):
            if number % PORTION == 0:
                await asyncio.sleep(0)  # a full store must not make the loop deaf
            lane = lane_of(waiting.callback_url)
            if waiting.next_attempt_at <= now:
                self._lanes.join(lane, waiting.id, self._clock.monotonic())
            else:
                self._alarms.ring(waiting.id, lane, waiting.next_attempt_at)
        self._pump()

    # What is owed

    def owe(self, task: Task, watch: Watch) -> Event | None:
        """The event that an ended task owes to a watch; None if its endpoint does not want that type."""
        wanted = self._policy.receivers.at(watch.callback_url).events
        if task.end is None or event_type(task.end) not in wanted:
            return None
        return announce(task, watch, self._chance.new_id("evt_"))

    def accept(self, owed: Sequence[Delivery]) -> None:
        """New deliveries, committed in the store: attempt them as soon as their lanes allow."""
        for delivery in owed:
            self._meter.announced(delivery.type)
        self._line_up(owed)

    def _line_up(self, owed: Sequence[Delivery]) -> None:
        now = self._clock.monotonic()
        for delivery in owed:
            joined = self._lanes.join(lane_of(delivery.callback_url), delivery.id, now)
            if joined and len(self._fresh) < MAX_FRESH:  # the others are read again when it is their turn
                self._fresh[delivery.id] = delivery
        self._pump()

    def due(self, delivery_id: str, lane: str) -> None:
        """A delivery's time has come: stand in its lane, or save at last an attempt that the store did not take."""
        unsaved = self._unsaved.pop(delivery_id, None)
        if unsaved is not None:
            self._crew.spawn(self._save(*unsaved, again=True))
        elif not self._closed and self._lanes.join(lane, delivery_id, self._clock.monotonic()):
            self._pump()

    async def redeliver(self, delivery_id: str, *, by: str | None = None) -> bool:
        """Send the same event once more, with a fresh schedule; False if it is pending or unknown. `by` names who
        asked, for the log."""
        delivery = await self._store.redeliver(delivery_id, self._clock.now())
        if delivery is None:
            return False
        log.info("delivery.redelivered", event_id=delivery.id, watch_id=delivery.watch_id, by=by)
        self._line_up([delivery])
        return True

    # One attempt

    def _pump(self) -> None:
        while not self._closed and (taken := self._lanes.take(self._clock.monotonic())) is not None:
            self._crew.spawn(self._take_turn(*taken))

    async def _take_turn(self, lane: str, turn: Turn[str]) -> None:
        settled = None
        try:
            delivery = await self._find(turn.key, lane)
            if delivery is not None and delivery.state == "pending":
                settled = await self._attempt(delivery, lane)
        except Exception:  # a fault of ours: the delivery is still owed
            self._alarms.ring(turn.key, lane, self._clock.now() + timedelta(seconds=AFTER_FAULT_SECONDS))
            raise
        finally:
            self._lanes.leave(lane, turn.key)
            self._pump()
        if settled is not None:
            await self._save(*settled)

    async def _find(self, delivery_id: str, lane: str) -> Delivery | None:
        fresh = self._fresh.pop(delivery_id, None)
        if fresh is not None:
            return fresh
        try:
            delivery = await self._store.delivery(delivery_id)
        except StoreUnavailableError as error:
            say = log.error if self._readable else log.debug  # once for an outage, not for each delivery in it
            say("delivery.unread", event_id=delivery_id, error=str(error))
            self._readable = False
            self._alarms.ring(delivery_id, lane, self._soon())
            return None
        self._readable = True
        return delivery

    async def _attempt(self, delivery: Delivery, lane: str) -> tuple[Delivery, Attempt]:
        receipt = await self._post(delivery.id, delivery.callback_url, delivery.body)
        if isinstance(receipt, Answered) or receipt.timed_out:  # a refused connection says neither
            self._lanes.narrow(lane, on=isinstance(receipt, Unanswered))
        settled, attempt = settle(
            delivery,
            receipt,
            ended_at=self._clock.now(),
            schedule=self._policy.schedule,
            spread=self._chance.spread(),
        )
        self._report(settled, attempt)
        return settled, attempt

    async def _post(self, event_id: str, url: str, body: bytes) -> Receipt:
        receiver = self._policy.receivers.at(url)
        timestamp = int(self._clock.now().timestamp())
        headers = {
            **receiver.headers,
            "content-type": "application/json",
            "user-agent": self._user_agent,
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(receiver.keys, event_id, timestamp, body),
        }
        return await self._sender.post(url, headers, body)

    async def _save(self, delivery: Delivery, attempt: Attempt, *, again: bool = False) -> None:
        """Save an attempt. If the store does not take it, it is kept, and not made again, until it does; the log is
        told the first time."""
        lane = lane_of(delivery.callback_url)
        try:
            await self._store.settle(delivery, attempt)
        except StoreUnavailableError as error:
            say = log.debug if again else log.error
            say("delivery.unsaved", event_id=delivery.id, error=str(error))
            self._unsaved[delivery.id] = (delivery, attempt)
            self._alarms.ring(delivery.id, lane, self._soon())
            return
        except Exception:  # a fault of ours: what the receiver said must not be forgotten
            self._unsaved[delivery.id] = (delivery, attempt)
            self._alarms.ring(delivery.id, lane, self._clock.now() + timedelta(seconds=AFTER_FAULT_SECONDS))
            raise
        if delivery.next_attempt_at is not None:
            self._alarms.ring(delivery.id, lane, delivery.next_attempt_at)

    def _soon(self) -> datetime:
        return self._clock.now() + timedelta(seconds=SAVE_AGAIN_SECONDS)

    def _report(self, delivery: Delivery, attempt: Attempt) -> None:
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
            log.error(
                "delivery.exhausted",
                event_id=delivery.id,
                watch_id=delivery.watch_id,
                url=without_query(delivery.callback_url),
                reason=delivery.reason,
                attempts=delivery.attempts,
                hint=f"kept; when the receiver is well again: notifier delivery redeliver {delivery.id}",
            )

    # Trying a receiver out

    async def test(self, url: str) -> Attempt | Refusal:
        """Send one `notifier.test` event through the same guard and signer; it is sent once and not kept."""
        refusal = await self._guard.check(url)
        if refusal is not None:
            return refusal
        now = self._clock.now()
        event_id = self._chance.new_id("evt_")
        receipt = await self._post(event_id, url, announce_test(now))
        trial = new_delivery(Event(event_id, "notifier.test", b""), watch_id="", callback_url=url, now=now)
        _, attempt = settle(trial, receipt, ended_at=self._clock.now(), schedule=RetrySchedule(()), spread=0.0)
        return replace(attempt, outcome="failed") if attempt.outcome == "deferred" else attempt

    # Readiness, and the stop

    def stuck(self) -> bool:
        """Deliveries are due, nothing is being attempted, and that has been so for a while: a fault of ours."""
        oldest = self._lanes.oldest()
        return oldest is not None and self._lanes.busy == 0 and self._clock.monotonic() - oldest > STUCK_SECONDS

    def close(self) -> None:
        """Start no more attempts; those in flight finish."""
        self._closed = True

    async def flush(self) -> None:
        """At the stop: one more try to save attempts that the store did not take."""
        while self._unsaved:
            _, unsaved = self._unsaved.popitem()
            await self._store.settle(*unsaved)
