"""No answer whatever makes a poll raise, ends a task without a mapped word or rule, or sends the key elsewhere."""

import asyncio
import json
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier.adapters.http import Fault, Reply
from notifier.adapters.providers import DescribedApi, Fixed, bearer
from notifier.app.describing import describe
from notifier.config import Loaded, parse
from notifier.domain.answer import Completed, Failed, outcome_name
from notifier.domain.task import Task, advance
from tests.fake_http import FakeHttp, reply
from tests.fakes import START, FakeClock
from tests.thoroughness import examples

CONFIG = """
webhooks: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
providers:
  acme:
    base_url: https://api.acme.example
    auth: null
    hosts: [queue.acme.example]
    poll: {path: "/jobs/{task_id}"}
    rules:
      - {http: [202, 5xx], when: busy, outcome: running}
      - {when: "code && code != `0`", outcome: unavailable}
      - {when: gone, outcome: not_found}
      - {when: finished, outcome: completed}
    status: [data.status, status, "[0].status"]
    running: [queued]
    completed: [done]
    failed: [broken]
    urls: ["url", "urls[].url || urls", "values(data)"]
    error: {code: error.code, message: [error.message, error, "from_json(text).error"]}
    progress: progress
    model: model
    expires: {at: expires_at}
    result: {url: link, rules: [{http: [422], outcome: failed}]}
    download: {path: "/files/{answer.id}"}
    hint: {seconds: again}
"""
loaded = parse(CONFIG, "config.yaml", {}, secrets="required")
assert isinstance(loaded, Loaded), loaded
DESCRIPTION = describe(loaded.settings.providers["acme"])
OURS = ("https://api.acme.example", "https://queue.acme.example")
TASK = Task(key=1, provider="acme", task_id="t", interval=30.0, deadline_at=START + timedelta(days=1))

links = st.sampled_from(
    [
        "https://evil.example/",
        "//evil.example",
        "/r",
        "http://api.acme.example/",
        "https://api.acme.example@evil.example",
        "https://queue.acme.example/",
        "https://queue.acme.example:8443/",
        "https://api.acme.example/r",
        "x",
        "\ud800",
    ]
)
words = st.sampled_from(["queued", "done", "broken", "DONE", " done ", "doner", "", "odd"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | words | links
names = ["id", "status", "data", "url", "urls", "link", "error", "message", "code", "text", "busy", "gone", "finished"]
names += ["progress", "model", "expires_at", "again"]
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=5),
    max_leaves=12,
)
members = st.dictionaries(st.sampled_from(names), values, max_size=8)
likely = st.fixed_dictionaries({"status": words}, optional={"link": links, "id": st.just("t"), "error": values})
documents = st.one_of(likely, members, values).map(lambda value: json.dumps(value).encode())
bodies = documents | st.binary(max_size=60) | st.sampled_from([b"[" * 5000, b'{"a":' * 400 + b"1" + b"}" * 400])
fields = st.sampled_from(["retry_after", "location", "content_type"])
headers = st.dictionaries(fields, links.map(lambda link: link.encode("ascii", "replace").decode()))
replies = st.builds(
    lambda status, body, truncated, headers: reply(status, body, truncated=truncated, **headers),
    st.sampled_from([200, 200, 200, 201, 202, 302, 401, 404, 422, 429, 500, 503]) | st.integers(100, 999),
    bodies,
    st.booleans(),
    headers,
)
answers = replies | st.just(Fault("timeout", "no answer"))


def may_end(heard: Reply) -> bool:
    """Whether the answer has a mapped word where the description looks for one, or a rule says so."""
    if heard.truncated or not 200 <= heard.status < 300:
        return False
    try:
        document = json.loads(heard.body)
    except (ValueError, RecursionError):
        return False
    said = json.dumps(document).lower()
    return any(word in said for word in ("done", "broken", "finished", "gone"))


@given(answers, answers)
@example(reply(200, {"status": "done", "link": "https://evil.example/"}), reply(200, {}))
@example(reply(500, {"status": "done", "link": "/r"}), reply(200, {}))
@example(reply(500, {"status": "broken"}), reply(200, {}))
@example(reply(404, {"finished": True, "link": "/r"}), reply(200, {}))
@example(reply(200, {"status": "done", "link": "/r"}), reply(422, b"\xff"))
@settings(max_examples=examples(25), deadline=None)
def test_no_answer_whatever_does_harm(first, second):
    """Any JSON, bytes, status, size or header, for both requests of a poll."""
    clock = FakeClock()
    http = FakeHttp(clock, first, second)
    api = DescribedApi(
        DESCRIPTION, Fixed(bearer("planted-key")), timeout=30.0, http=http, clock=clock, user_agent="notifier"
    )
    answer = asyncio.run(api.poll("t", {}))
    assert outcome_name(answer)
    ends = isinstance(answer, Completed | Failed)
    if ends or advance(TASK, answer, now=START, not_found_grace=120.0).task.end is not None:
        assert isinstance(first, Reply)
        assert may_end(first)
    assert 1 <= len(http.sent) <= 2
    for sent in http.sent:
        assert sent.origin in OURS
        assert sent.headers["authorization"] == "Bearer planted-key"
    json.dumps([answer.status if hasattr(answer, "status") else None, getattr(answer, "urls", [])]).encode()
    assert getattr(answer, "ask_again", None) is None or 1 <= answer.ask_again <= 3600
