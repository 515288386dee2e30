"""The intake in process, over the real services and fakes of everything beyond them.

Every answer of every test is held against the OpenAPI document: its status, its media type and its shape.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from notifier.adapters.api import (
    ApiParts,
    Caller,
    LastReload,
    Readiness,
    Reloaded,
    ReloadResult,
    Status,
    build_api,
    shapes,
    status_shapes,
)
from notifier.adapters.api import problems as problem_documents
from notifier.domain.answer import Answer
from notifier.domain.delivery import RetrySchedule
from notifier.domain.link import Links
from notifier.domain.prefix import Prefix, parse_prefix
from notifier.domain.receiver import Receiver, Receivers
from notifier.domain.signature import Ed25519Key, HmacKey
from notifier.domain.task import Task
from notifier.ports import Archive, Counts, Space
from notifier.services.archivist import Archivist
from notifier.services.channel import PollLimits
from notifier.services.dispatcher import Dispatcher, DispatchPolicy
from notifier.services.endpoints import Endpoints
from notifier.services.inquiries import Inquiries
from notifier.services.poller import Poller
from notifier.services.refresher import Refresher
from notifier.services.registrar import Registrar, WatchRules
from notifier.services.rhythms import Rhythms
from tests.contract.api.catalog import FakeCatalog
from tests.fake_peers import FakeGuard, FakeProvider, FakeSender
from tests.fake_store import FakeStore
from tests.fakes import START, FakeAlarms, FakeChance, FakeClock, FakeCrew, FakeMeter, FakeTimetable

HOOK = "https://app.example.com/hooks/video"
KEY = Ed25519Key(bytes(range(32)))
STATUS = Status(
    version="1.2.3",
    started_at=START,
    uptime=3725.5,
    readiness=Readiness(True, {"store": "ok"}),
    polls=1.25,
    counts=Counts(),
    open_circuits=0,
    space=Space(4096, 1 << 30),
    last_reload=LastReload(True, START),
)
SECRET = HmacKey(b"0" * 24)
DOCUMENTS: dict[bool, dict[str, Any]] = {}


@dataclass
class World:
    """What a test may change is plain: `tokens` and their `prefixes` by name, `hosts`, `stopping`, `readiness`,
    `reloaded`, and the fakes themselves."""

    tokens: dict[str, str] = field(default_factory=dict)
    stopping: bool = False
    readiness: Readiness = field(default_factory=lambda: Readiness(True, {"store": "ok"}))
    status: Status = field(default_factory=lambda: STATUS)
    reloaded: ReloadResult = field(default_factory=Reloaded)
    keys: tuple[Ed25519Key, ...] = (KEY,)
    prefixes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: tuple[str, ...] | None = None
    archive: Archive | None = None
    links: Links | None = None

    def __post_init__(self) -> None:
        self.clock, self.chance, self.guard, self.meter = FakeClock(), FakeChance(), FakeGuard(), FakeMeter()
        self.crew = FakeCrew(self.clock)
        self.timetable, self.alarms = FakeTimetable(self.crew, self.clock), FakeAlarms(self.crew, self.clock)
        self.provider, self.sender = FakeProvider(self.crew, self.clock), FakeSender(self.crew, self.clock)
        self.store = FakeStore()
        self.catalog = FakeCatalog(self.store)
        self.dispatcher = self._dispatcher()
        self.endpoints = Endpoints(
            usual=Receiver((SECRET,)),
            store=self.store,
            guard=self.guard,
            clock=self.clock,
            chance=self.chance,
            tell=self.dispatcher.readdress,
        )
        self.archivist = self._archivist()
        tools: dict[str, Any] = {"store": self.store, "clock": self.clock, "chance": self.chance}
        self.poller = Poller(
            **tools,
            timetable=self.timetable,
            crew=self.crew,
            meter=self.meter,
            archivist=self.archivist,
            rhythms=Rhythms(self.store, chance=self.chance),
        )
        self.registrar = Registrar(
            **tools,
            poller=self.poller,
            guard=self.guard,
            announce=self.archivist.announce,
            accept=self.archivist.accept,
        )
        self.configure("videos")
        self.timetable.on_due, self.alarms.on_due = self.poller.due, self.dispatcher.due
        self.app = build_api(self._parts())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://intake")
        self.document: dict[str, Any] = {}

    def _archivist(self) -> Archivist:
        """One that saves nothing."""

        async def ask(task: Task) -> Answer:
            raise AssertionError("nothing is saved here")

        return Archivist(
            store=self.store,
            crew=self.crew,
            clock=self.clock,
            chance=self.chance,
            meter=self.meter,
            ask=ask,
            owe=self.dispatcher.owe,
            accept=self.dispatcher.accept,
        )

    def _dispatcher(self) -> Dispatcher:
        policy = DispatchPolicy(Receivers(Receiver((SECRET,))), RetrySchedule((5.0,)), 8, 8)
        inquiries = Inquiries(lambda _: None, crew=self.crew, clock=self.clock)
        return Dispatcher(
            policy,
            store=self.store,
            refresher=Refresher(store=self.store, ask=inquiries.ask, clock=self.clock),
            sender=self.sender,
            guard=self.guard,
            alarms=self.alarms,
            crew=self.crew,
            clock=self.clock,
            chance=self.chance,
            meter=self.meter,
            user_agent="notifier/test",
        )

    def configure(self, *names: str) -> None:
        limits = PollLimits(interval=30.0, rate=100.0, concurrency=32, not_found_grace=120.0)
        self.poller.configure(dict.fromkeys(names, (self.provider, limits)))
        self.registrar.configure(dict.fromkeys(names, WatchRules(30.0, 5.0, 86_400.0)), self.guard)

    def _parts(self) -> ApiParts:
        async def reload() -> ReloadResult:
            return self.reloaded

        async def readiness() -> Readiness:
            return self.readiness

        async def status() -> Status:
            return self.status

        async def metrics() -> tuple[bytes, str]:
            return b"notifier_up 1\n", "text/plain; version=0.0.4; charset=utf-8"

        return ApiParts(
            registrar=self.registrar,
            endpoints=self.endpoints,
            dispatcher=self.dispatcher,
            poller=self.poller,
            timetable=self.timetable,
            catalog=self.catalog,
            clock=self.clock,
            tokens=lambda: {Caller(name, self._under(name)): token for name, token in self.tokens.items()},
            hosts=lambda: self.hosts,
            usual_interval={"videos": 30.0}.get,
            reload=reload,
            readiness=readiness,
            status=status,
            render_metrics=metrics,
            public_keys=lambda: self.keys,
            archive=lambda: self.archive,
            links=lambda: self.links,
            stopping=lambda: self.stopping,
            version="1.2.3",
        )

    def _under(self, name: str) -> tuple[Prefix, ...]:
        return tuple(parse_prefix(text) for text in self.prefixes.get(name, ()))

    # Calling

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """One request, its answer held against the document; `body` is sent as JSON."""
        content = {} if body is None else {"json": body}
        answer = await self.client.request(method, path, **content, **more)
        self._hold_against_document(method, answer)
        return answer

    async def add(self, **members: Any) -> dict[str, Any]:
        """Register a watch; the answer's JSON, which must be a success."""
        answer = await self.call("POST", "/v1/watches", {"task_id": "vid_1", "callback_url": HOOK} | members)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def load_document(self) -> None:
        """Once for all tests that agree about tokens: describing takes a while."""
        secured = bool(self.tokens)
        if secured not in DOCUMENTS:
            token = next(iter(self.tokens.values()), "")
            headers = {"Authorization": f"Bearer {token}"}
            DOCUMENTS[secured] = (await self.client.get("/openapi.json", headers=headers)).json()
        self.document = DOCUMENTS[secured]

    def _hold_against_document(self, method: str, answer: httpx.Response) -> None:
        operation = self._operation(method, answer.request.url.path)
        if operation is None or answer.status_code == 500:
            assert_problem(answer)
            return
        documented = operation["responses"].get(str(answer.status_code))
        assert documented is not None, f"{answer.status_code} is not documented for {method} {answer.request.url.path}"
        if "content" not in documented:
            assert answer.content == b""
            return
        media_type = answer.headers["content-type"].partition(";")[0]
        content = documented["content"].get(media_type, documented["content"].get("*/*"))
        assert content is not None, f"{media_type} is not documented for {answer.request.url.path}"
        if method != "HEAD" and (reference := content["schema"].get("$ref")):
            name = reference.rpartition("/")[2]
            home = shapes if hasattr(shapes, name) else status_shapes
            getattr(home, name).model_validate_json(answer.content)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        templates: Mapping[str, Any] = self.document["paths"]
        for template in (path, *templates):
            if template in templates and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                found: dict[str, Any] | None = templates[template].get("get" if method == "HEAD" else method.lower())
                return found
        return None


def assert_problem(answer: httpx.Response, status: int | None = None, pointer: str | None = None) -> dict[str, Any]:
    """The answer is a problem document (of this status, pointing there); returns it."""
    assert answer.headers["content-type"] == problem_documents.MEDIA_TYPE
    shapes.Problem.model_validate_json(answer.content)
    document: dict[str, Any] = json.loads(answer.content)
    assert document["status"] == answer.status_code
    assert status in (None, answer.status_code), answer.text
    assert pointer in (None, document.get("pointer")), answer.text
    return document


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[World]:
    await world.load_document()
    try:
        yield world
    finally:
        await world.client.aclose()
        await world.crew.aclose()
