"""The README's table of the known APIs says what the presets are."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from notifier.config.presets import PRESETS

README = Path(__file__).parents[3] / "README.md"


def test_the_table_of_known_apis_is_that_of_the_presets():
    """Each preset has a row, in the presets' order, that says how the key is sent, what must be given besides it, and
    until when its URLs live."""
    section = README.read_text("utf-8").partition("\n## Known APIs\n")[2].partition("\n## ")[0]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line.startswith("| [`")]
    said = [(row[0], *row[2:]) for row in rows]
    assert said == [row_of(name, preset) for name, preset in PRESETS.items()]


def test_the_first_screen_counts_the_presets():
    """As many as the table has."""
    assert f"[{len(PRESETS)} APIs](#known-apis)" in README.read_text("utf-8")


def test_every_link_within_the_readme_leads_somewhere():
    """Sections were moved and renamed before."""
    text = README.read_text("utf-8")
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    known = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert [link for link in re.findall(r"\]\(#([^)]+)\)", text) if link not in known] == []


def row_of(name: str, preset: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Every cell but the API's own name, which is for people."""
    return f"[`{name}`]({preset['docs']})", _key(preset), _needed(preset), _life(preset)


def _key(preset: Mapping[str, Any]) -> str:
    auth = preset.get("auth", {"bearer": "{api_key}"})
    if auth is None:
        return "none"
    (kind,) = (kind for kind in auth if kind != "ttl")
    match kind:
        case "bearer":
            return "bearer"
        case "command":
            return f"`{' '.join(auth['command'])}`"
        case _:
            return f"{kind} `{auth[kind]['name']}`"


def _needed(preset: Mapping[str, Any]) -> str:
    base_url = [] if "base_url" in preset else ["`base_url`"]
    required = [f"`vars.{name}`" for name, usual in preset.get("vars", {}).items() if usual == "required"]
    return ", ".join(base_url + required) or "–"


def _life(preset: Mapping[str, Any]) -> str:
    if "urls" not in preset and "result" not in preset:
        how = "no URLs: fetched with the key" if "download" in preset else "no URLs"
    else:
        how = ""
    expires = preset.get("expires", {})
    until = expires.get("after") or (f"until `{expires['at']}`" if expires else "")
    return ", ".join(part for part in (how, until) if part) or "not documented"
