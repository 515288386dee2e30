"""The README's provider in ten lines is what readers copy: it polls a real server here, word for word."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.adapters.clock import SystemClock
from notifier.adapters.http import Http
from notifier.adapters.providers import DescribedApi
from notifier.app.describing import credentials, describe
from notifier.config import Loaded, ProviderSettings, parse
from notifier.domain.answer import Completed, Failed, Missed, Running, TaskError
from tests.http_server import Request, http_server, send

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.partition("## A provider of your own")[2].partition("\n## ")[0]
SECRET = "webhooks: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}\n"
JOBS: dict[str, tuple[int, Any]] = {
    "queued": (200, {"id": "queued", "state": "queued"}),
    "done": (200, {"data": {"status": "SUCCEEDED", "output": [{"url": "https://cdn.example/1"}, {}]}}),
    "broken": (200, {"data": {"status": "failed", "error": {"message": "too dark"}}}),
    "blamed": (200, {"data": {"status": "done", "error": {"message": "moderated"}}}),
    "gone": (404, {}),
}


@pytest.fixture
def jobs_api() -> Iterator[str]:
    """Plays the API of the README, for those who have its key."""

    def play(request: Request) -> None:
        assert request.headers["authorization"] == "Bearer planted-key"
        status, body = JOBS[request.path.removeprefix("/v1/jobs/")]
        send(request, status, json.dumps(body).encode())

    with http_server(play) as url:
        yield url


async def test_ten_lines_are_a_provider(jobs_api: str) -> None:
    """Each of its outcomes comes out of an answer of the API that it describes."""
    (recipe,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    assert len(recipe.splitlines()) == 10
    local = recipe.replace("https://api.acme.example", jobs_api)
    loaded = parse(local + SECRET, "README.md", {"ACME_KEY": "planted-key"}, secrets="required")
    assert isinstance(loaded, Loaded), loaded
    settings, clock = loaded.settings.providers["acme"], SystemClock()
    client = Http(guard=None, keepalive=5.0)
    api = DescribedApi(
        describe(settings),
        credentials(settings, clock, lambda _: None),
        timeout=20.0,
        http=client,
        clock=clock,
        user_agent="notifier",
    )
    answers = {name: await api.poll(name, {}) for name in JOBS}
    await client.aclose()
    assert isinstance(answers["queued"], Running)
    assert isinstance(answers["done"], Completed)
    assert answers["done"].urls == ("https://cdn.example/1",)
    for name, error in (("broken", "too dark"), ("blamed", "moderated")):
        answer = answers[name]
        assert isinstance(answer, Failed)
        assert answer.error == TaskError(None, error)
    assert answers["gone"] == Missed(False, "HTTP 404", "{}")


def test_the_table_names_every_key_of_a_description() -> None:
    """And no other."""
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", SECTION, re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"\w+", row)}
    account = {"preset", "docs", "interval", "min_interval", "deadline", "timeout", "rate", "concurrency"}


    assert named == ProviderSettings.model_fields.keys() - account - {"not_found_grace"}
