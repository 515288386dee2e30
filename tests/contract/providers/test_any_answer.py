"""Answers that no documentation foresees, to the presets as they are shipped."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.app.describing import describe
from notifier.config import Loaded, parse
from notifier.config.presets import PRESETS
from notifier.domain.answer import Completed, Failed
from notifier.domain.reading import HttpAnswer, read
from tests.recorded import Api, apis

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


def _documents(preset: str) -> st.SearchStrategy[Any]:
    """JSON of any form, out of the names, words and numbers that a preset itself looks for."""
    names = st.sampled_from(sorted(set(re.findall(r"\w+", yaml.safe_dump(PRESETS[preset])))))
    leaves = names | st.integers(-1, 6000) | st.none() | st.booleans() | st.text(max_size=3)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
    )


answers = st.one_of([st.tuples(st.just(api), _documents(api.preset)) for api in apis()])
statuses = st.sampled_from([200, 200, 200, 202, 400, 401, 402, 404, 422, 429, 500])


@given(answers, statuses)
@settings(max_examples=200, deadline=None)
def test_nothing_but_a_mapped_word_or_a_rule_ends_a_task(said: tuple[Api, Any], status: int) -> None:
    """Whatever comes back, reading it raises nothing, and every end has a word that the preset maps, or a rule; URLs
    are http(s)."""
    api, document = said
    body = json.dumps(document).encode()
    description = DESCRIPTIONS[api.preset]
    reading = read(description, HttpAnswer(status, {}, body), description.values(api.task, api.variables), now=NOW)
    answer = reading.answer
    if isinstance(answer, Completed | Failed):
        assert status < 300 or reading.rule is not None
        assert reading.rule is not None or answer.status.strip().lower() in description.completed | description.failed
    if isinstance(answer, Completed):
        assert all(url.startswith(("http://", "https://")) for url in answer.urls)
