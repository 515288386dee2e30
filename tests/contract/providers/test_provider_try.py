"""`notifier provider try` against a server on loopback: one real poll, everything told, and no secret shown."""

import base64
import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner, Result

from notifier.cli.root import app
from tests.http_server import HttpServer, Request, send

KEY = "k3y/with+odd=chars"
DONE = {"id": "a/b", "state": "done", "url": "https://cdn.example/v.mp4"}


class Api:
    """Gives `answers` (status, headers, JSON), the last one for ever; with `echo` each holds all that it was sent."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], object]] = [(200, {}, DONE)]
        self.echo = False
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.server = HttpServer(self.handle)
        self.url = self.server.url

    def handle(self, request: Request) -> None:
        length = int(request.headers.get("content-length") or 0)
        self.heard.append((f"{request.command} {request.path}", dict(request.headers), request.rfile.read(length)))
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        send(request, status, json.dumps(self.mirror() if self.echo else body).encode(), **headers)

    def mirror(self) -> object:
        line, headers, body = self.heard[-1]
        return {"state": "broken", "error": {"code": line, "message": f"{headers} {body.decode()}"}, "again": headers}


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.server.close()


@pytest.fixture
def attempt(api: Api, tmp_path: Path) -> Callable[..., Result]:
    """Try task `a/b`; `more` are further lines of the provider's section."""

    def run(*more: str, arguments: tuple[str, ...] = ("a/b",), base_url: str = api.url) -> Result:
        path = tmp_path / "config.yaml"
        lines = [f"base_url: {base_url}", "api_key: ${KEY}", "status: state", "completed: [done]", "failed: [broken]"]
        if not any(line.startswith("poll:") for line in more):
            lines.append('poll: {path: "/v1/jobs/{task_id}"}')
        if not any(line.startswith("urls:") for line in more):
            lines.append("urls: url")
        body = "".join(f"    {line}\n" for line in (*lines, *more))
        path.write_text(f"providers:\n  acme:\n{body}webhooks: {{secret: '${{UNSET}}'}}\n")
        env = {"KEY": KEY, "COLUMNS": "200"}
        return CliRunner().invoke(app, ["provider", "try", "acme", *arguments, "--config", str(path)], env=env)

    return run


def test_a_poll_is_told_from_the_request_to_what_follows(api: Api, attempt: Callable[..., Result]) -> None:
    """The request without its key, the answer, what decided, what it means, and what the daemon would do."""
    api.answers = [(200, {"X-Request-Id": "r1", "X-Other": "no"}, DONE)]
    result = attempt()
    assert result.exit_code == 0, result.output
    assert api.heard[0][0] == "GET /v1/jobs/a%2Fb"
    assert api.heard[0][1]["authorization"] == f"Bearer {KEY}"
    lines = result.stdout.splitlines()
    assert lines[0] == f"GET {api.url}/v1/jobs/a%2Fb"
    assert "  authorization: Bearer ***" in lines
    assert "HTTP 200" in lines
    assert "  x-request-id: r1" in lines
    assert "x-other" not in result.stdout
    assert f"  {json.dumps(DONE)}" in lines
    assert [line.split(None, 1) for line in lines[-5:]] == [
        ["means", "completed"],
        ["because", "the status word 'done' is one of completed"],
        ["status", "done"],
        ["url", "https://cdn.example/v.mp4"],
        ["then", "the task ends; its watches are told with task.completed"],
    ]


TOKEN_COMMAND = json.dumps([sys.executable, "-c", "print('fr0m/the+command')"])
AUTHS = {
    "bearer": ("auth: {bearer: '{api_key}'}", "authorization: Bearer ***"),
    "header": ("auth: {header: {name: x-api-key, value: 'Key {api_key}'}}", "x-api-key: ***"),
    "query": ("auth: {query: {name: key, value: '{api_key}'}}", "?key=***"),
    "basic": ("auth: {basic: {username: someone, password: '{api_key}'}}", "authorization: Basic ***"),
    "basic-key": ("auth: {basic: {username: '{api_key}'}}", "authorization: Basic ***"),
    "jwt_hs256": ("auth: {jwt_hs256: {access_key: acc3ss, secret_key: '{api_key}'}}", "authorization: Bearer ***"),
    "command": (f"auth: {{command: {TOKEN_COMMAND}}}", "authorization: Bearer ***"),
    "body": ("auth: {body: {name: key, value: '{api_key}'}}", '"key": "***"'),
}


@pytest.mark.parametrize("kind", AUTHS)
def test_no_secret_is_shown_however_it_is_sent(api: Api, attempt: Callable[..., Result], kind: str) -> None:
    """Not in the request, and not in an answer that sends back all that it was sent, as it is or encoded."""
    api.echo = True
    auth, shown = AUTHS[kind]
    post = ('poll: {method: POST, path: "/v1/jobs/{task_id}", body: {q: 1}}',) if kind == "body" else ()
    result = attempt(auth, *post)
    assert result.exit_code == 0, result.output
    assert shown in result.stdout
    line, headers, body = api.heard[0]
    sent = [headers.get("authorization", ""), headers.get("x-api-key", ""), line.partition("key=")[2].partition(" ")[0]]
    tokens = {token for text in sent for token in (text, text.rpartition(" ")[2]) if token}
    assert tokens or b'"key"' in body, "no credentials were sent"
    plain = base64.b64encode(KEY.encode()).decode()
    for secret in {*tokens, KEY, quote(KEY, safe=""), json.dumps(KEY)[1:-1], plain, "acc3ss", "fr0m/the+command"}:
        assert secret not in result.output


def test_a_secret_is_masked_where_the_answer_is_cut(api: Api, attempt: Callable[..., Result]) -> None:
    """No half of it is left at the end."""
    for before in range(4096 - len(KEY) - 12, 4096):
        api.answers = [(200, {}, {"state": "x" * before + KEY})]
        if before % 7 == 0:
            assert KEY[:6] not in attempt().output


def test_the_second_request_is_told_too(api: Api, attempt: Callable[..., Result]) -> None:
    """With what it makes of the success; nothing is left to be asked."""
    result = 'result: {path: "/v1/jobs/{task_id}/result", urls: video.url}'
    api.answers = [(200, {}, {"state": "done"}), (200, {}, {"video": {"url": "https://cdn.example/2.mp4"}})]
    told = attempt(result)
    assert (told.exit_code, [line for line, _, _ in api.heard]) == (
        0,
        ["GET /v1/jobs/a%2Fb", "GET /v1/jobs/a%2Fb/result"],
    )
    assert told.stdout.count("authorization: Bearer ***") == 2
    assert told.stdout.rstrip().endswith("the task ends; its watches are told with task.completed")
    assert "https://cdn.example/2.mp4" in told.stdout


def test_a_second_request_that_may_not_be_made_is_told(api: Api, attempt: Callable[..., Result]) -> None:
    """The answer names another host, which must not get the key: exit 1, and what to do."""
    api.answers = [(200, {}, {"state": "done", "more": "https://other.example/x"})]
    told = attempt("result: {url: more, urls: url}")
    assert (told.exit_code, len(api.heard)) == (1, 1)
    assert "list that host under hosts" in told.stdout


@pytest.mark.parametrize(
    ("status", "headers", "code", "means"),
    [(401, {}, 1, "unauthorized"), (500, {}, 1, "unavailable"), (404, {}, 0, "not_found"),
     (429, {"Retry-After": "7"}, 0, "throttled")],
)
def test_the_exit_code_says_whether_the_answer_tells_something(
    api: Api, attempt: Callable[..., Result], status: int, headers: dict[str, str], code: int, means: str
) -> None:
    """1 when the key was refused or nothing was to be had."""
    api.answers = [(status, headers, {})]
    told = attempt()
    assert told.exit_code == code
    assert f"means{' ' * (told.stdout.index(means) - told.stdout.index('means') - 5)}{means}" in told.stdout


def test_nobody_answers(attempt: Callable[..., Result]) -> None:
    """Exit 1 with the reason, after the request."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    told = attempt(base_url=f"http://127.0.0.1:{port}")
    assert told.exit_code == 1
    assert f"GET http://127.0.0.1:{port}/v1/jobs/a%2Fb" in told.stdout
    assert "means    unavailable" in told.stdout
    assert "refused" in told.stdout


def test_a_command_that_fails_is_told(api: Api, attempt: Callable[..., Result]) -> None:
    """No request goes out without credentials."""
    told = attempt("auth: {command: ['false']}")
    assert (told.exit_code, api.heard) == (1, [])
    assert "failed with exit status 1" in told.stdout


def test_variables_go_where_the_description_says(api: Api, attempt: Callable[..., Result]) -> None:
    """As those of a watch."""
    poll = 'poll: {path: "/v1/{vars.region}/jobs/{task_id}"}'
    attempt(poll, "vars: {region: us}", arguments=("a/b", "--var", "region=eu west"))
    assert api.heard[0][0] == "GET /v1/eu%20west/jobs/a%2Fb"
