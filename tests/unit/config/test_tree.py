"""YAML as it is read: values, places, and what is not taken."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.config import nodes
from notifier.config.nodes import DEEPEST, MOST_REPEATED, decode
from notifier.config.problem import Fault, Place
from notifier.config.tree import Tree, plant
from tests.thoroughness import examples


def value_of(written):
    tree = plant(f"a: {written}\n")
    assert isinstance(tree, Tree), tree
    assert tree.faults == []
    return tree.data["a"]


@pytest.mark.parametrize(
    "written",
    [
        *("on", "off", "yes", "No", "y", "nULL", "tRue"),
        *("0777", "0o17", "0x1F", "0b1", "1_000", "+5", "010", "00.5", "0777.5", ".5", "1e", "1.2.3", "9" * 301),
        *(".inf", "-.INF", ".nan", "1e400", "10:30", "2026-01-01", "2026-01-01 10:00:00", "="),
    ],
)
def test_what_json_would_not_read_stays_text_as_written(written):
    """YAML 1.1 makes booleans, numbers in base 8 and 60, infinities and dates of these; here nothing changes."""
    assert value_of(written) == written
    assert type(value_of(written)) is str


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None)),
        *(("true", True), ("False", False), ("TRUE", True)),
        *(("0", 0), ("-7", -7), ("12345678901234567890", 12345678901234567890)),
        *(("1.5", 1.5), ("1e3", 1000.0), ("-1.5E-2", -0.015)),
        *(("'1'", "1"), ('"true"', "true"), ("''", ""), ("|\n  1\n", "1\n"), ("x # y", "x"), ("a#b", "a#b")),
        ('"\\ud83d\\ude00"', "😀"),
        *(("[1, [x]]", [1, ["x"]]), ("{b: {c: 1}}", {"b": {"c": 1}})),
    ],
)
def test_plain_values_have_the_types_of_json(written, value):
    """Numbers, true, false and null are read; quotes always make text; two escapes of one character are joined."""
    assert value_of(written) == value
    assert type(value_of(written)) is type(value)


def test_every_key_and_value_knows_its_place():
    """Lines and columns count from 1, in characters; a mapping begins at its first key."""
    tree = plant("é: {ü: 1}\nb:\n  - x\n  - {c: }\n")
    assert tree.keys == {
        ("é",): Place(1, 1),
        ("é", "ü"): Place(1, 5),
        ("b",): Place(2, 1),
        ("b", 1, "c"): Place(4, 6),
    }
    places = {(): (1, 1), ("é",): (1, 4), ("é", "ü"): (1, 8), ("b",): (3, 3), ("b", 0): (3, 5), ("b", 1): (4, 5)}
    assert {path: tree.values[path] for path in places} == {path: Place(*place) for path, place in places.items()}


def test_an_alias_is_the_same_value_at_another_place():
    """The alias's own place is its own, what is in it stays where it is written; both are separate objects."""
    tree = plant("a: &x {k: [1]}\nb: *x\n")
    assert tree.data == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert tree.data["a"] is not tree.data["b"]
    assert tree.values["b",] == Place(2, 4)
    assert tree.values["b", "k"] == Place(1, 11)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "the file has no settings in it (begin with"),
        ("# only a comment\n\n", (1, 1), "the file has no settings in it"),
        ("---\n", (1, 1), "the file has no settings in it"),
        ("null\n", (1, 1), "the file has no settings in it"),
        ("\n- a\n", (2, 1), "the file holds a list, not a mapping of settings"),
        ("just text", (1, 1), "the file holds text, not a mapping of settings"),
        ("5", (1, 1), "the file holds text, not a mapping of settings"),
        ("a: b: c", (1, 5), "not valid YAML: mapping values are not allowed here (check the indentation, and"),
        ("listen: systemd:\n", (1, 16), "not valid YAML: mapping values are not allowed here"),
        ("a:\n\tb: 1\n", (2, 1), "not valid YAML: found character '\\t' that cannot start any token"),
        ("a: @x\n", (1, 4), "not valid YAML: found character '@' that cannot start any token"),
        ("a: [1, 2\n", (2, 1), "not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 'x\n", (2, 1), "not valid YAML: found unexpected end of stream"),
        ("a: 1\n b: 2\n", (2, 3), "not valid YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", (2, 1), "not valid YAML: a second document begins here (keep one"),
        ("a: 1\n...\nb: 2\n", (3, 1), "not valid YAML: expected '<document start>', but found"),
        ("%YAML 2.0\n---\na: 1\n", (1, 1), "not valid YAML: found incompatible YAML document"),
        ('a: 1\nb: "\\U7fffffff"\n', (2, 1), "not valid YAML: a number in an escape or a directive is out of range"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', (2, 1), "not valid YAML: a number in an escape or a directive is out of range"),
        ("a: *x\n", (1, 4), "not valid YAML: the alias *x has no anchor before it (put a value that begins with * in"),
        ("a: &x [1, *x]\n", (1, 11), "not valid YAML: the alias *x is inside the value that it stands for"),
        ("a: 1\nb: x\0y\n", (2, 5), "the character U+0000 is not allowed in YAML"),
        ("a: \x1b[0m\n", (1, 4), "the character U+001B is not allowed in YAML"),
        ("a: \ufeff\n", (1, 4), "the character U+FEFF is not allowed in YAML"),
        ("a: \ud800\n", (1, 4), "the character U+D800 is not allowed in YAML"),
    ],
)
def test_what_keeps_a_file_from_being_read_is_one_fault_with_its_place(text, place, message):
    """Nothing more can be said about such a file, and the message says what to do."""
    fault = plant(text)
    assert isinstance(fault, Fault)
    assert (fault.at, fault.path) == (Place(*place), ())
    assert fault.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("a:\n\tb: 1\n", "indent with spaces, not tabs"),
        ("a: b: c", "check the indentation, and put a value with a colon in it in quotes"),
        ("a: @x", "put the value in quotes"),
        ("a: {b: c", "something that was opened is not closed"),
    ],
)
def test_text_that_is_not_yaml_comes_with_advice(text, advice):
    """The usual slips are told with what to do, whichever parser found them."""
    assert plant(text).message.endswith(f" ({advice})")


@pytest.mark.parametrize(
    ("text", "path", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", ("a",), (3, 1), "is given twice (first in line 1; keep one)"),
        ("m: {k: 1, 'k': 2}\n", ("m", "k"), (1, 11), "is given twice (first in line 1; keep one)"),
        ("m:\n  5: x\n", ("m",), (2, 3), "the key 5 is not text (put it in quotes)"),
        ("true: x\n", (), (1, 1), "the key true is not text"),
        ("~: x\n", (), (1, 1), "the key an empty value is not text"),
        ("? [a]\n: x\n", (), (1, 3), "a list or a mapping cannot be a key"),
        ("b: &b {c: 1}\nm:\n  <<: *b\n", ("m",), (3, 3), "the merge key << is not supported (write the settings out)"),
        ("a: !!str 5\n", ("a",), (1, 4), "has a tag (remove it"),
        ("a: !!python/object:os.system x\n", ("a",), (1, 4), "has a tag"),
        ("a: ! x\n", ("a",), (1, 4), "has a tag"),
        ('a: "x\\ud800"\n', ("a",), (1, 4), "has half a character in it"),
        ('"x\\udfff": 1\n', (), (1, 1), "has half a character in it"),
    ],
)
def test_a_fault_that_hides_nothing_else_is_noted_and_the_rest_is_read(text, path, place, message):
    """Duplicate keys, keys that are no text, merge keys, tags and half characters do not stop the reading."""
    tree = plant(text + "last: 1\n")
    assert tree.data["last"] == 1
    (fault,) = tree.faults
    assert (fault.path, fault.at) == (path, Place(*place))
    assert fault.message.startswith(message)


def test_quoted_words_are_ordinary_keys():
    """In quotes, << and numbers are names like any other; on, yes and 0777 are so without."""
    assert plant("'<<': 1\n'5': 2\non: 3\n0777: 4\n").data == {"<<": 1, "5": 2, "on": 3, "0777": 4}


def test_a_duplicate_key_keeps_the_first_value():
    """What the later one holds is not read into the settings."""
    assert plant("a: 1\na: [x]\n").data == {"a": 1}


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_a_fault(opening):
    """However deep, the reading neither overflows nor takes long."""
    fault = plant("a:\n  " + opening * 5_000)
    assert isinstance(fault, Fault)
    assert "nested too deeply (at most 50 levels)" in fault.message


def test_the_deepest_nesting_is_exact():
    """The top counts as a level, an alias with all that it stands for."""
    assert isinstance(plant("a: " + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1)), Tree)
    assert isinstance(plant("a: " + "[" * DEEPEST + "]" * DEEPEST), Fault)
    half = DEEPEST // 2
    text = f"a: &x {'[' * half}{']' * half}\nb: {{}}{{}}\n"
    for levels, kind in ((half - 1, Tree), (half, Fault)):
        assert isinstance(plant(text.replace("{}{}", "[" * levels + "*x" + "]" * levels)), kind)


def test_aliases_cannot_blow_the_file_up():
    """A text that would repeat itself a billion times is refused at once, at the alias that is too much."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    started = time.process_time()
    fault = plant("\n".join(lines))
    assert time.process_time() - started < 1
    assert "the aliases make the file too large" in fault.message
    sizes = [2 ** (n + 2) - 1 for n in range(30)]
    line = next(n for n in range(1, 30) if 2 * sum(sizes[:n]) > MOST_REPEATED) + 1
    assert fault.at.line == line


def test_only_utf8_is_text():
    """A byte order mark is dropped; anything else than UTF-8 is refused at its first wrong byte."""
    assert decode("\ufeffé".encode()) == "é"
    fault = decode("ä: 1\nb: é".encode() + b"\xff")
    assert (fault.at, fault.message) == (Place(2, 5), "is not UTF-8 (save the file as UTF-8)")
    assert decode("a: 1".encode("utf-16")).at == Place(1, 1)


pieces = st.sampled_from(
    [*"ab:-[]{},#&*!|>'\"%@ \n\t?~1.$\\é", "\n  ", "\n- ", ": ", "a: ", "&a ", "*a", "---\n", "<<: ", '"\\ud8ff"']
)


@settings(max_examples=examples(30))
@given(st.lists(pieces, max_size=30).map("".join) | st.text(max_size=40))
def test_any_text_is_a_tree_or_a_fault(text):
    """Reading never raises, whatever the text."""
    assert isinstance(plant(text), Tree | Fault)


@settings(max_examples=examples(50))
@given(st.binary(max_size=30))
def test_any_bytes_are_text_or_a_fault(raw):
    """Decoding never raises, whatever the bytes."""
    assert isinstance(decode(raw), str | Fault)


printable = st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])
ordinary = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc é", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(30))
@given(st.dictionaries(st.text("ab", min_size=1, max_size=3), ordinary, min_size=1, max_size=3), st.booleans())
def test_both_parsers_of_pyyaml_give_the_same_nodes(data, flow):
    """With and without libyaml, what is ordinary YAML is read with the same values at the same places."""
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True)
    assert nodes._compose(text, nodes._FAST_LOADER) == nodes._compose(text, yaml.SafeLoader)
