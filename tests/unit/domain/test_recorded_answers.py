"""What each preset makes of its API's answers, as they are written down in tests/answers."""

import json
import re
from datetime import UTC, datetime
from functools import cache

import pytest

from notifier.app.describing import describe
from notifier.config import Loaded, parse
from notifier.config.presets import PRESETS
from notifier.domain.answer import MAX_ANSWER_BYTES, OUTCOMES, Answer, Completed, Failed
from notifier.domain.description import Description
from notifier.domain.http_answer import HttpAnswer
from notifier.domain.reading import read, read_result
from tests.recorded import Api, Recorded, Said, apis, differences

NOW = datetime(2026, 11, 22, 13, 33, tzinfo=UTC)


@cache
def descriptions() -> dict[str, Description]:
    """Of all presets, each with the least that must be written for it."""
    providers = {api.preset: dict(api.settings) for api in apis()}
    text = json.dumps({"providers": providers, "webhooks": {"secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}})
    loaded = parse(text, "FILE", {}, secrets="required")
    assert isinstance(loaded, Loaded), loaded
    return {name: describe(settings) for name, settings in loaded.settings.providers.items()}


def heard(said: Said) -> HttpAnswer:
    return HttpAnswer(said.http, said.headers, said.body[:MAX_ANSWER_BYTES], len(said.body) > MAX_ANSWER_BYTES)


def meaning(api: Api, recorded: Recorded) -> Answer:
    description = descriptions()[api.preset]
    values = description.values(api.task, api.variables)
    answer = read(description, heard(recorded.said), values, now=NOW).answer
    if description.result is None or not isinstance(answer, Completed):
        return answer
    assert recorded.then, "a success wants a second answer here"
    return read_result(description, answer, heard(recorded.then), values, now=NOW).answer


def test_every_preset_has_its_answers_written_down():
    """No preset is shipped whose reading nobody has tried."""
    assert [api.preset for api in apis()] == sorted(PRESETS)


@pytest.mark.parametrize("api", apis(), ids=lambda api: api.preset)
def test_a_preset_understands_its_api(api):
    """Each answer has the outcome that the API's documentation gives it, and brings what belongs to that outcome."""
    base_url = descriptions()[api.preset].base_url
    wrong = [
        f"{recorded}: {difference}"
        for recorded in api.answers
        for difference in differences(recorded, meaning(api, recorded), now=NOW, base_url=base_url)
    ]
    assert not wrong, "\n".join(wrong)


def test_each_outcome_is_among_the_answers():
    """Of every preset: what is never recorded is never tried."""
    for api in apis():
        assert {recorded.means["is"] for recorded in api.answers} == set(OUTCOMES), api.preset


@pytest.mark.parametrize("api", apis(), ids=lambda api: api.preset)
def test_a_word_that_nobody_mapped_ends_nothing(api):
    """Paid jobs: wherever the status word stands, one that the documentation does not name means that the task runs."""
    description = descriptions()[api.preset]
    words = description.completed | description.failed | description.running
    values = description.values(api.task, api.variables)
    for recorded in api.answers:
        told = recorded.said.body.decode("utf-8", "replace")
        other = re.sub(f'"({"|".join(map(re.escape, words))})"', '"pondering"', told, flags=re.IGNORECASE)
        if other != told:
            reading = read(description, heard(Said(recorded.said.http, {}, other.encode())), values, now=NOW)
            by_rule = reading.rule is not None  # of those that go by other fields, or the HTTP status alone
            assert by_rule or not isinstance(reading.answer, Completed | Failed), f"{recorded}: {other}"
