"""What the tests of the configuration share."""

from textwrap import dedent

import pytest

from notifier.config import Loaded, Rejected, Settings, parse

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"

# Four lines: what a test adds begins in line 5.
LEAST = f"""\
providers:
  videos: {{api_key: key}}
webhooks:
  secret: {SECRET}
"""


@pytest.fixture(scope="session")
def secret():
    """A signing secret in its right form."""
    return SECRET


@pytest.fixture(scope="session")
def least():
    """The shortest file that is right, four lines long."""
    return LEAST


@pytest.fixture(scope="session")
def problems_in():
    """What is wrong with a whole text, as lines without the file's name."""

    def judge(text, environ=None, *, secrets="required"):
        match parse(dedent(text), "FILE", environ or {}, secrets=secrets):
            case Rejected(problems):
                assert problems
                return [str(problem).removeprefix("FILE:") for problem in problems]
            case Loaded():
                return []

    return judge


@pytest.fixture(scope="session")
def settings_of():
    """The settings that a whole text holds; it must be right."""

    def judge(text, environ=None, *, secrets="required") -> Settings:
        outcome = parse(dedent(text), "FILE", environ or {}, secrets=secrets)
        assert isinstance(outcome, Loaded), outcome
        return outcome.settings

    return judge
