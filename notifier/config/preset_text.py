"""Presets as they are written, with their comments: what one pastes into a configuration to change it."""

import re
from importlib.resources import files

from notifier.config.presets import PRESETS

_ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9_.-]*):", re.MULTILINE)


def preset_text(name: str) -> str:
    """The lines of one preset, beginning with its name; KeyError if there is none."""
    if name not in PRESETS:
        raise KeyError(name)
    text = (files("notifier.config") / "presets.yaml").read_text("utf-8")
    starts = [match for match in _ENTRY.finditer(text) if match[1] == name]
    begin = starts[0].start()
    after = _ENTRY.search(text, starts[0].end())
    lines = text[begin : None if after is None else after.start()].rstrip().splitlines()
    while lines[-1].startswith("#") or not lines[-1].strip():  # what stands before the next preset is about that one
        lines.pop()
    return "\n".join(lines) + "\n"
