"""Answers that no documentation foresees, to the presets as they are shipped."""

import json
import re
from datetime import UTC, datetime
from random import Random
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.app.describing import describe
from notifier.config import Loaded, parse
from notifier.config.presets import PRESETS
from notifier.domain.answer import Completed, Failed
from notifier.domain.http_answer import HttpAnswer
from notifier.domain.reading import read
from tests.recorded import Api, apis
from tests.thoroughness import examples

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
_loaded = parse(
    json.dumps({"providers": {api.preset: dict(api.settings) for api in apis()}, "webhooks": {"secret": SECRET}}),
    "FILE",
    {},
    secrets="required",
)
assert isinstance(_loaded, Loaded), _loaded
DESCRIPTIONS = {name: describe(provider) for name, provider in _loaded.settings.providers.items()}


def document_of(body: bytes) -> Any:
    """Null for what is not JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def known_to(preset: str) -> list[str]:
    """The names, words and numbers that a preset itself looks for."""
    return sorted(set(re.findall(r"\w+", yaml.safe_dump(PRESETS[preset]))))


WORDS = {api.preset: known_to(api.preset) for api in apis()}
DOCUMENTS = [(api, document_of(one.said.body)) for api in apis() for one in api.answers]


def spoilt(value: Any, words: list[str], chance: Random) -> Any:
    """The same JSON with a few values changed, a few members gone, a few put where they do not belong."""
    if chance.random() < 0.15:
        others = [chance.choice(words), chance.randrange(-1, 6000), None, True, [value], {chance.choice(words): value}]
        return chance.choice(others)
    match value:
        case dict():
            kept = {key: item for key, item in value.items() if chance.random() > 0.05}
            return {key: spoilt(item, words, chance) for key, item in kept.items()}
        case list():
            return [spoilt(item, words, chance) for item in value]
        case _:
            return value


statuses = st.sampled_from([200, 200, 200, 202, 400, 401, 402, 404, 422, 429, 500])


@given(st.sampled_from(DOCUMENTS), statuses, st.randoms())
@settings(max_examples=examples(500), deadline=None)
def test_nothing_but_a_mapped_word_or_a_rule_ends_a_task(said: tuple[Api, Any], status: int, chance: Random) -> None:
    """Whatever comes back, reading it raises nothing, and every end has a word that the preset maps, or a rule; URLs
    are http(s)."""
    api, document = said
    body = json.dumps(spoilt(document, WORDS[api.preset], chance)).encode()
    description = DESCRIPTIONS[api.preset]
    reading = read(description, HttpAnswer(status, {}, body), description.values(api.task, api.variables), now=NOW)
    answer = reading.answer
    if isinstance(answer, Completed | Failed):
        assert status < 300 or reading.rule is not None
        assert reading.rule is not None or answer.status.strip().lower() in description.completed | description.failed
    if isinstance(answer, Completed):
        assert all(url.startswith(("http://", "https://")) for url in answer.urls)
