"""What a provider's answer to one poll means, by its description.

In this order: the rules; the HTTP status; a body that is not JSON, or too large; an id that is not ours; the status
words. Nothing but a mapped word or a rule ends a task.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from notifier.domain.answer import (
    MAX_PAUSE_SECONDS,
    MIN_PAUSE_SECONDS,
    Answer,
    Completed,
    Failed,
    Missed,
    Running,
    Unauthorized,
    Unavailable,
)
from notifier.domain.description import (
    Description,
    ErrorPaths,
    ExpiresAfter,
    ExpiresAt,
    Expressions,
    HintHeader,
    HintSeconds,
    Rule,
    SecondLook,
)
from notifier.domain.extract import (
    NO_REASON,
    error_at,
    error_in_success,
    first,
    moment_at,
    number_at,
    placeholders,
    progress_at,
    reason_at,
    urls_at,
    word_at,
)
from notifier.domain.http_answer import HttpAnswer, by_status, parse_document, text_of, throttled
from notifier.domain.retry_after import parse_retry_after
from notifier.domain.template import Values

ENDS = ("completed", "failed")
_FILES = ("video/", "image/", "audio/", "model/", "application/octet-stream")
MAX_SAID_CHARACTERS = 200
"""Of a provider's own words in a message of ours."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer's meaning, and how it was found: `rule` is the index of the one that decided, if any did; `document`
    is the JSON object or array of the body, None where it is anything else."""

    answer: Answer
    document: Any = None
    rule: int | None = None


def read(description: Description, heard: HttpAnswer, values: Values, *, now: datetime) -> Reading:
    """`values` are those that the request was filled with."""
    document = parse_document(heard)
    seen = _Seen(description, heard, document, values, now, description.urls, description.error)
    number = matching_rule(description.rules, heard, document)
    if number is not None:
        answer = seen.by_rule(description.rules[number])
    elif 200 <= heard.status < 300:
        answer = seen.by_words()
    else:
        answer = by_status(heard, document, now)
    return Reading(answer, document, number)


def read_result(
    description: Description, success: Completed, heard: HttpAnswer, values: Values, *, now: datetime
) -> Reading:
    """What the second request's answer makes of a success. Whatever keeps the result from us ends nothing."""
    look = description.result or SecondLook()
    document, error = parse_document(heard), look.error or description.error
    seen = _Seen(description, heard, document, values, now, look.urls or description.urls, error)
    number = matching_rule(look.rules, heard, document)
    if number is not None and look.rules[number].outcome != "completed":
        answer: Answer = seen.by_rule(look.rules[number])
    elif number is None and not 200 <= heard.status < 300:
        answer = by_status(heard, document, now)
        if isinstance(answer, Missed):
            answer = Unavailable(f"{answer.message} for the result of a completed task")
    elif number is None and (fault := seen.unreadable()) is not None:
        answer = fault
    else:
        answer = seen.completed(success.status)
        if isinstance(answer, Completed):
            expires_at = answer.expires_at or success.expires_at
            answer = replace(answer, expires_at=expires_at, model=answer.model or success.model)
    return Reading(answer, document, number)


def matching_rule(rules: Sequence[Rule], heard: HttpAnswer, document: Any) -> int | None:
    """The index of the first rule that fits. What ends a task without naming the HTTP status counts in a 2xx only, and
    only in what an API answers: no error page or captive portal ends a job that was paid for."""
    for number, rule in enumerate(rules):
        ends = rule.outcome in ENDS
        if ends and document is None and not _may_end(heard):
            continue
        ranges = rule.http or (((200, 299),) if ends else ())
        fits = not ranges or any(low <= heard.status <= high for low, high in ranges)
        if fits and (rule.when is None or _true(rule.when.find(document))):
            return number
    return None


def _may_end(heard: HttpAnswer) -> bool:
    """Whether an answer that is no JSON document can be a result: a file, or nothing at all where that is meant."""
    kind = heard.headers.get("content-type", "").strip().lower()
    return heard.truncated or heard.status == 204 or kind.startswith(_FILES)


def _true(value: Any) -> bool:
    """As JMESPath has it: 0 is true."""
    return value is not None and value is not False and value not in ("", [], {})


@dataclass(frozen=True, slots=True)
class _Seen:
    """One answer beside the description; `urls` and `error` are where those are looked for."""

    description: Description
    heard: HttpAnswer
    document: Any
    values: Values
    now: datetime
    urls: Expressions | None
    error: ErrorPaths

    def by_words(self) -> Answer:
        if (fault := self.unreadable() or self.foreign()) is not None:
            return fault
        status = self.status()
        word = "" if status is None else status.strip().lower()
        if status is not None and word in self.description.completed:
            return self.completed(status)
        if status is not None and word in self.description.failed:
            return self.failed(status)
        if status is None and isinstance(self.document, list):
            return Unavailable("the answer is not a JSON object")
        return self.running(status, known=word in self.description.running)

    def by_rule(self, rule: Rule) -> Answer:
        match rule.outcome:
            case "running":
                return self.running(self.status(), known=True)
            case "completed":
                return self.foreign() or self.completed(self.status() or "completed")
            case "failed":
                return self.foreign() or self.failed(self.status() or "failed")
            case "not_found" | "refused":
                return Missed(rule.outcome == "refused", self.message(), self.response())
            case "throttled":
                return throttled(parse_retry_after(self.heard.headers.get("retry-after"), self.now))
            case "unauthorized":
                return Unauthorized(self.heard.status)
            case "unavailable":
                return Unavailable(self.message())
            case _:
                assert_never(rule.outcome)

    def unreadable(self) -> Unavailable | None:
        if self.heard.truncated:
            return Unavailable("the answer is larger than 1 MiB")
        return Unavailable("the answer is not a JSON object") if self.document is None else None

    def foreign(self) -> Unavailable | None:
        """Whether the answer names an id, and it is another task's; an empty one is none."""
        found = first(self.description.id, self.document)
        if found in (None, "") or (isinstance(found, str | int | float) and str(found) == self.values["task_id"]):
            return None
        return Unavailable("the answer is about another task: its id is not ours")

    def running(self, status: str | None, *, known: bool) -> Running:
        progress = progress_at(self.description.progress, self.document)
        return Running(status, known, self.response(), progress, self.ask_again(), self.model())

    def completed(self, status: str) -> Completed | Failed:
        """An error inside a success is a failure; what only says that there is none is not."""
        if (error := error_in_success(self.error, self.document)) is not None:
            return Failed(status, error, self.response(), self.model())
        urls = () if self.urls is None else urls_at(self.urls, self.document, self.description.base_url)
        downloads = () if urls else self.downloads()
        final = self.urls is None or bool(downloads)
        return Completed(status, urls, self.response(), self.expires_at(), downloads, final, self.model())

    def failed(self, status: str) -> Failed:
        return Failed(status, reason_at(self.error, self.document), self.response(), self.model())

    def status(self) -> str | None:
        return word_at(self.description.status, self.document)

    def model(self) -> str | None:
        return word_at(self.description.model, self.document)

    def response(self) -> str | None:
        return None if self.document is None else text_of(self.heard)

    def message(self) -> str:
        """What the log and the watch say of an answer that a rule gave another meaning."""
        error = error_at(self.error, self.document)
        if error is None or error.message == NO_REASON:
            return f"HTTP {self.heard.status}, and a rule for such answers"
        return f"HTTP {self.heard.status}: {error.message[:MAX_SAID_CHARACTERS]}"

    def ask_again(self) -> float | None:
        match self.description.hint:
            case None:
                return None
            case HintHeader(name=name):
                seconds = parse_retry_after(self.heard.headers.get(name), self.now)
            case HintSeconds(paths=paths):
                seconds = number_at(paths, self.document)
            case never:
                assert_never(never)
        return None if seconds is None else min(max(seconds, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)

    def expires_at(self) -> datetime | None:
        match self.description.expires:
            case None:
                return None
            case ExpiresAfter(seconds=seconds):
                return self.now + timedelta(seconds=seconds)
            case ExpiresAt(paths=paths):
                return moment_at(paths, self.document)
            case never:
                assert_never(never)

    def downloads(self) -> tuple[str, ...]:
        template = self.description.download
        if template is None:
            return ()
        try:
            path = template.fill({**self.values, **placeholders(template.names, self.document)})
        except ValueError:  # the answer does not name what the path needs
            return ()
        return (self.description.base_url + path,)
