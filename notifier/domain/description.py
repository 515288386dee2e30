"""A provider, described: how a task is asked for, and what the answers mean. `reading` applies it to an answer."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from notifier.domain.expression import Expression
from notifier.domain.template import Hole, JsonTemplate, Template, unfit
from notifier.domain.variables import judge_value

Method: TypeAlias = Literal["GET", "POST"]
Outcome: TypeAlias = Literal[
    "running", "completed", "failed", "not_found", "refused", "throttled", "unauthorized", "unavailable"
]
Expressions: TypeAlias = tuple[Expression, ...]
"""Tried one after the other; the first that finds something counts."""

_PORTS = {"https": 443, "http": 80}
_HOST = r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]"
_PORT = r"(?::(?P<port>[0-9]{1,5}))?"
_URL = re.compile(rf"(?P<scheme>https?)://(?P<host>{_HOST}){_PORT}(?=[/?#]|$)(?!.*\\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """A request about a task. A path begins at `base_url`; a body (any JSON) is sent with POST only."""

    path: Template
    method: Method = "GET"
    query: tuple[tuple[str, Template], ...] = ()
    headers: tuple[tuple[str, Template], ...] = ()
    body: JsonTemplate | None = None

    def texts(self) -> Iterator[Template]:
        """Everything with places to fill in."""
        yield self.path
        yield from (template for _, template in (*self.query, *self.headers))
        if self.body is not None:
            yield from self.body.texts()


@dataclass(frozen=True, slots=True)
class Rule:
    """What an answer means whose HTTP status is in one of the ranges (both ends belong to them; none is any) and for
    whose JSON `when` is true in JMESPath's sense. A rule without `http` that ends the task needs a 2xx."""

    outcome: Outcome
    http: tuple[tuple[int, int], ...] = ()
    when: Expression | None = None


@dataclass(frozen=True, slots=True)
class ErrorPaths:
    """Where an answer says what went wrong."""

    code: Expressions = ()
    message: Expressions = ()


@dataclass(frozen=True, slots=True)
class ExpiresAfter:
    """Result URLs live for so many seconds from the answer that named them."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ExpiresAt:
    """The answer says until when: epoch seconds or milliseconds, or RFC 3339."""

    paths: Expressions


@dataclass(frozen=True, slots=True)
class HintHeader:
    """A header of a running answer says in how many seconds, or when, to ask again."""

    name: str


@dataclass(frozen=True, slots=True)
class HintSeconds:
    paths: Expressions


@dataclass(frozen=True, slots=True)
class SecondLook:
    """The GET that follows once a task is completed: at `path`, or at the URL that `url` finds in the first answer.
    `urls` and `error` None take the description's own."""

    path: Template | None = None
    url: Expressions = ()
    query: tuple[tuple[str, Template], ...] = ()
    headers: tuple[tuple[str, Template], ...] = ()
    urls: Expressions | None = None
    error: ErrorPaths | None = None
    rules: tuple[Rule, ...] = ()

    def texts(self) -> Iterator[Template]:
        """Everything with places to fill in."""
        if self.path is not None:
            yield self.path
        yield from (template for _, template in (*self.query, *self.headers))


@dataclass(frozen=True, slots=True)
class Description:
    """Words are in lower case. `variables` maps a watch's further values to their defaults, None where it must give
    one. `urls` None: the API names no URLs, so a success without one is final."""

    base_url: str
    poll: Question
    status: Expressions = ()
    completed: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()
    variables: Mapping[str, str | None] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    id: Expressions = ()
    urls: Expressions | None = None
    error: ErrorPaths = ErrorPaths()
    progress: Expressions = ()
    model: Expressions = ()
    expires: ExpiresAfter | ExpiresAt | None = None
    result: SecondLook | None = None
    download: Template | None = None
    hint: HintHeader | HintSeconds | None = None

    def judge_variables(self, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """What is wrong with a watch's values: names, and sentences that go on after them."""
        return misfits(self.variables, tuple(self.texts()), given)

    def judge_task_id(self, task_id: str) -> str | None:
        """Why the provider cannot be asked about such a task, or None."""
        return misfit("task_id", task_id, tuple(self.texts()))

    def values(self, task_id: str, given: Mapping[str, str]) -> dict[str, str]:
        """What the placeholders stand for; a watch's own value goes before the default."""
        usual = {f"vars.{name}": value for name, value in self.variables.items() if value is not None}
        own = {f"vars.{name}": value for name, value in given.items() if name in self.variables}
        return {"task_id": task_id, **usual, **own}

    def trusts(self, url: str) -> bool:
        """Whether a request to this URL may carry the credentials: on the origin of `base_url`, or on one of `hosts`
        by the same scheme or https. User information in a URL is never trusted, as it hides the host."""
        there = _origin(url)
        if there is None:
            return False
        return "{}://{}:{}".format(*there) in self.origins()

    def origins(self) -> Iterator[str]:
        """Scheme, host and port of everywhere that may get the credentials."""
        home = _origin(self.base_url)
        if home is None:
            return
        yield "{}://{}:{}".format(*home)
        for host in self.hosts:
            for scheme in {"https", home[0]}:
                yield from (f"{scheme}://{host}:{port}" for port in {_PORTS[scheme], home[2]})

    def texts(self) -> Iterator[Template]:
        """Everything with places to fill in."""
        yield from self.poll.texts()
        if self.result is not None:
            yield from self.result.texts()
        if self.download is not None:
            yield self.download


def misfits(
    variables: Mapping[str, str | None], texts: Collection[Template], given: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What is wrong with a watch's values for these variables, of which these texts are to be filled."""
    known = ", ".join(variables) or "none"
    yield from ((name, f"is no variable of this provider (known: {known})") for name in given if name not in variables)
    for name, usual in variables.items():
        value = given.get(name, usual)
        if value is None:
            yield name, "is missing, and this provider cannot be asked without it"
        elif wrong := judge_value(value) or misfit(f"vars.{name}", value, texts):
            yield name, wrong


def misfit(name: str, value: str, texts: Collection[Template]) -> str | None:
    """Why the value of a placeholder cannot be filled into one of these texts, or None."""
    for text in texts:
        for part in text.parts:
            if isinstance(part, Hole) and part.name == name and (wrong := unfit(part, text.place, value)):
                return wrong
    return None


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an http(s) URL (RFC 6454, section 4); None for anything else, and for all that two
    parsers might read differently."""
    found = _URL.match(url)
    if found is None or not url.isascii() or not url.isprintable():
        return None
    scheme, port = found["scheme"].lower(), found["port"]
    return scheme, found["host"].lower(), int(port) if port else _PORTS[scheme]
