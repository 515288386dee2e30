"""The schema for editors, the example and the model say the same."""

import re
from pathlib import Path

import pytest

from notifier.config import json_schema, load
from notifier.config.secret import ANY
from notifier.config.tree import plant
from notifier.config.verdict import SECTIONS, keys_of

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
SCHEMA = json_schema()

KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}


def complaints(value, schema, path="$"):
    """A validator of just the words that the schema uses; an unknown word fails."""
    for word, wanted in schema.items():
        yield from (f"{path}: {word}" for ok in [_holds(word, wanted, value, schema)] if not ok)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from complaints(item, _schema_of(key, schema), f"{path}.{key}")
    if isinstance(value, list) and "items" in schema:
        for item in value:
            yield from complaints(item, schema["items"], f"{path}[]")
    if "$ref" in schema:
        yield from complaints(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], path)


def _schema_of(key, schema):
    patterns = (sub for pattern, sub in schema.get("patternProperties", {}).items() if re.search(pattern, key))
    further = schema.get("additionalProperties", {})
    return schema.get("properties", {}).get(key) or next(patterns, further if isinstance(further, dict) else {})


def _holds(word, wanted, value, schema):
    match word:
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return any(isinstance(value, KINDS[kind]) for kind in kinds) and not isinstance(value, bool)
        case "anyOf":
            return any(not list(complaints(value, sub)) for sub in wanted)
        case "oneOf":
            return sum(not list(complaints(value, sub)) for sub in wanted) == 1
        case "not":
            return bool(list(complaints(value, wanted)))
        case "enum":
            return value in wanted
        case "pattern":
            return not isinstance(value, str) or re.search(wanted, value) is not None
        case "minLength" | "minItems" | "minProperties":
            return not hasattr(value, "__len__") or len(value) >= wanted
        case "maxLength" | "maxItems":
            return not hasattr(value, "__len__") or len(value) <= wanted
        case "minimum":
            return not isinstance(value, int | float) or value >= wanted
        case "maximum":
            return not isinstance(value, int | float) or value <= wanted
        case "required":
            return not isinstance(value, dict) or set(wanted) <= set(value)
        case "additionalProperties" if wanted is False:
            patterns = schema.get("patternProperties", {})
            keys = value if isinstance(value, dict) else {}
            known = {key for key in keys if any(re.search(pattern, key) for pattern in patterns)}
            return set(keys) <= {*schema.get("properties", {}), *known}
        case "$schema" | "$defs" | "title" | "description" | "default" | "properties" | "items" | "$ref":
            return True
        case "patternProperties" | "additionalProperties":
            return True
        case _:
            raise AssertionError(f"the schema uses {word}, which this test does not know")


def entries_of(data, where):
    """The mappings of a file at a pattern of paths."""
    if not where:
        return [data]
    if where[0] != ANY:
        return entries_of(data[where[0]], where[1:])
    items = data.values() if isinstance(data, dict) else data
    return [found for item in items for found in entries_of(item, where[1:])]


@pytest.fixture(scope="module")
def example():
    """The example as written: text and plain data."""
    tree = plant(EXAMPLE.read_text())
    assert tree.faults == []
    return tree.data


def test_the_example_passes_a_check_as_it_is():
    """Without any variable set; a run tells just the secrets."""
    assert type(load(EXAMPLE, {}, secrets="optional")).__name__ == "Loaded"
    outcome = load(EXAMPLE, {}, secrets="required")
    assert all("environment variable" in problem.message for problem in outcome.problems)
    assert len(outcome.problems) == 4


@pytest.mark.parametrize("where", SECTIONS, ids=lambda where: ".".join(where) or "top")
def test_the_example_names_every_setting_with_its_default(example, where):
    """Each field stands there; where it has a default, that is the value."""
    (entry,) = entries_of(example, where)
    for name, field in SECTIONS[where].model_fields.items():
        assert name in entry, f"{'.'.join(where)}.{name} is not in config.example.yaml"
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        if where and not field.is_required() and default is not None and field.default_factory is None:
            if name == "tokens" or (where[0], name) == ("endpoints", "secrets"):
                continue  # the default is none; the example shows one
            assert entry[name] == default


@pytest.mark.parametrize("where", [where for where in SECTIONS if where], ids=".".join)
def test_every_line_of_a_setting_says_what_it_is(where):
    """One comment for each setting, on its line."""
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    for name in SECTIONS[where].model_fields:
        found = [line for line in lines if re.match(rf" +(- )?{name}:", line)]
        assert found
        assert all(re.search(r" # \S", line) for line in found)


def test_every_way_to_give_a_secret_is_in_the_example():
    """Also those that are only named in comments."""
    text = EXAMPLE.read_text()
    for where in SECTIONS:
        for key in keys_of(where):
            assert re.search(rf"\b{key}\b", text), key


def test_the_example_follows_the_schema(example):
    """As every file that is loaded should."""
    assert list(complaints(example, SCHEMA)) == []


@pytest.mark.parametrize("where", SECTIONS, ids=lambda where: ".".join(where) or "top")
def test_the_schema_knows_every_key_and_no_other(where):
    """Fields and `x_file` twins, each with a sentence; defaults as one would write them."""
    definition = SCHEMA["$defs"][SECTIONS[where].__name__] if where else SCHEMA
    assert sorted(definition["properties"]) == sorted(keys_of(where))
    assert definition["additionalProperties"] is False
    for key, schema in definition["properties"].items():
        section = SCHEMA["$defs"].get(schema.get("$ref", "").removeprefix("#/$defs/"), {})
        assert schema.get("description") or section.get("description"), key
        if "default" in schema and schema["default"] is not None:
            assert list(complaints(schema["default"], schema)) == []


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"log": {"level": "${LEVEL}"}}, True),
        ({"store": {"retention": 5}}, True),
        ({"store": {"retention": "1h30m"}}, True),
        ({"intake": {"listen": None}}, True),
        ({"webhooks": {"secret_file": "x", "per_host": "${N}"}}, True),
        ({"webhooks": {"secrets_file": "x"}}, True),
        ({"webhooks": {"secret": "whsec_x", "refresh_after": 0}}, True),
        ({"webhooks": {"secret": "whsec_x", "refresh_after": None}}, True),
        ({"webhooks": {"secret": "whsec_x", "refresh_after": False}}, False),
        ({"endpoints": [{"url": "https://a.example/"}]}, True),
        ({"endpoints": [{"url": "https://a.example/", "secret": "whsec_x", "headers": {"X-A": "b"}}]}, True),
        ({"log": {"level": "warn"}}, False),
        ({"store": {"retention": "10:30"}}, False),
        ({"store": {"retention": "010"}}, False),
        ({"stor": {}}, False),
        ({"providers": {}}, False),
        ({"providers": {"a b": {"preset": "videos", "api_key": "x"}}}, False),
        ({"providers": {"videos": {"api_key": "x", "api_key_file": "y"}}}, False),
        ({"providers": {"videos": {"api_key": "x", "rate": 10}}}, False),
        ({"webhooks": {"timeout": "5s"}}, False),
        ({"webhooks": {"secret": "whsec_x", "secrets": ["whsec_x"]}}, False),
        ({"webhooks": {"secrets": []}}, False),
        ({"webhooks": {"secret": "whsec_x", "concurrency": 1001}}, False),
        ({"webhooks": {"secret": "whsec_x", "retry": ["1s"] * 1000}}, True),
        ({"webhooks": {"secret": "whsec_x", "retry": ["1s"] * 1001}}, False),
        ({"endpoints": [{"url": "https://a.example/", "secret": "whsec_x", "secret_file": "y"}]}, False),
        ({"endpoints": [{"url": "https://a.example/", "events": ["task.complete"]}]}, False),
        ({"watches": [{"task_id": 5, "callback_url": "https://a.example/"}]}, False),
        ({"watches": [{"callback_url": "https://a.example/"}]}, False),
    ],
)
def test_the_schema_tells_right_from_wrong(change, right):
    """What an editor marks is what a check would refuse."""
    least = {"providers": {"videos": {"api_key": "x"}}, "webhooks": {"secret": "whsec_x"}}
    assert (list(complaints(least | change, SCHEMA)) == []) is right


def test_the_schema_names_its_dialect():
    """Draft 2020-12."""
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
