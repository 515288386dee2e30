"""A delivery: the obligation to bring one event to one URL, and what each attempt makes of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, assert_never, get_args

from notifier.domain.event import Event

MAX_DEFERRALS = 20
"""How often a receiver may postpone one delivery with Retry-After before that counts as a failed attempt."""
MAX_DEFERRAL_SECONDS = 24 * 3600.0
MIN_DEFERRAL_SECONDS = 1.0
"""`Retry-After: 0` still waits this long: a receiver that is overloaded is not asked again at once."""
KEEPS_SECONDS = 60.0
"""How long until a retry a node still keeps the delivery for itself; what comes later is for whoever is free then."""

DeliveryState: TypeAlias = Literal["pending", "delivered", "exhausted"]
ExhaustedReason: TypeAlias = Literal["schedule", "gone"]
AttemptOutcome: TypeAlias = Literal["delivered", "failed", "deferred"]
ATTEMPT_OUTCOMES: tuple[AttemptOutcome, ...] = get_args(AttemptOutcome)

DELIVERY_STATES: tuple[DeliveryState, ...] = ("pending", "delivered", "exhausted")


@dataclass(frozen=True, slots=True)
class Delivery:
    """`attempts` counts every HTTP try, `failures` those that used up the schedule, `deferrals` the waits that the
    receiver asked for; a redelivery sets the last two back to zero. While it is `held_until` then, its body may still
    change and nothing is sent; `urls_at`, `urls_expire_at` and `links_expire_at` are the event's. One that is not
    `ours` was owed while this node had no room for it: whichever node is free attempts it."""

    id: str
    watch_id: str
    type: str
    callback_url: str
    body: bytes
    created_at: datetime
    state: DeliveryState = "pending"
    reason: ExhaustedReason | None = None
    attempts: int = 0
    failures: int = 0
    deferrals: int = 0
    next_attempt_at: datetime | None = None
    held_until: datetime | None = None
    urls_at: datetime | None = None
    urls_expire_at: datetime | None = None
    links_expire_at: datetime | None = None
    ours: bool = True


def new_delivery(event: Event, *, watch_id: str, callback_url: str, now: datetime) -> Delivery:
    """The obligation that an event brings: due at once, or when it is no longer held. Its id is the event's, which is
    the `webhook-id`."""
    return Delivery(
        id=event.id,
        watch_id=watch_id,
        type=event.type,
        callback_url=callback_url,
        body=event.body,
        created_at=now,
        next_attempt_at=event.held_until or now,
        held_until=event.held_until,
        urls_at=event.urls_at,
        urls_expire_at=event.urls_expire_at,
        links_expire_at=event.links_expire_at,
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """The receiver answered: `retry_after` in seconds if it said so, `response` the start of its body."""

    http_status: int
    retry_after: float | None
    response: str
    duration: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer: `error` says why, `timed_out` that the deadline ran out."""

    error: str
    duration: float
    timed_out: bool = False


Receipt: TypeAlias = Answered | Unanswered


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP try, as the log keeps it. `duration` is in seconds."""

    at: datetime
    outcome: AttemptOutcome
    http_status: int | None
    error: str | None
    duration: float
    response: str | None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery as it is shown, with its latest attempts (oldest first) where they were asked for."""

    delivery: Delivery
    log: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """Seconds to wait after the first, second … failed attempt: n waits allow 1 + n attempts."""

    waits: tuple[float, ...]

    def wait(self, failures: int, spread: float) -> float | None:
        """Seconds until the next attempt after `failures` (from 1), moved by up to 20 % by `spread` in [-1, 1];
        None when the schedule is used up."""
        if failures > len(self.waits):
            return None
        return self.waits[failures - 1] * (1 + 0.2 * spread)

    @property
    def longest(self) -> float:
        """The longest wait that it can ask for, in seconds."""
        return max(self.waits, default=0.0) * 1.2


def settle(
    delivery: Delivery, receipt: Receipt, *, ended_at: datetime, schedule: RetrySchedule, spread: float
) -> tuple[Delivery, Attempt]:
    """What one attempt, over at `ended_at`, makes of a pending delivery, and the line that the log keeps of it.

    A 2xx delivers; 410 ends it at once; 429 and 503 with Retry-After wait as told; everything else, redirects
    included, is retried by the schedule.
    """
    tried = replace(delivery, attempts=delivery.attempts + 1)
    attempt = _attempt(receipt, ended_at)
    match receipt:
        case Answered(http_status=status) if 200 <= status < 300:
            settled = replace(tried, state="delivered", next_attempt_at=None)
            return settled, replace(attempt, outcome="delivered", error=None)
        case Answered(http_status=410):
            return replace(tried, state="exhausted", reason="gone", next_attempt_at=None), attempt
        case Answered(http_status=429 | 503, retry_after=float(told)) if tried.deferrals < MAX_DEFERRALS:
            wait = min(max(told, MIN_DEFERRAL_SECONDS), MAX_DEFERRAL_SECONDS)
            due = ended_at + timedelta(seconds=wait)
            deferred = replace(tried, deferrals=tried.deferrals + 1, next_attempt_at=due)
            return deferred, replace(attempt, outcome="deferred")
        case Answered() | Unanswered():
            return _fail(tried, ended_at, schedule, spread), attempt
        case _:
            assert_never(receipt)


def _fail(delivery: Delivery, now: datetime, schedule: RetrySchedule, spread: float) -> Delivery:
    failures = delivery.failures + 1
    wait = schedule.wait(failures, spread)
    if wait is None:
        return replace(
            delivery, failures=failures, state="exhausted", reason="schedule", next_attempt_at=None
        )
    return replace(delivery, failures=failures, next_attempt_at=now + timedelta(seconds=wait))


def _attempt(receipt: Receipt, ended_at: datetime) -> Attempt:
    at = ended_at - timedelta(seconds=receipt.duration)
    match receipt:
        case Answered(http_status=status, response=response, duration=duration):
            hint = "; redirects are not followed" if 300 <= status < 400 else ""
            return Attempt(at, "failed", status, f"HTTP {status}{hint}", duration, response)
        case Unanswered(error=error, duration=duration):
            return Attempt(at, "failed", None, error, duration, None)
        case _:
            assert_never(receipt)


def wait_after(settled: Delivery, attempt: Attempt) -> float | None:
    """Seconds from the end of an attempt to the next one; None: there is no next one."""
    if settled.next_attempt_at is None:
        return None
    return (settled.next_attempt_at - attempt.at).total_seconds() - attempt.duration


def keeps(settled: Delivery, attempt: Attempt) -> bool:
    """Whether the node that made this attempt keeps the delivery for the next one."""
    wait = wait_after(settled, attempt)
    return wait is not None and wait <= KEEPS_SECONDS


def redeliver(delivery: Delivery, *, now: datetime) -> Delivery | None:
    """The same event once more, due now and with a fresh schedule; None while it is still pending."""
    if delivery.state == "pending":
        return None
    return replace(delivery, state="pending", reason=None, failures=0, deferrals=0, next_attempt_at=now)
