"""Prometheus metrics. No label ever holds a task id, a URL or free text, so the number of series is bounded."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from notifier.domain.answer import OUTCOMES
from notifier.domain.delivery import ATTEMPT_OUTCOMES, DELIVERY_STATES
from notifier.domain.event import EVENT_TYPES
from notifier.domain.tempo import Tempo
from notifier.domain.watch import WATCH_STATES
from notifier.ports import Counts, Space, UnsavedReason

PREFIX = "notifier_"
PAUSE_REASONS = ("throttled", "unauthorized")
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
WAIT_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200, 86400, 172800, 345600)

disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped there; a second series for each counter, which no alert looks at


class Metrics:
    """Implements the PollMeter, AttemptMeter and FileMeter ports. `monotonic` is the steady clock."""

    def __init__(self, version: str, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._tempo = Tempo(monotonic())
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._add_polls()
        self._add_attempts()
        self._add_files()
        self._add_store()
        self._add_daemon(version)

    def _add_polls(self) -> None:
        self._polls = self._counter("polls", "Polls made, by what they meant.", "provider", "outcome")
        self._poll_seconds = self._histogram(
            "poll_duration_seconds", "One poll, from name look-up to the last byte.", REQUEST_SECONDS, "provider"
        )
        self._poll_lag = self._histogram(
            "poll_lag_seconds", "How late polls start: for rate, concurrency or a pause.", WAIT_SECONDS, "provider"
        )
        # To find a series by its labels costs more than to count.
        self._poll_series = cache(self._find_poll_series)
        self._paused = self._gauge(
            "provider_paused", "1 while a provider is paused for this reason.", "provider", "reason"
        )

    def _add_attempts(self) -> None:
        """A series that is there from the start shows its first increase, too."""
        self._events = self._counter("events", "Events owed to receivers, by type.", "type")
        for event_type in EVENT_TYPES:
            self._events.labels(event_type)
        self._attempts = self._counter("attempts", "Delivery attempts, by outcome.", "outcome")
        for outcome in ATTEMPT_OUTCOMES:
            self._attempts.labels(outcome)
        self._attempt_seconds = self._histogram(
            "attempt_duration_seconds", "One delivery attempt, from name look-up to the answer.", REQUEST_SECONDS
        )
        self._latency = self._histogram(
            "delivery_latency_seconds", "From learning a task's end to the receiver's 2xx.", WAIT_SECONDS
        )
        self._circuits = self._gauge("open_circuits", "Callback URLs that keep failing and are only probed.")

    def _add_files(self) -> None:
        self._files = self._counter("files", "Tries to save a result file, by outcome.", "outcome")
        for outcome in ("saved", *get_args(UnsavedReason)):
            self._files.labels(outcome)
        self._file_bytes = self._counter("file_bytes", "Bytes of the files that were saved.")
        self._pending_files = self._gauge("files_pending", "Result files that are still to be saved.")

    def _add_store(self) -> None:
        self._watches = self._gauge("watches", "Watches in the store, by state.", "state")
        self._deliveries = self._gauge("deliveries", "Deliveries in the store, by state.", "state")
        self._oldest = self._gauge(
            "oldest_pending_delivery_seconds", "Since when the oldest pending delivery is owed; 0 if there is none."
        )
        self._store_bytes = self._gauge("store_bytes", "What the store takes on its disk.")
        self._free_bytes = self._gauge("store_free_bytes", "What is free on the store's disk.")

    def _add_daemon(self, version: str) -> None:
        self._gauge("build_info", "The running version.", "version").labels(version).set(1)
        self._ready = self._gauge("ready", "1 while everything works that the promises rest on, as /readyz says.")
        self._reload_ok = self._gauge("config_last_reload_successful", "1 if the last reload took effect.")
        self._reload_at = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When a configuration last took effect."
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self.registry)

    # PollMeter

    def _find_poll_series(self, provider: str, outcome: str) -> tuple[Counter, Histogram, Histogram]:
        return (
            self._polls.labels(provider, outcome),
            self._poll_seconds.labels(provider),
            self._poll_lag.labels(provider),
        )

    def polled(self, provider: str, outcome: str, *, duration: float, lag: float) -> None:
        self._tempo.note(self._monotonic())
        made, seconds, late = self._poll_series(provider, outcome)
        made.inc()
        seconds.observe(duration)
        late.observe(lag)

    def paused(self, provider: str, reason: str | None) -> None:
        for known in PAUSE_REASONS:
            self._paused.labels(provider, known).set(known == reason)

    # AttemptMeter

    def announced(self, event_type: str) -> None:
        self._events.labels(event_type).inc()

    def attempted(self, outcome: str, *, duration: float) -> None:
        self._attempts.labels(outcome).inc()
        self._attempt_seconds.observe(duration)

    def delivered(self, latency: float) -> None:
        self._latency.observe(max(latency, 0.0))

    # FileMeter

    def fetched(self, outcome: str, size: int = 0) -> None:
        self._files.labels(outcome).inc()
        self._file_bytes.inc(size)

    # The daemon's own

    def providers(self, names: Iterable[str]) -> None:
        """Show these providers as unpaused and unpolled from the start, so that alerts have series to look at."""
        for name in names:
            self.paused(name, None)
            for outcome in OUTCOMES:
                self._polls.labels(name, outcome)
            self._poll_seconds.labels(name)
            self._poll_lag.labels(name)

    def polls_per_second(self) -> float:
        """Over the last minute, all providers together."""
        return self._tempo.per_second(self._monotonic())

    def reloaded(self, *, ok: bool, at: float) -> None:
        """`at` is in seconds since the epoch."""
        self._reload_ok.set(ok)
        if ok:
            self._reload_at.set(at)

    def observe(self, *, ready: bool, space: Space, oldest_seconds: float, open_circuits: int) -> None:
        """What is looked up at each scrape, beside the counts."""
        self._ready.set(ready)
        self._circuits.set(open_circuits)
        self._oldest.set(oldest_seconds)
        self._store_bytes.set(space.used)
        self._free_bytes.set(float("nan") if space.free is None else space.free)

    def render(self, counts: Counts) -> tuple[bytes, str]:
        """The exposition text and its content type."""
        for watch_state in WATCH_STATES:
            self._watches.labels(watch_state).set(counts.watches.get(watch_state, 0))
        for delivery_state in DELIVERY_STATES:
            self._deliveries.labels(delivery_state).set(counts.deliveries.get(delivery_state, 0))
        self._pending_files.set(counts.files_pending)
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
