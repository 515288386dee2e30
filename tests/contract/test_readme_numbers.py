"""The numbers that the README tells are those of the code."""

from pathlib import Path

import pytest

from notifier.adapters import connections
from notifier.adapters.api import body, framing, streaming
from notifier.adapters.stores import lists
from notifier.domain.headers import LONGEST_NAME, LONGEST_VALUE, MOST_HEADERS
from notifier.services import endpoints, registrar

README = " ".join((Path(__file__).parents[2] / "README.md").read_text().split())
LOAD = README.partition("**Under load**")[2].partition("## Endpoints")[0]
ENDPOINTS = README.partition("## Endpoints")[2].partition("## How polls are understood")[0]


@pytest.mark.parametrize(
    "told",
    [
        f"and {connections.MOST_HEAD_BYTES // 1024} KiB, its body {body.PATIENCE_SECONDS:g} s",
        f"At most {connections.MOST_CONNECTIONS} connections",
        f"more than {registrar.MOST_WAITING:,} watches wait",
        f"while {lists.MOST_LISTS} others are read",
        f"while {framing.MOST_BYTES >> 20} MiB of others are",
    ],
)
def test_under_load(told: str) -> None:
    """Whoever plans capacity reads these."""
    assert told in LOAD


def test_endpoints() -> None:
    """How many there may be, and of what size their headers."""
    assert f"{endpoints.MOST_ENDPOINTS:,} endpoints" in ENDPOINTS
    assert f"{MOST_HEADERS}; names {LONGEST_NAME}, values {LONGEST_VALUE} characters" in ENDPOINTS


def test_saved_files() -> None:
    """How many are sent at a time, and how long a client may take nothing."""
    saving = README.partition("## Saving results")[2].partition("## How polls are understood")[0]
    assert f"or {streaming.MOST_STREAMS} files are being sent" in saving
    assert f"takes nothing for {connections.UNREAD_SECONDS:g} s" in saving
