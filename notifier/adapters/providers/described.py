"""A provider as its description says: ask once, translate, never retry.

The credentials go to `base_url`'s origin and the hosts that the description lists, and nowhere else: redirects are not
followed, and a result URL that leads elsewhere is not asked for.
"""

import json
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from notifier.adapters.http import Fault, Home, Http, Reply, origin, with_query
from notifier.adapters.providers.credentials import Credentials, Sent, Unready
from notifier.domain.answer import MAX_ANSWER_BYTES, Answer, Completed, Unavailable
from notifier.domain.description import Description, SecondLook
from notifier.domain.extract import placeholders, urls_at
from notifier.domain.http_answer import HttpAnswer
from notifier.domain.masking import masked, masker
from notifier.domain.reading import Reading, read, read_result
from notifier.domain.template import Template, Values
from notifier.ports import Clock

SENT_BEFORE = 2
"""Credentials that are masked in answers: the newest, and those that a request in flight may still have."""


@dataclass(frozen=True, slots=True)
class Request:
    """Without the credentials, which are added when it is sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came of it; `heard` None: no answer that could be read. `reading` is of this answer alone."""

    request: Request
    heard: HttpAnswer | None
    reading: Reading


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll: what it means in the end, and the requests that it took."""

    answer: Answer
    exchanges: tuple[Exchange, ...]


class DescribedApi:
    """Implements the Provider port. `timeout` (seconds) is for all that one poll takes; `secrets` are masked, as is all
    that is sent with a request, in what an answer says."""

    def __init__(
        self,
        description: Description,
        credentials: Credentials,
        *,
        timeout: float,
        http: Http,
        clock: Clock,
        user_agent: str,
        secrets: Collection[str] = (),
    ) -> None:
        self._description = description
        self._credentials = credentials
        self._timeout = timeout
        self._http = http
        self._clock = clock
        self._secrets = secrets
        self._sent: deque[Sent] = deque(maxlen=SENT_BEFORE)
        self._mask = masker(secrets)
        self._usual = {"accept": "application/json", "user-agent": user_agent}

    @property
    def description(self) -> Description:
        return self._description

    async def home(self) -> Home:
        """Where the credentials may go, and what is sent there, for whoever fetches what an answer names."""
        sent = await self._credentials.now()
        origins = frozenset(origin(one) for one in self._description.origins())
        return Home(origins) if isinstance(sent, Unready) else Home(origins, sent.headers, sent.query)

    async def poll(self, task_id: str, variables: Mapping[str, str]) -> Answer:
        return (await self.trace(task_id, variables)).answer

    async def trace(self, task_id: str, variables: Mapping[str, str]) -> Poll:
        """A poll, with all that was asked and heard."""
        until = self._clock.monotonic() + self._timeout
        values = self._description.values(task_id, variables)
        try:
            request = self._question(values)
        except ValueError as error:
            return Poll(Unavailable(f"no request can be made for this task: {error}"), ())
        heard = await self._ask(request, until)
        if isinstance(heard, Unavailable):
            return Poll(heard, (Exchange(request, None, Reading(heard)),))
        reading = self._masked(read(self._description, heard, values, now=self._clock.now()))
        first = Exchange(request, heard, reading)
        look = self._description.result
        if look is None or not isinstance(reading.answer, Completed):
            return Poll(reading.answer, (first,))
        return await self._look_again(look, first, values, until)

    async def _look_again(self, look: SecondLook, first: Exchange, values: Values, until: float) -> Poll:
        """The second request of a success. What cannot be had now is asked for again at the next poll."""
        success, document = first.reading.answer, first.reading.document
        assert isinstance(success, Completed)  # noqa: S101  # tells the type
        try:
            request = self._second_question(look, values, document)
        except ValueError as error:
            return Poll(Unavailable(f"the result of a completed task cannot be asked for: {error}"), (first,))
        heard = await self._ask(request, until)
        if isinstance(heard, Unavailable):
            return Poll(heard, (first, Exchange(request, None, Reading(heard))))
        reading = self._masked(read_result(self._description, success, heard, values, now=self._clock.now()))
        return Poll(reading.answer, (first, Exchange(request, heard, reading)))

    def _question(self, values: Values) -> Request:
        poll = self._description.poll
        url = with_query(self._description.base_url + poll.path.fill(values), _filled(poll.query, values))
        headers = {**self._usual, **_fields(poll.headers, values)}
        if poll.method == "GET":
            return Request("GET", url, headers)
        body = b"" if poll.body is None else json.dumps(poll.body.fill(values), ensure_ascii=False).encode()
        return Request("POST", url, {**headers, "content-type": "application/json"}, body)

    def _second_question(self, look: SecondLook, values: Values, document: object) -> Request:
        names = frozenset(name for text in look.texts() for name in text.names)
        known = {**values, **placeholders(names, document)}
        if look.path is not None:
            url = self._description.base_url + look.path.fill(known)
        else:
            url = self._named_url(look, document)
        url = with_query(url, _filled(look.query, known))
        return Request("GET", url, {**self._usual, **_fields(look.headers, known)})

    def _named_url(self, look: SecondLook, document: object) -> str:
        """ValueError for a URL that may not be asked with our credentials."""
        named = urls_at(look.url, document, self._description.base_url)
        if not named:
            raise ValueError("the answer does not name its URL")
        if not self._description.trusts(named[0]):
            raise ValueError("the answer names a URL on another host than base_url's; list that host under hosts")
        return named[0]

    async def _ask(self, request: Request, until: float) -> HttpAnswer | Unavailable:
        """Send a request, whose URL may have our credentials, until that time (monotonic)."""
        sent = await self._credentials.now()
        if isinstance(sent, Unready):
            return Unavailable(sent.message)
        self._remember(sent)
        left = until - self._clock.monotonic()
        if left <= 0:
            return Unavailable(f"no complete answer within {self._timeout:g} s")
        reply = await self._send(request, sent, left)
        if isinstance(reply, Fault):
            return Unavailable(reply.message)
        if reply.status == 401:
            self._credentials.refused()
        return HttpAnswer(reply.status, reply.headers, reply.body, reply.truncated)

    def _remember(self, sent: Sent) -> None:
        if all(one is not sent for one in self._sent):
            self._sent.append(sent)
            self._mask = masker([*self._secrets, *(text for one in self._sent for text in one.texts())])

    def _masked(self, reading: Reading) -> Reading:
        answer = masked(reading.answer, self._mask)
        return reading if answer is reading.answer else replace(reading, answer=answer)

    async def _send(self, request: Request, sent: Sent, seconds: float) -> Reply | Fault:
        url, headers = with_query(request.url, sent.query), {**request.headers, **sent.headers}
        if request.method == "GET":
            return await self._http.get(url, headers=headers, timeout=seconds, cap=MAX_ANSWER_BYTES)
        body = _with_members(request.body or b"", sent.body)
        return await self._http.post(
            url, headers=headers, body=body, timeout=seconds, cap=MAX_ANSWER_BYTES, grace=None
        )


def _with_members(body: bytes, members: Mapping[str, str]) -> bytes:
    """The JSON object with further members; an empty body is an empty object."""
    if not members:
        return body
    return json.dumps({**(json.loads(body) if body else {}), **members}, ensure_ascii=False).encode()


def _filled(pairs: tuple[tuple[str, Template], ...], values: Values) -> tuple[tuple[str, str], ...]:
    """As they are, not encoded yet; ValueError for a value that does not fit."""
    return tuple((name, template.fill(values)) for name, template in pairs)


def _fields(pairs: tuple[tuple[str, Template], ...], values: Values) -> dict[str, str]:
    return {name.lower(): template.fill(values) for name, template in pairs}
