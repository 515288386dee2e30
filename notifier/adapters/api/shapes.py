"""What answers look like, for the OpenAPI document; the tests hold every answer against these.

They describe and do not serialize: `views` writes the same members by hand, once and fast.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from notifier.domain.delivery import AttemptOutcome, DeliveryState, ExhaustedReason
from notifier.domain.event import TaskEvent
from notifier.domain.result_file import FileState
from notifier.domain.watch import Source, WatchState

Moment = Annotated[datetime, Field(description="RFC 3339, UTC.")]
Pointer = Annotated[str, Field(description="RFC 6901, as a URI fragment.", examples=["#/callback_url"])]


class Answer(BaseModel):
    """What all answers have in common: no member beyond those named."""

    model_config = ConfigDict(extra="forbid")


class Complaint(Answer):
    """One thing that is wrong with a request."""

    detail: str
    pointer: Pointer = "#"


class Problem(Answer):
    """A problem document (RFC 9457)."""

    type: str = Field(description="about:blank: the status says it all.")
    title: str
    status: int
    detail: str
    pointer: Pointer = "#"
    errors: list[Complaint] = []


class DeliveryBrief(Answer):
    """What became of a watch's event."""

    id: str
    state: DeliveryState
    attempts: int
    next_attempt_at: Moment | None


class Watch(Answer):
    """A promise to tell one callback URL how one task ended."""

    id: str = Field(examples=["wch_5f0c2a9be1d34c7788aa01ef"])
    provider: str
    task_id: str
    callback_url: str
    state: WatchState
    status: str | None = Field(description="The provider's own word, as of the last poll.")
    interval: float | None = Field(description="Seconds; null when its provider is not configured any more.")
    registered_at: Moment
    deadline_at: Moment
    last_polled_at: Moment | None
    next_poll_at: Moment | None
    polls: int
    ended_at: Moment | None
    source: Source
    vars: dict[str, str] = Field(description="What the watch gives of its provider's variables.")
    metadata: dict[str, Any]
    last_error: str | None
    delivery: DeliveryBrief | None


class File(Answer):
    """A result of a completed task, which is saved before its URL expires."""

    n: int = Field(description="Its number, from 0: GET /v1/watches/{id}/files/{n} serves it.")
    state: FileState
    url: str = Field(description="The provider's.")
    location: str | None = Field(description="Where it is saved.", examples=["file:///var/lib/notifier/results/…"])
    size: int | None = Field(description="Bytes.")
    sha256: str | None = Field(description="In hex.")
    content_type: str | None = Field(description="Found out from its content.")
    saved_at: Moment | None
    error: str | None = Field(description="Why the last try failed.")
    link: str = Field(
        default="", description="Of a saved file, with intake.public_url: fetches it without a token, for a while."
    )


class WatchAndResults(Watch):
    """A watch, and the results of its task, none unless it completed. Lists do not have them."""

    urls: list[str] = Field(description="The provider's. They are usually temporary.")
    files: list[File]


class WatchList(Answer):
    """Newest first; `next_cursor` is null on the last page."""

    watches: list[Watch]
    next_cursor: str | None


class Accepted(Answer):
    """201: registered; 200: it was watched already."""

    status: Literal[200, 201]
    watch: Watch


class Refused(Answer):
    """This one cannot be watched."""

    status: Literal[422]
    error: Problem


class BatchResults(Answer):
    """One result for each watch, in the order in which they were sent."""

    results: list[Accepted | Refused]


class DeliveryItem(Answer):
    """The obligation to bring one event to one URL."""

    id: str = Field(description="The event's id, which is the webhook-id.", examples=["evt_9d3b1c"])
    type: str = Field(examples=["task.completed"])
    watch_id: str
    callback_url: str
    state: DeliveryState
    reason: ExhaustedReason | None = Field(description="Why it is exhausted.")
    attempts: int
    created_at: Moment
    next_attempt_at: Moment | None


class Circuit(Answer):
    """Attempts at this callback URL kept failing: its deliveries wait, and one probe at a time tries it again."""

    state: Literal["open"]
    failures: int = Field(description="In a row, over all deliveries to this URL.")
    since: Moment
    error: str = Field(description="Why the last attempt failed.")
    next_probe_at: Moment


class Trial(Answer):
    """What one attempt to reach a receiver came to."""

    outcome: AttemptOutcome
    http_status: int | None
    error: str | None
    duration_ms: float
    response: str | None = Field(description="The first 1 KiB of the receiver's answer.")


class Attempt(Trial):
    """One HTTP try of a delivery."""

    at: Moment


class Delivery(DeliveryItem):
    """A delivery with its latest 50 attempts, oldest first."""

    circuit: Circuit | None = Field(default=None, description="Only while it waits because its URL's circuit is open.")
    log: list[Attempt]


class DeliveryList(Answer):
    """Newest first; `next_cursor` is null on the last page."""

    deliveries: list[DeliveryItem]
    next_cursor: str | None


class Endpoint(Answer):
    """A registered callback URL; what is secret of it is not shown."""

    id: str = Field(examples=["ep_5f0c2a9be1d34c7788aa01ef"])
    url: str
    source: Source
    events: list[TaskEvent] = Field(description="Which events are sent.")
    headers: dict[str, str] = Field(description="The names of its headers; their values are masked.")
    secrets: int = Field(description="How many secrets sign, newest first.")
    rate: float | None = Field(description="Attempts a second; null is no limit of its own.")
    concurrency: int | None = Field(description="Attempts in flight; null is no limit of its own.")
    created_at: Moment | None = Field(description="RFC 3339, UTC; null for an endpoint of the configuration.")
    updated_at: Moment | None = Field(description="RFC 3339, UTC; null for an endpoint of the configuration.")
    circuit: Circuit | None = Field(description="Null unless attempts keep failing, so that its deliveries wait.")


class EndpointAndSecret(Endpoint):
    """An endpoint, with the secret that was made for it."""

    secret: str | None = Field(description="Shown this once; null when none was made.")


class EndpointList(Answer):
    """Those of the configuration, then the others, newest first; `next_cursor` is null on the last page."""

    endpoints: list[Endpoint]
    next_cursor: str | None


class Declared(Answer):
    """What became of the file's watches."""

    added: int
    changed: int
    cancelled: int


class Reloaded(Answer):
    """The configuration applies; what is named in `needs_restart` stays as it was until then."""

    watches: Declared
    needs_restart: list[str]


class PublicKeys(Answer):
    """The keys that verify our v1a signatures: as a JWK set (RFC 8037) and in the form of Standard Webhooks."""

    keys: list[dict[str, str]]
    whpk: list[str]
