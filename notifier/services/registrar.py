"""Accept a watch once, reject a bad one, reconcile the file's watches."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from notifier.domain.address import Refusal
from notifier.domain.delivery import Delivery
from notifier.domain.quantity import format_duration
from notifier.domain.variables import takes_any, takes_none, variables_text
from notifier.domain.watch import Registration, Source, Watch, judge_task_id, metadata_text
from notifier.ports import Announce, Cancelled, Chance, Clock, Declared, Guard, Registered, WatchStore
from notifier.services.poller import Poller

log = structlog.get_logger()

ENDED_BEFORE = Cancelled(None, None)
MOST_WAITING = 10_000
"""Watches on their way into the store: ten full batches, or what a healthy disk takes in three seconds or so. Ends and
attempts stand in the same line, and they are never refused."""
TELL_EVERY_SECONDS = 60.0
PORTION = 200
"""Taking up so many holds the event loop for some 20 ms."""


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """A watch that somebody asks for, as it was written: right in its types, not yet judged. Durations in seconds;
    `variables` are what it gives of those that its provider has, and as such a part of which task it is: the defaults
    are filled in at each poll, so that a reload that changes them makes no other task of it."""

    task_id: str
    callback_url: str
    provider: str | None = None
    interval: float | None = None
    deadline: float | None = None
    metadata: Mapping[str, Any] | None = None
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why a request cannot become a watch; `field` is the part of the request that is wrong, `member` what in it."""

    field: str
    message: str
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """So many registrations wait for the store that one more could only wait longer; nothing was done."""


@dataclass(frozen=True, slots=True)
class WatchRules:
    """What a provider allows and assumes, in seconds. `judge_variables` names those of a watch's variables that are
    wrong, with sentences that go on after the names, and `judge_task_id` says so of the id itself."""

    interval: float
    min_interval: float
    deadline: float
    judge_variables: Callable[[Mapping[str, str]], Iterable[tuple[str, str]]] = takes_none
    judge_task_id: Callable[[str], str | None] = takes_any


class Registrar:
    def __init__(
        self,
        *,
        store: WatchStore,
        poller: Poller,
        guard: Guard,
        clock: Clock,
        chance: Chance,
        announce: Announce,
        accept: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._store = store
        self._poller = poller
        self._guard = guard
        self._clock = clock
        self._chance = chance
        self._announce = announce
        self._accept = accept
        self._rules: Mapping[str, WatchRules] = {}
        self._waiting = 0
        self._tell_again_at = 0.0

    def configure(self, rules: Mapping[str, WatchRules], guard: Guard) -> None:
        """These are the providers and the guard from now on."""
        self._rules, self._guard = rules, guard

    async def register(
        self, requests: Sequence[WatchRequest], *, by: str | None = None
    ) -> Sequence[Registered | Invalid] | Busy:
        """Judge each request and accept the good ones; the answers come in the same order. `by` names who asks, for
        the log.

        Many are accepted in portions, each a transaction, so that polls and ends get their turns in between. If the
        store fails in the middle, what was accepted stays: asking again gives those watches, and the others.
        """
        refusals = await self._judge_urls({request.callback_url for request in requests})
        judged = [self._judge(request, refusals[request.callback_url]) for request in requests]
        accepted = [registration for registration in judged if isinstance(registration, Registration)]
        if self._waiting + len(accepted) > MOST_WAITING:
            self._tell_busy()
            return Busy()
        registered = iter(await self._accept_all(accepted, by))
        return [next(registered) if isinstance(one, Registration) else one for one in judged]

    async def _accept_all(self, accepted: Sequence[Registration], by: str | None) -> Sequence[Registered]:
        results: list[Registered] = []
        self._waiting += len(accepted)
        try:
            for start in range(0, len(accepted), PORTION):
                portion = accepted[start : start + PORTION]
                registered = await self._store.register(portion, self._clock.now(), self._announce)
                for result in registered:
                    self._take_up(result, by)
                results += registered
        finally:
            self._waiting -= len(accepted)
        return results

    def _tell_busy(self) -> None:
        """Not for each refusal: there may be thousands a second."""
        now = self._clock.monotonic()
        if now >= self._tell_again_at:
            self._tell_again_at = now + TELL_EVERY_SECONDS
            hint = "callers are told to come back; if it lasts, give the store a faster disk"
            log.warning("watches.refused", waiting=self._waiting, hint=hint)

    async def _judge_urls(self, urls: set[str]) -> Mapping[str, Refusal | None]:
        """Each URL once, all at the same time: their look-ups may be slow."""
        verdicts = await asyncio.gather(*(self._guard.check(url) for url in urls))
        return dict(zip(urls, verdicts, strict=True))

    def _judge(self, request: WatchRequest, refusal: Refusal | None) -> Registration | Invalid:
        wrong = judge_task_id(request.task_id)
        if wrong is not None:
            return Invalid("task_id", wrong)
        if refusal is not None:
            return Invalid("callback_url", refusal.message)
        try:
            metadata = metadata_text(request.metadata or {})
        except ValueError as error:
            return Invalid("metadata", str(error))
        provider = self._provider(request.provider)
        if isinstance(provider, Invalid):
            return provider
        rules = self._rules[provider]
        if request.interval is not None and request.interval < rules.min_interval:
            least = format_duration(rules.min_interval)
            return Invalid("interval", f"must be at least {least}, the min_interval of provider {provider!r}")
        if (unfit := rules.judge_task_id(request.task_id)) is not None:
            return Invalid("task_id", unfit)
        misfit = _misfit(request.variables or {}, rules)
        return misfit or self._registration(request, provider, metadata, "intake")

    def _provider(self, name: str | None) -> str | Invalid:
        known = ", ".join(sorted(self._rules))
        if name is None:
            return next(iter(self._rules)) if len(self._rules) == 1 else Invalid("provider", f"name one of: {known}")
        return name if name in self._rules else Invalid("provider", f"{name!r} is not configured; known: {known}")

    def _registration(self, request: WatchRequest, provider: str, metadata: str, source: Source) -> Registration:
        rules = self._rules[provider]
        return Registration(
            id=self._chance.new_id("wch_"),
            provider=provider,
            task_id=request.task_id,
            callback_url=request.callback_url,
            interval=request.interval,
            usual_interval=rules.interval,
            deadline=rules.deadline if request.deadline is None else request.deadline,
            metadata=metadata,
            source=source,
            variables=variables_text(request.variables or {}),
        )

    def _take_up(self, result: Registered, by: str | None) -> None:
        """What was committed now happens: the task is polled, or its known end is told at once."""
        if result.task is not None:
            self._poller.follow(result.task)
        self._accept(result.owed)
        if result.created:
            _tell_registered(result.view.watch, next((delivery.id for delivery in result.owed), None), by)

    async def cancel(self, watch_id: str, *, by: str | None = None) -> bool:
        """Cancel a watch; no event will be sent for it. True also if it had ended; False if there is none. `by` names
        who asks, for the log."""
        cancelled = await self._store.cancel(watch_id, self._clock.now(), self._poller.task)
        if cancelled is None:
            return False
        if cancelled.task is not None:
            self._poller.follow(cancelled.task)
        elif cancelled.task_key is not None:
            self._poller.forget(cancelled.task_key)
        if cancelled != ENDED_BEFORE:
            log.info("watch.cancelled", watch_id=watch_id, by=by)
        return True

    async def declare(self, requests: Sequence[WatchRequest]) -> Declared:
        """Make the configuration's watches these; they were judged when the file was read."""
        registrations = [
            self._registration(one, self._declared_provider(one), metadata_text(one.metadata or {}), "config")
            for one in requests
        ]
        now = self._clock.now()
        declared = await self._store.declare(registrations, now, self._announce, self._poller.task)
        for key in declared.dropped:
            self._poller.forget(key)
        for task in declared.tasks:
            self._poller.follow(task)
        self._accept(declared.owed)
        for watch in declared.added:
            _tell_registered(watch, None, None)
        return declared

    def _declared_provider(self, request: WatchRequest) -> str:
        return request.provider if request.provider is not None else next(iter(self._rules))


def _misfit(given: Mapping[str, str], rules: WatchRules) -> Invalid | None:
    return next((Invalid("vars", wrong, name) for name, wrong in rules.judge_variables(given)), None)


def _tell_registered(watch: Watch, event_id: str | None, by: str | None) -> None:
    """`event_id` is set when the task's end was known already and is told at once."""
    log.info(
        "watch.registered",
        watch_id=watch.id,
        provider=watch.provider,
        task_id=watch.task_id,
        source=watch.source,
        state=watch.state,
        event_id=event_id,
        by=by,
    )
