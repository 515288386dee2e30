"""What all suites share: how properties are tried, and figures that a test measured, printed at the end of the run."""

import gc
import logging
import os
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.thoroughness import CI, examples

# A busy machine is no failure; and what CI runs is the same each time: new examples are for those who can look at them.
settings.register_profile("patient", deadline=None, max_examples=examples(60))
settings.register_profile("repeatable", settings.get_profile("patient"), derandomize=True)
settings.load_profile("repeatable" if CI else "patient")

FIGURE = "figure"

# Hundreds of processes are started, each of which would compile all of it again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(optionalhook=True)  # `-p no:xdist`, as for coverage
def pytest_xdist_auto_num_workers() -> int:
    return 1 + len(os.sched_getaffinity(0))


def pytest_collection_finish() -> None:
    """What is imported stays: without this, the garbage collector goes through all of it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Leave logging as it was for the other tests."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers, _ = handlers, root.setLevel(level)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded with `record_property("figure", text)`, also when they ran in other processes."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, text in report.user_properties:
            if name == FIGURE:
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {text}")
