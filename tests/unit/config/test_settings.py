"""What a right file becomes."""

from ipaddress import ip_network

import pydantic
import pytest
from pydantic import SecretStr

from notifier.config import PRESETS, SystemdListen, TcpListen, UnixListen, needs_restart
from notifier.domain.address import Refusal, examine
from notifier.domain.event import EVENT_TYPES


def test_the_shortest_file_gets_every_default(settings_of, least, secret):
    """Durations are seconds, rates per second; no intake setting, endpoint or watch is needed."""
    settings = settings_of(least)
    provider, webhooks = settings.providers["videos"], settings.webhooks
    assert (settings.store.url, settings.store.retention) == ("sqlite:///notifier.db", 30 * 86_400.0)
    assert (settings.intake.listen, settings.intake.tokens) == (TcpListen("127.0.0.1", 8470), ())
    assert (provider.preset, provider.base_url) == ("videos", PRESETS["videos"])
    assert provider.api_key == SecretStr("key")
    assert (provider.interval, provider.min_interval, provider.deadline) == (30.0, 5.0, 86_400.0)
    assert (provider.timeout, provider.rate, provider.concurrency) == (30.0, 10.0, 32)
    assert provider.not_found_grace == 120.0
    assert webhooks.secrets == (SecretStr(secret),)
    assert (webhooks.timeout, webhooks.concurrency, webhooks.per_host) == (15.0, 256, 8)
    assert webhooks.refresh_after == 3600.0
    assert webhooks.retry == (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 86_400)
    assert webhooks.allow_networks == settings.endpoints == settings.watches == ()
    assert (settings.node.name, settings.log.level, settings.log.format) == (None, "info", "auto")


@pytest.mark.parametrize(
    ("written", "seconds"), [("0", None), ("0s", None), ("null", None), ("0.01", 0.01), ("30m", 1800.0)]
)
def test_urls_can_be_asked_for_again_never(settings_of, least, written, seconds):
    """0 and null switch it off; everything else is a duration."""
    assert settings_of(f"{least}  refresh_after: {written}\n").webhooks.refresh_after == seconds


@pytest.mark.parametrize(
    ("written", "listen"),
    [
        ("null", None),
        ("~", None),
        ("127.0.0.1:8470", TcpListen("127.0.0.1", 8470)),
        ("localhost:0", TcpListen("localhost", 0)),
        ("LOCALHOST:65535", TcpListen("LOCALHOST", 65535)),
        ("127.8.8.8:80", TcpListen("127.8.8.8", 80)),
        ("'[::1]:8470'", TcpListen("::1", 8470)),
        ("'[0:0:0::1]:8470'", TcpListen("::1", 8470)),
        ("unix:/run/notifier.sock", UnixListen("/run/notifier.sock")),
        ("unix:relative.sock", UnixListen("relative.sock")),
        (f"unix:/{'x' * 106}", UnixListen(f"/{'x' * 106}")),
        ("'systemd:'", SystemdListen()),
        ("systemd", SystemdListen()),
        ("${LISTEN}", UnixListen("/run/x")),
    ],
)
def test_the_intake_listens_where_only_this_machine_comes_without_tokens(settings_of, least, written, listen):
    """Every form of `intake.listen` that needs no token."""
    text = f"{least}intake:\n  listen: {written}\n"
    assert settings_of(text, {"LISTEN": "unix:/run/x"}).intake.listen == listen


@pytest.mark.parametrize("host", ["0.0.0.0", "'[::]", "192.0.2.1", "notifier.example.com"])
def test_with_a_token_it_may_listen_anywhere(settings_of, least, host):
    """A token opens all addresses."""
    closing = "'" if host.startswith("'") else ""
    text = f"{least}intake:\n  listen: {host}:80{closing}\n  tokens: [{{name: a, token: b}}]\n"
    settings = settings_of(text)
    assert settings.intake.listen == TcpListen(host.strip("'[]"), 80)
    assert [(token.name, token.token) for token in settings.intake.tokens] == [("a", SecretStr("b"))]


def test_a_watch_of_the_file_keeps_what_it_says(settings_of, least):
    """Metadata come through untouched, in the types that JSON has; what is not said is None or the only provider."""
    text = f"""{least}watches:
  - task_id: '123'
    callback_url: https://a.example/hook?x=${{V}}
    interval: 45s
    deadline: 1h
    metadata: {{order: 1042, note: on, list: [1.5, null, true, "${{V}}"], "5": {{}}}}
  - {{task_id: b, callback_url: "https://a.example/"}}
"""
    first, second = settings_of(text, {"V": "v"}).watches
    assert (first.task_id, first.callback_url) == ("123", "https://a.example/hook?x=v")
    assert (first.provider, first.interval, first.deadline) == ("videos", 45.0, 3600.0)
    assert first.metadata == {"order": 1042, "note": "on", "list": [1.5, None, True, "v"], "5": {}}
    assert {type(text) for text in (first.task_id, first.callback_url, first.metadata["list"][3])} == {str}
    assert (second.interval, second.deadline, second.metadata) == (None, None, {})


def test_an_endpoint_keeps_what_it_says(settings_of, least):
    """Headers, events and limits of its own; by default all events are sent and there are no limits."""
    text = f"""{least}endpoints:
  - {{url: "https://a.example/1", headers: {{X-Env: "${{V}}", Authorization: Bearer x}}, events: [task.failed],
     rate: 30/m, concurrency: 4}}
  - {{url: "https://a.example/2"}}
"""
    first, second = settings_of(text, {"V": "production"}).endpoints
    assert first.headers == {"X-Env": "production", "Authorization": "Bearer x"}
    assert first.events == ("task.failed",)
    assert (first.rate, first.concurrency, second.rate, second.concurrency) == (0.5, 4, None, None)
    assert (second.headers, second.events) == ({}, EVENT_TYPES)


def test_networks_are_what_the_guard_takes(settings_of, least):
    """A single address is a network of its own."""
    allow = settings_of(f"{least}  allow_networks: [10.0.0.0/8, '::1', 192.0.2.7]\n").webhooks.allow_networks
    assert allow == (ip_network("10.0.0.0/8"), ip_network("::1/128"), ip_network("192.0.2.7/32"))
    assert not isinstance(examine("http://10.9.9.9/", allow), Refusal)


def test_a_base_url_may_be_private_and_loses_its_last_slash(settings_of, secret):
    """The operator chose it; a preset only gives the default."""
    text = f"""
        providers: {{mine: {{preset: videos, api_key: k, base_url: "http://10.0.0.1:99/x/"}}}}
        webhooks: {{secret: {secret}}}
        """
    provider = settings_of(text).providers["mine"]
    assert (provider.preset, provider.base_url) == ("videos", "http://10.0.0.1:99/x")


def test_settings_do_not_change(settings_of, least):
    """They are read once and handed round."""
    settings = settings_of(least)
    with pytest.raises(pydantic.ValidationError):
        settings.store.url = "sqlite:///other.db"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("", ()),
        ("store: {url: 'sqlite:///x'}", ("store",)),
        ("store: {retention: 1d}", ("store",)),
        ("node: {name: x}", ("node",)),
        ("intake: {listen: null}", ("intake.listen",)),
        ("intake: {tokens: [{name: a, token: b}]}", ()),
        ("intake: {listen: 127.0.0.1:8470}", ()),
        ("log: {level: debug}\n  # rest", ()),
        ("store: {retention: 1d}\nnode: {name: x}\nintake: {listen: null}", ("store", "node", "intake.listen")),
    ],
)
def test_a_change_that_a_reload_does_not_apply_is_named(settings_of, least, changed, named):
    """Only `store`, `node` and `intake.listen` need a restart."""
    assert needs_restart(settings_of(least), settings_of(f"{least}{changed}\n")) == named
