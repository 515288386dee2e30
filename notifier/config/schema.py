"""JSON Schema of the file, for editors: what the model says, and the other ways to give a secret."""

from typing import Any

from notifier.config import verdict
from notifier.config.model import Settings
from notifier.config.secret import SLOTS, Slot

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PATH = {"type": "string", "minLength": 1}


def json_schema() -> dict[str, Any]:
    """A schema of draft 2020-12. It is a little laxer than the program: what settings must agree on is not in it."""
    schema = Settings.model_json_schema()
    for slot in SLOTS:
        _add_ways(schema["$defs"][verdict.SECTIONS[slot.where].__name__], slot)
    # What a preset gives need not be written; a watch with only one provider needs no `provider`.
    del schema["$defs"]["ProviderSettings"]["required"]
    schema["$defs"]["WatchSettings"]["required"].remove("provider")
    return {"$schema": DIALECT, **_tidied(schema), "title": "Configuration of Notifier"}


def _add_ways(definition: dict[str, Any], slot: Slot) -> None:
    """Exactly one of the keys; a `_file` names the file that holds the secret, or one secret a line."""
    properties = definition["properties"]
    usual = properties[slot.target]
    single = usual.get("items", usual)
    for key in slot.keys:
        if key.endswith("_file"):
            lines = ", one a line" if key == "secrets_file" else ""
            what = key.removesuffix("_file")
            properties[key] = {**_PATH, "description": f"The file that holds {what}{lines}; instead of {what}."}
        elif key != slot.target:
            properties[key] = {**single, "description": "The only signing secret; instead of secrets."}
    if slot.target == "secrets":
        usual["minItems"] = 1
        usual.pop("default", None)
    definition["required"] = [key for key in definition.get("required", []) if key != slot.target]
    ways = [{"required": [key]} for key in slot.keys]
    one_of = {"oneOf": ways if slot.needed else [*ways, {"not": {"anyOf": ways}}]}
    if "oneOf" in definition:
        definition["allOf"] = [{"oneOf": definition.pop("oneOf")}]
    definition |= one_of if "allOf" not in definition else {"allOf": [*definition["allOf"], one_of]}


def _tidied(schema: Any) -> Any:
    """Without the titles that pydantic makes of names; and where keys have a pattern, there are no others."""
    match schema:
        case {"title": str(), **rest}:
            return _tidied(rest)
        case {"patternProperties": dict() as patterns, **rest}:
            return {**_tidied(rest), "patternProperties": _tidied(patterns), "additionalProperties": False}
        case dict():
            return {key: _tidied(value) for key, value in schema.items()}
        case list():
            return [_tidied(item) for item in schema]
        case _:
            return schema
