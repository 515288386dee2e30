"""Every preset against a server that plays its API: the real poller, the real requests, the recorded answers."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from aiohttp import web

from notifier.adapters.http import Http
from notifier.adapters.providers import DescribedApi
from notifier.app.describing import credentials, describe
from notifier.config import Loaded, parse
from notifier.domain.answer import Answer, Completed, Failed
from notifier.services.channel import PollLimits
from tests.recorded import Api, Asked, Recorded, Said, apis, differences
from tests.unit.services.world import RULES, World

LIMITS = PollLimits(interval=30.0, rate=1000.0, concurrency=32, not_found_grace=120.0)
ELSEWHERE = "https://elsewhere.example"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Player:
    """Plays one API after the other: below `/N` it gives the Nth script, one answer a request, the last one for ever.
    A request outside of that is `astray`."""

    scripts: dict[str, list[Said]] = field(default_factory=dict)
    seen: defaultdict[str, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    astray: list[str] = field(default_factory=list)
    origin: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        number, _, path = request.raw_path.partition("?")[0].removeprefix("/").partition("/")
        if number not in self.scripts:
            self.astray.append(request.raw_path)
            return web.Response(status=204)
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Seen(request.method, f"/{path}", dict(request.query), headers, json.loads(raw) if raw else None)
        said = self.scripts[number][min(len(self.seen[number]), len(self.scripts[number]) - 1)]
        self.seen[number].append(asked)
        return web.Response(status=said.http, headers=self._there(said.headers), body=said.body)

    def _there(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {name: value.replace(ELSEWHERE, f"{self.origin}/elsewhere") for name, value in headers.items()}


@pytest.fixture
async def player():
    """Listening on loopback."""
    one = Player()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield one
    await runner.cleanup()


@pytest.fixture
async def http():
    """A client as the daemon has it for providers."""
    client = Http(guard=None, keepalive=5)
    yield client
    await client.aclose()


@dataclass
class Ear:
    """A preset's real API client, that also keeps what its poll meant."""

    api: DescribedApi
    variables: Mapping[str, str]
    heard: list[Answer] = field(default_factory=list)

    async def poll(self, task_id: str, _: Mapping[str, str]) -> Answer:
        answer = await self.api.poll(task_id, self.variables)
        self.heard.append(answer)
        return answer


def api_of(api: Api, base_url: str, *, http: Http, world: World, **more: Any) -> DescribedApi:
    """The client of a preset, configured with the least that must be written and this base_url."""
    provider = {**api.settings, "base_url": base_url, **more}
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
    text = json.dumps({"providers": {api.preset: provider}, "webhooks": {"secret": secret}})
    loaded = parse(text, "FILE", {}, secrets="required")
    assert isinstance(loaded, Loaded), loaded
    settings = loaded.settings.providers[api.preset]
    return DescribedApi(
        describe(settings),
        credentials(settings, world.clock, lambda _: None),
        timeout=PATIENCE,
        http=http,
        clock=world.clock,
        user_agent="notifier/1.2.3",
    )


async def until_polled(world: World, count: int) -> None:
    """Real requests take real time, which the fake crew does not wait for."""
    async with asyncio.timeout(PATIENCE):
        while len(world.meter.polls) < count:
            await world.crew.run()
            await asyncio.sleep(0.005)
    await world.crew.run()


def request_faults(asks: Asked, seen: Seen) -> list[str]:
    wanted = {"method": asks.method, "path": asks.path, "query": dict(asks.query), "body": asks.body}
    faults = [f"{name} is {getattr(seen, name)!r}, not {value!r}" for name, value in wanted.items()
              if getattr(seen, name) != value]
    faults += [f"{name}: {seen.headers.get(name)!r}, not {value!r}" for name, value in asks.headers.items()
               if seen.headers.get(name) != value]
    if "authorization" not in asks.headers and "authorization" in seen.headers:
        faults.append("has an authorization that nobody asked for")
    return faults


async def test_the_poller_understands_every_answer_of_every_preset(player, http):
    """Each recorded answer, through real requests and the real poller: the request is the API's own, the outcome the
    documented one, an end is told with its URLs or its error, and nobody else is asked anything."""
    world = World()
    plays: dict[str, tuple[Api, Recorded, Ear]] = {}
    for api in apis():
        for recorded in api.answers:
            number = str(len(plays))
            player.scripts[number] = [recorded.said, *([recorded.then] if recorded.then else [])]
            client = api_of(api, f"{player.origin}/{number}", http=http, world=world)
            plays[number] = (api, recorded, Ear(client, api.variables))
    world.poller.configure({number: (ear, LIMITS) for number, (_, _, ear) in plays.items()})
    world.registrar.configure(dict.fromkeys(plays, RULES), world.guard)
    for number, (api, _, _) in plays.items():
        await world.accept(api.task, f"https://app.example.com/hooks/{number}", provider=number)
    await until_polled(world, len(plays))

    outcomes = {provider: outcome for provider, outcome, _, _ in world.meter.polls}
    events = {event["data"]["provider"]: event for event in map(json.loads, _bodies(world))}
    wrong: list[str] = []
    for number, (api, recorded, ear) in plays.items():
        base_url = f"{player.origin}/{number}"
        faults = list(differences(recorded, ear.heard[0], now=world.clock.now(), base_url=base_url))
        if outcomes[number] != recorded.means["is"]:
            faults.append(f"the poller counted {outcomes[number]}")
        faults += _untold(ear.heard[0], events.get(number))
        faults += request_faults(api.asks, player.seen[number][0])
        if recorded.then_asks:
            faults += request_faults(_with_headers(recorded.then_asks, api.asks), player.seen[number][1])
        if len(player.seen[number]) > (2 if recorded.then else 1):
            faults.append("asked more than once")
        wrong += [f"{recorded}: {fault}" for fault in faults]
    assert not wrong, "\n".join(wrong)
    assert player.astray == []


def _bodies(world: World) -> list[bytes]:
    return [delivery.body for delivery in world.store.deliveries.values()]


def _with_headers(asked: Asked, first: Asked) -> Asked:
    """The second request carries the credentials, too."""
    return Asked(asked.path, asked.method, asked.query, {**first.headers, **asked.headers}, asked.body)


def _untold(answer: Answer, event: Mapping[str, Any] | None) -> list[str]:
    """What an end's event does not say, or what was told of a task that has not ended."""
    match answer:
        case Completed(urls=urls, final=final) if urls or final:
            told = event and (event["type"], event["data"]["urls"])
            return [] if told == ("task.completed", list(urls)) else [f"the event is {event}"]
        case Failed(error=error):
            told = event and (event["type"], event["data"]["error"])
            wanted = ("task.failed", {"code": error.code, "message": error.message})
            return [] if told == wanted else [f"the event is {event}"]
        case _:
            return [] if event is None else [f"this is no end, and was told: {event}"]


async def test_a_signed_token_takes_the_place_of_a_key(player, http):
    """Kling with an access key and a secret key: each poll carries a token that they sign, good for half an hour."""
    (kling,) = (api for api in apis() if api.preset == "kling")
    world = World()
    secret = "s" * 32
    auth = {"jwt_hs256": {"access_key": "AK", "secret_key": secret, "ttl": "30m"}}
    player.scripts["1"] = [kling.answers[0].said]
    client = api_of(kling, f"{player.origin}/1", http=http, world=world, auth=auth)
    await client.poll(kling.task, kling.variables)
    token = player.seen["1"][0].headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, secret, algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False})
    now = int(world.clock.now().timestamp())
    assert claims == {"iss": "AK", "exp": now + 1800, "nbf": now - 5}
