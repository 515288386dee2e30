"""The presets as settings: complete, and little to write."""

import json

import pytest

from notifier.app.describing import describe, provider_secrets
from notifier.config.presets import PRESETS
from tests.recorded import Api, apis


def text_of(name, body, secret):
    """A whole file with this one provider."""
    return json.dumps({"providers": {name: body}, "webhooks": {"secret": secret}})


def test_a_preset_says_all_that_it_must():
    """Where its API is documented, how it is asked, which words there are, how a failure is told, and how often to ask;
    and it holds nobody's key."""
    for name, preset in PRESETS.items():
        assert preset["docs"].startswith("https://"), name
        assert {"auth", "poll", "status", "running", "completed", "error", "interval"} <= preset.keys(), name
        assert not {"api_key", "preset"} & preset.keys(), name


@pytest.mark.parametrize("api", apis(), ids=lambda api: api.preset)
def test_a_key_is_all_that_a_preset_wants(api: Api, settings_of, problems_in, secret):
    """And the base_url where each customer has another. Without them the file is wrong, and says what to write."""
    name = api.preset
    settings = settings_of(text_of(name, dict(api.settings), secret)).providers[name]
    assert settings.preset == name
    for left_out in api.settings:
        rest = {key: value for key, value in api.settings.items() if key != left_out}
        problems = problems_in(text_of(name, rest, secret))
        if left_out != "auth":
            assert any(f"providers.{name}.{left_out}: is missing" in problem for problem in problems), problems


@pytest.mark.parametrize("api", apis(), ids=lambda api: api.preset)
def test_watches_give_the_variables_that_a_preset_needs(api: Api, settings_of, secret):
    """Those of the recorded requests are enough; one that is left out is asked for."""
    settings = settings_of(text_of(api.preset, dict(api.settings), secret)).providers[api.preset]
    description = describe(settings)
    assert not list(description.judge_variables(api.variables))
    for name in api.variables:
        rest = {key: value for key, value in api.variables.items() if key != name}
        assert [wrong for wrong, _ in description.judge_variables(rest)] == [name]


def test_a_key_in_the_body_needs_a_body(problems_in, secret):
    """It is a member of the JSON object that is posted: a GET, or a list, has no place for it."""
    auth = {"body": {"name": "key", "value": "{api_key}"}}
    for poll in ({}, {"method": "POST", "body": [1]}, {"method": "POST", "body": []}):
        provider = {"api_key": "k", "auth": auth, "poll": {"path": "/{task_id}", **poll}}
        (problem,) = problems_in(text_of("modelslab", provider, secret))
        assert "auth.body: needs a poll that posts a JSON object" in problem


def test_a_key_in_the_body_is_a_secret(settings_of, secret):
    """No log line may hold it, whatever is written around it."""
    provider = {"api_key": "k1", "auth": {"body": {"name": "key", "value": "v-{api_key}"}}}
    settings = settings_of(text_of("modelslab", provider, secret)).providers["modelslab"]
    assert list(provider_secrets(settings)) == ["k1", "v-k1"]
    assert "v-{api_key}" not in repr(settings)
