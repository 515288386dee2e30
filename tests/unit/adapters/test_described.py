"""A described provider: what is asked, where the credentials go, and what the answers mean together."""

import base64
import json

import pytest

from notifier.adapters.http import Fault
from notifier.adapters.providers import DescribedApi, Fixed, Sent, SignedToken, Unready, basic, bearer
from notifier.app.describing import credentials, describe, provider_secrets
from notifier.config import Loaded, parse
from notifier.domain.answer import Completed, Failed, Running, Unauthorized, Unavailable
from tests.fake_http import FakeHttp, reply
from tests.fakes import FakeClock

ACME = """
base_url: https://api.acme.example/base
api_key: planted-key
poll: {path: "/jobs/{task_id}"}
status: status
running: [running]
completed: [done]
failed: [broken]
urls: url
"""


class Api:
    """A provider of a YAML section, at the end of a fake wire."""

    def __init__(self, section, *answers, seconds=0.0, **more):
        body = "\n".join("    " + line for line in section.strip().splitlines())
        text = f"providers:\n  acme:\n{body}\nwebhooks: {{secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}}\n"
        loaded = parse(text, "config.yaml", {}, secrets="required")
        assert isinstance(loaded, Loaded), loaded
        settings = loaded.settings.providers["acme"]
        self.clock = FakeClock()
        self.http = FakeHttp(self.clock, *(answers or (reply(200, {"status": "running"}),)), seconds=seconds)
        self.api = DescribedApi(
            describe(settings),
            more.get("credentials") or credentials(settings, self.clock, lambda _: None),
            timeout=settings.timeout,
            http=self.http,
            clock=self.clock,
            user_agent="notifier/1.2.3",
            secrets=list(provider_secrets(settings)),
        )

    async def poll(self, task_id="t/1", **variables):
        return await self.api.poll(task_id, variables)


async def test_a_poll_is_one_get_with_the_key_in_its_header():
    """The id is percent-encoded, and the whole time-out is there for it."""
    api = Api(ACME)
    assert await api.poll() == Running("running", True, '{"status": "running"}')
    (sent,) = api.http.sent
    assert (sent.method, sent.url, sent.timeout) == ("GET", "https://api.acme.example/base/jobs/t%2F1", 30.0)
    assert sent.headers == {
        "accept": "application/json",
        "user-agent": "notifier/1.2.3",
        "authorization": "Bearer planted-key",
    }


async def test_values_go_into_the_path_the_query_and_the_headers():
    """A watch's own, or their defaults; each written as its place needs."""
    api = Api(
        ACME.replace(
            'poll: {path: "/jobs/{task_id}"}',
            """
vars: {app: required, region: eu}
poll:
  path: "/{+vars.app}/{task_id}"
  query: {"r&": "{vars.region}&x", id: "{task_id}"}
  headers: {X-Region: "in-{vars.region}", Accept: text/json}
""",
        )
    )
    await api.poll(app="a/b c", ignored="x")
    (sent,) = api.http.sent
    assert sent.url == "https://api.acme.example/base/a/b%20c/t%2F1?r%26=eu%26x&id=t%2F1"
    assert (sent.headers["x-region"], sent.headers["accept"]) == ("in-eu", "text/json")


async def test_a_poll_may_be_a_post_with_json():
    """The id is a text in it, whatever is in the id."""
    poll = 'poll: {method: POST, path: /query, body: [{id: "{task_id}", n: 1, "é": null}]}'
    api = Api(ACME.replace('poll: {path: "/jobs/{task_id}"}', poll))
    await api.poll('a"b')
    (sent,) = api.http.sent
    assert (sent.method, sent.headers["content-type"]) == ("POST", "application/json")
    assert sent.body.decode() == '[{"id": "a\\"b", "n": 1, "é": null}]'
    empty = Api(ACME.replace('poll: {path: "/jobs/{task_id}"}', 'poll: {method: POST, path: "/{task_id}"}'))
    await empty.poll()
    assert empty.http.sent[0].body == b""


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        ("auth: null", {}, ""),
        ('auth: {bearer: "{api_key}"}', {"authorization": "Bearer planted-key"}, ""),
        ("auth: {bearer: other}", {"authorization": "Bearer other"}, ""),
        ('auth: {header: {name: X-Key, value: "Key {api_key}"}}', {"x-key": "Key planted-key"}, ""),
        ('auth: {query: {name: key, value: "{api_key}&"}}', {}, "?key=planted-key%26"),
        (
            'auth: {basic: {username: "{api_key}"}}',
            {"authorization": "Basic " + base64.b64encode(b"planted-key:").decode()},
            "",
        ),
        (
            "auth: {basic: {username: é, password: 'a:b'}}",
            {"authorization": "Basic " + base64.b64encode("é:a:b".encode()).decode()},
            "",
        ),
    ],
)
async def test_the_credentials_are_sent_as_the_provider_wants_them(auth, headers, query):
    """In one place and no other."""
    api = Api(ACME + auth)
    await api.poll()
    (sent,) = api.http.sent
    assert {name: value for name, value in sent.headers.items() if name not in ("accept", "user-agent")} == headers
    assert sent.url == f"https://api.acme.example/base/jobs/t%2F1{query}"
    assert "planted-key" not in repr((basic("planted-key", "x"), bearer("planted-key"), Fixed(bearer("planted-key"))))


async def test_a_signed_token_is_used_for_half_of_its_time():
    """Each is told, so that no log line holds it; one that was refused, or that a clock which was set makes wrong, is
    used no more."""
    learned, clock = [], FakeClock()
    token = SignedToken("a", "planted-secret", ttl=60.0, clock=clock, learned=learned.append)
    first = await token.now()
    assert first.headers == {"authorization": f"Bearer {learned[0]}"}
    clock.move_to(clock.monotonic() + 29)
    assert await token.now() is first
    clock.move_to(clock.monotonic() + 1)
    assert await token.now() != first
    clock.jump(-10)
    await token.now()
    clock.jump(1)
    token.refused()
    await token.now()
    assert len(set(learned)) == len(learned) == 4
    assert "planted" not in repr(token)


SAYS = "https://api.acme.example/?key=SECRET failed, really"


@pytest.mark.parametrize(
    ("auth", "secret"),
    [
        ("", "planted-key"),
        ("auth: {query: {name: key, value: '{api_key}/&'}}", "planted-key%2F%26"),
        ("auth: {basic: {username: me, password: '{api_key}'}}", base64.b64encode(b"me:planted-key").decode()),
        ("auth: {header: {name: X-Key, value: 'Key planted-other'}}", "planted-other"),
        ("auth: {body: {name: key, value: planted-member}}\npoll: {method: POST, path: /x}", "planted-member"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "where"),
    [
        ({"status": "running SAYS", "model": "SAYS"}, lambda answer: (answer.status, answer.model)),
        ({"status": "done", "url": "https://a/", "model": "SAYS"}, lambda answer: (answer.model,)),
        (
            {"status": "broken", "error": {"code": "SAYS", "message": "SAYS"}, "model": "SAYS"},
            lambda answer: (answer.error.code, answer.error.message, answer.model),
        ),
        ({"status": "oops", "error": "SAYS"}, lambda answer: (answer.message,)),
    ],
)
async def test_what_a_provider_says_holds_no_secret(auth, secret, answer, where):
    """It may echo what it was sent; the answer itself is passed on as it came."""
    said = json.dumps(answer).replace("SAYS", SAYS.replace("SECRET", secret))
    section = ACME if "poll:" not in auth else ACME.replace('poll: {path: "/jobs/{task_id}"}\n', "")
    rules = 'model: model\nrules: [{when: "status == \'oops\'", outcome: unavailable}]\n'
    api = Api(section + rules + auth, reply(200, json.loads(said)))
    found = await api.poll()
    assert all(secret not in text and "key=*** failed" in text for text in where(found)), found
    if not isinstance(found, Unavailable):
        assert secret in found.response


async def test_an_echoed_token_is_masked():
    """Also one that was signed for the request."""
    token = SignedToken("a", "planted-secret", ttl=1800.0, clock=FakeClock(), learned=lambda _: None)
    signed = next(iter((await token.now()).texts())).removeprefix("Bearer ")
    echo = reply(200, {"status": "broken", "error": f"bad {signed}!"})
    api = Api(ACME + "auth: {jwt_hs256: {access_key: a, secret_key: planted-secret}}", echo)
    failed = await api.poll()
    assert isinstance(failed, Failed)
    assert (failed.error.message, signed in str(failed.response)) == ("bad ***!", True)


async def test_without_credentials_nothing_is_asked():
    """What a command's failure means is told as the poll's outcome, and nothing ends."""

    class Broken:
        async def now(self):
            return Unready("the command failed")

    api = Api(ACME, credentials=Broken())
    assert await api.poll() == Unavailable("the command failed")
    assert api.http.sent == []


async def test_a_refusal_is_told_to_who_has_the_credentials():
    """So that a command prints a new token; a 403 says something else."""

    class Counting:
        refusals = 0

        async def now(self):
            return Sent()

        def refused(self):
            self.refusals += 1

    counting = Counting()
    api = Api(ACME, reply(403), reply(401), credentials=counting)
    assert (await api.poll(), counting.refusals) == (Unauthorized(403), 0)
    assert (await api.poll(), counting.refusals) == (Unauthorized(401), 1)


async def test_a_fault_of_the_network_is_unavailable():
    """With its own words."""
    assert await Api(ACME, Fault("timeout", "api: no answer")).poll() == Unavailable("api: no answer")


async def test_a_task_that_cannot_be_asked_for_is_never_asked_for_elsewhere():
    """A value that would lead to another path is no request at all."""
    api = Api(ACME)
    assert await api.poll("..") == Unavailable(
        "no request can be made for this task: the value for {task_id} has an empty segment, or one of dots, that "
        "would lead to another path"
    )
    assert api.http.sent == []


RESULT = ACME + 'result: {path: "/files/{answer.file}", query: {of: "{task_id}"}, headers: {X-A: "{answer.file}"}}\n'
DONE = reply(200, {"status": "done", "file": "f/1"})


async def test_a_second_request_completes_a_success():
    """With values of the first answer, the same credentials, and what is left of the time-out."""
    api = Api(RESULT, DONE, reply(200, {"url": "https://cdn.example/1"}), seconds=9.0)
    assert await api.poll() == Completed("done", ("https://cdn.example/1",), '{"url": "https://cdn.example/1"}')
    first, second = api.http.sent
    assert second.url == "https://api.acme.example/base/files/f%2F1?of=t%2F1"
    assert (second.headers["authorization"], second.headers["x-a"]) == ("Bearer planted-key", "f/1")
    assert (first.timeout, second.timeout) == (30.0, 21.0)


async def test_only_a_success_has_a_second_request():
    """Neither a running task nor a failed one."""
    for status, kind in (("running", Running), ("broken", Failed)):
        api = Api(RESULT, reply(200, {"status": status}))
        assert isinstance(await api.poll(), kind)
        assert len(api.http.sent) == 1


@pytest.mark.parametrize(
    ("answers", "seconds", "message"),
    [
        ([DONE, reply(404)], 0, "HTTP 404 for the result of a completed task"),
        ([DONE, Fault("connect", "api: broken")], 0, "api: broken"),
        ([DONE], 30.0, "no complete answer within 30 s"),
        (
            [reply(200, {"status": "done"})],
            0,
            "the result of a completed task cannot be asked for: there is no value for {answer.file}",
        ),
    ],
)
async def test_a_result_that_cannot_be_had_now_ends_nothing(answers, seconds, message):
    """The task is polled again."""
    assert await Api(RESULT, *answers, seconds=seconds).poll() == Unavailable(message)


LINKED = ACME + "result: {url: link, query: {a: b}}\nhosts: [queue.acme.example]\n"


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("https://api.acme.example/r?x=1#y", "https://api.acme.example/r?x=1&a=b#y"),
        ("/r", "https://api.acme.example/r?a=b"),
        ("https://queue.acme.example/r", "https://queue.acme.example/r?a=b"),
        ("http://queue.acme.example/r", None),
        ("http://api.acme.example/r", None),
        ("https://api.acme.example:8443/r", None),
        ("https://evil.example/r", None),
        ("//evil.example/r", None),
        ("https://api.acme.example@evil.example/r", None),
        ("https://api.acme.example.evil.example/r", None),
        ("https://evil.example\\@api.acme.example/r", None),
        ("\thttps://evil.example/r", None),
        (None, None),
    ],
)
async def test_a_result_s_url_is_asked_only_where_the_key_may_go(link, asked):
    """On base_url's origin or a listed host, and never by a downgrade to http."""
    api = Api(LINKED, reply(200, {"status": "done", "link": link}), reply(200, {"url": "https://cdn.example/1"}))
    answer = await api.poll()
    assert [sent.url for sent in api.http.sent[1:]] == ([] if asked is None else [asked])
    if asked is None:
        assert isinstance(answer, Unavailable)
        reason = "does not name its URL" if link is None else "list that host under hosts"
        assert reason in answer.message
    else:
        assert answer.urls == ("https://cdn.example/1",)


async def test_a_trace_shows_every_request_without_the_credentials():
    """What was asked, what was heard, and what each answer means by itself."""
    api = Api(RESULT, DONE, reply(500, b"oops"))
    traced = await api.api.trace("t", {})
    assert traced.answer == Unavailable("HTTP 500")
    first, second = traced.exchanges
    assert (first.reading.answer.status, first.heard.status, second.heard.body) == ("done", 200, b"oops")
    assert "planted-key" not in repr(traced)
    assert api.api.description.base_url == "https://api.acme.example/base"
