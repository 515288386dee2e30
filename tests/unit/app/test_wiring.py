"""Settings → what the services work with."""

import base64
import os
import socket

import pytest

from notifier.adapters.http import NOWHERE, Http
from notifier.adapters.webhook import KEPT_BYTES, kept
from notifier.app import wiring
from notifier.app.daemon import node_name
from notifier.config import Loaded, Settings, parse
from notifier.domain.endpoint import receiver
from notifier.domain.receiver import Receivers, public_keys
from notifier.ports import Provider
from notifier.services.channel import PollLimits
from tests.fakes import FakeClock

ONE, TWO = ("whsk_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
CONFIG = f"""
providers: {{videos: {{api_key: planted-key}}}}
intake: {{tokens: [{{name: a, token: planted-token}}]}}
webhooks: {{secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, {ONE}]}}
endpoints:
  - {{url: https://own.example/hook, secrets: [{TWO}, {ONE}], headers: {{X-Env: test}}, events: [task.failed],
     rate: 5/s, concurrency: 2}}
"""


def settings(text: str = CONFIG) -> Settings:
    loaded = parse(text, "config.yaml", {}, secrets="required")
    assert isinstance(loaded, Loaded), loaded
    return loaded.settings


def merged(read: Settings) -> Receivers:
    endpoints = {each.url: receiver(each.terms) for each in wiring.declared_endpoints(read)}
    return Receivers(wiring.usual_receiver(read), endpoints)


def test_a_token_is_known_by_its_name_and_what_it_is_limited_to() -> None:
    """Without `callback_prefixes` to nothing."""
    limited = CONFIG.replace(
        "{name: a,", "{name: b, token: other, callback_prefixes: ['https://own.example']}, {name: a,"
    )
    known = {caller.name: (caller, token) for caller, token in wiring.tokens(settings(limited)).items()}
    assert [known[name][1] for name in ("a", "b")] == ["planted-token", "other"]
    assert [known[name][0].allows("https://app.example/") for name in ("a", "b")] == [True, False]
    assert known["b"][0].allows("https://own.example/hook")


@pytest.mark.parametrize(
    ("written", "adaptive", "seconds"),
    [("45s", False, 45.0), ("20", False, 20.0), ("auto", True, 30.0), ("auto 45s", True, 45.0)],
)
def test_an_interval_is_fixed_or_the_reference_of_an_adaptive_one(
    written: str, adaptive: bool, seconds: float
) -> None:
    """Everybody who asks for the interval gets seconds; the poller also hears what they mean."""
    read = settings(CONFIG.replace("planted-key", f"planted-key, interval: {written}, min_interval: 2s"))
    limits = wiring.poll_limits(read.providers["videos"])
    assert (limits.adaptive, limits.interval, limits.min_interval) == (adaptive, seconds, 2.0)
    assert wiring.watch_rules(read)["videos"].interval == seconds


def test_an_endpoint_has_its_own_secrets_headers_events_and_limits() -> None:
    """They hold for its exact URL only; every other one gets the global secrets."""
    receivers = merged(settings())
    own, other = receivers.at("https://own.example/hook"), receivers.at("https://own.example/hook/")
    assert (len(own.keys), dict(own.headers), own.events) == (2, {"X-Env": "test"}, {"task.failed"})
    assert (len(other.keys), dict(other.headers), len(other.events)) == (2, {}, 5)
    assert (own.rate, own.concurrency, other.rate, other.concurrency) == (5.0, 2, None, None)
    assert own.keys[1] == other.keys[1]
    assert own.keys[0] not in other.keys


def test_public_keys_are_shown_of_everybody_who_signs_with_one() -> None:
    """The global ones and those of endpoints, each once."""
    assert len(public_keys(merged(settings()))) == 2


AUTHS = """
providers:
  a: {preset: videos, auth: {bearer: planted-a}}
  b: {preset: videos, auth: {header: {name: X, value: planted-b}}}
  c: {preset: videos, auth: {query: {name: x, value: planted-c}}}
  d: {preset: videos, auth: {basic: {username: planted-d, password: planted-e}}}
  f: {preset: videos, auth: {jwt_hs256: {access_key: planted-f, secret_key: planted-g}}}
  h: {preset: videos, auth: {command: [planted-h]}}
  i: {preset: videos, auth: null}
  j: {preset: videos, api_key: planted-k, auth: {header: {name: X, value: "Key {api_key}"}}}
webhooks: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
"""


WRITTEN = """
providers:
  a: {preset: videos, auth: {query: {name: x, value: "planted/&"}}}
  b: {preset: videos, auth: {basic: {username: user, password: planted-q}}}
  c:
    preset: videos
    auth: null
    poll: {path: "/{task_id}", headers: {Authorization: Bearer planted-r, x-API-key: planted-s, X-Trace: trace-u}}
    result: {path: "/{task_id}", headers: {cookie: sid=planted-t}}
webhooks: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
"""


def test_every_secret_is_known_to_the_log() -> None:
    """Keys, tokens and signing secrets, those of endpoints too, and however a provider is told who asks."""
    assert wiring.secret_values(settings()) >= {"planted-key", "planted-token", ONE, TWO}
    found = wiring.secret_values(settings(AUTHS))
    assert found >= {f"planted-{letter}" for letter in "abcdefgk"} | {"Key planted-k"}
    assert "planted-h" not in found


def test_a_provider_s_secrets_are_known_to_the_log_as_they_are_sent() -> None:
    """Percent-encoded, in base64, and where headers were written by hand; no scheme is a secret."""
    found = wiring.secret_values(settings(WRITTEN))
    assert found >= {"planted%2F%26", "dXNlcjpwbGFudGVkLXE=", "planted-r", "planted-s", "sid=planted-t"}
    assert found.isdisjoint({"Bearer", "trace-u", "planted-v"})


def test_only_a_provider_that_is_asked_otherwise_is_another_one() -> None:
    """A reload about its limits, or about other providers, must not end its pause; one about anything else does."""
    book = wiring.ProviderBook(Http(guard=None, keepalive=1.0), FakeClock(), lambda _: None)

    def built(more: str) -> tuple[Provider, PollLimits]:
        text = f"providers: {{a: {{preset: videos, api_key: k, {more}}}, b: {{preset: videos, api_key: l}}}}\n"
        return book.providers(settings(text + CONFIG.partition("\n")[2].partition("\n")[2]))["a"]

    first, limits = built("interval: 30s")
    assert limits.min_interval == 5.0
    assert built("interval: 31s, rate: 1/s, deadline: 1h, docs: https://a.example, min_interval: 1s")[0] is first
    changes = ["timeout: 3s", "auth: {bearer: x}", "completed: [done]", "urls: x"]
    changes += ["rules: [{http: [202], outcome: running}]", "vars: {a: b}", "hosts: [b.example]"]
    changes += ["poll: {path: '/{task_id}'}"]
    for change in changes:
        other, _ = built(change)
        assert other is not first
        first = other


async def test_a_result_is_fetched_with_what_its_provider_is_asked_with() -> None:
    """On the provider's own origin and the hosts that it lists, however it is told who asks."""
    book = wiring.ProviderBook(Http(guard=None, keepalive=1.0), FakeClock(), lambda _: None)
    book.providers(settings(AUTHS.replace("planted-a}", "planted-a}, hosts: [files.example]")))
    homes = {name: await book.home(name) for name in "abcdfi"}
    assert homes["a"].headers == {"authorization": "Bearer planted-a"}
    assert homes["a"].origins == {"https://zcbservice.aizfw.cn:443", "https://files.example:443"}
    assert homes["b"].headers == {"x": "planted-b"}
    assert homes["c"].signed("https://a.example/f?n=1") == "https://a.example/f?n=1&x=planted-c"
    assert homes["d"].headers["authorization"].startswith("Basic ")
    assert homes["f"].headers["authorization"].startswith("Bearer ey")
    assert (dict(homes["i"].headers), homes["i"].query) == ({}, ())
    assert await book.home("unknown") == NOWHERE


def test_at_most_1_kib_of_an_answer_is_kept() -> None:
    """In bytes, also when it is no UTF-8 or a character is cut; NUL is left out, for databases do not take it."""
    assert kept(b"ok\x00") == "ok"
    for body in (b"\xff" * 4000, "é".encode() * 1000, b"a" + "é".encode() * 1000, b"a" * 4000):
        assert KEPT_BYTES - 3 <= len(kept(body).encode()) <= KEPT_BYTES


def test_a_node_is_called_as_the_file_says_or_after_its_machine_and_process() -> None:
    """Several daemons of one machine are told apart."""
    assert node_name(settings(CONFIG + "node: {name: left}\n")) == "left"
    assert node_name(settings()) == f"{socket.gethostname()}-{os.getpid()}"
