"""`${NAME}` in values."""

import pytest

from notifier.config.problem import Substituted, Unusable
from notifier.config.substitute import substitute

ENVIRON = {"A": "one", "B_2": "two", "EMPTY": "", "DOLLAR": "${A} $$", "BYTES": "x\udcff"}


def fill(data, *, may_be_unset=False):
    return substitute(data, ENVIRON, lambda path: may_be_unset)


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ("${A}", "one"),
        ("x-${A}-${B_2}-y", "x-one-two-y"),
        ("${EMPTY}", ""),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$$${A}", "$one"),
        ("$A $ 5$", "$A $ 5$"),
        ("${DOLLAR}", "${A} $$"),
        ("nothing", "nothing"),
    ],
)
def test_variables_are_filled_in_once_and_two_dollars_are_one(written, filled):
    """A dollar before anything but { or $ is itself, and what comes from the environment is not looked at again."""
    assert fill(written) == (filled, [])


@pytest.mark.parametrize("written", ["${", "${}", "${A", "${A-x}", "${A:-x}", "${1A}", "${A B}", "x ${Ä}"])
def test_a_broken_reference_is_a_fault(written):
    """Shell's other forms are not guessed at; the message names both ways out."""
    value, (fault,) = fill({"k": written})
    assert isinstance(value["k"], Unusable)
    assert (fault.path, fault.at) == (("k",), "value")
    assert fault.message == "has a ${ without a variable's name and a } after it (write ${NAME}, or $$ for a dollar)"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${NO}", "the environment variable NO is not set (set it, or write $$ for a dollar)"),
        ("${NO}${A}${NO}", "the environment variable NO is not set (set it, or write $$ for a dollar)"),
        ("${NO} ${NOR}", "the environment variables NO, NOR are not set (set them, or write $$ for a dollar)"),
        ("${BYTES}", "the environment variable BYTES is not UTF-8 (set it to text)"),
    ],
)
def test_a_variable_that_gives_no_text_is_a_fault_that_names_it(written, message):
    """Every missing variable of a value is named in one message."""
    _, (fault,) = fill([written])
    assert (fault.path, fault.message) == ((0,), message)


def test_a_variable_may_be_missing_where_secrets_are_not_needed():
    """Then there is no fault and no value; a broken reference is a fault all the same."""
    assert fill({"k": "${NO}"}, may_be_unset=True) == ({"k": Unusable()}, [])
    assert len(fill({"k": "${NO"}, may_be_unset=True)[1]) == 1


def test_values_are_found_in_lists_and_mappings_and_keys_are_left_alone():
    """Other types than text pass unchanged."""
    data = {"${A}": [{"k": ["${A}", 1, None, True, 1.5]}]}
    assert fill(data) == ({"${A}": [{"k": ["one", 1, None, True, 1.5]}]}, [])


def test_substituted_text_remembers_what_was_written():
    """That is what may be shown of it; text without a variable stays ordinary."""
    (value, plain), _ = fill(["x${A}", "$$"])
    assert isinstance(value, Substituted)
    assert value.written == "x${A}"
    assert type(plain) is str
