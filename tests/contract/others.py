"""For tests that go on as another user, who must be able to read the code."""

from pathlib import Path

import pytest
import typer

import notifier

_closed = next(
    (
        folder
        for module in (notifier, typer)
        for folder in Path(str(module.__file__)).parents
        if folder.stat().st_mode & 0o005 != 0o005
    ),
    None,
)

needs_readable_code = pytest.mark.skipif(
    _closed is not None, reason=f"{_closed} is closed to other users, and this goes on as one of them"
)
