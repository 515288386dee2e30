"""What proves that a part belongs to what is here already."""

import pytest
from multidict import CIMultiDict

from notifier.adapters.archive.version import Part, Version, announced, part, whole


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"ETag": '"a"', "Content-Length": "9"}, Version('"a"', None, 9)),
        ({"ETag": 'W/"a"', "Last-Modified": "then", "Content-Length": "9"}, Version(None, "then", 9)),
        ({"ETag": "a", "Transfer-Encoding": "chunked", "Content-Length": "9"}, Version(None, None, None)),
        ({"ETag": '""', "Content-Length": "x"}, Version(None, None, None)),
    ],
)
def test_only_strong_marks_count(headers, version):
    """RFC 9110, section 8.8.1: a weak entity tag holds for other bytes too."""
    assert whole(CIMultiDict(headers)) == version


@pytest.mark.parametrize(
    ("known", "other", "same"),
    [
        (Version('"a"', None, 9), Version('"a"', None, 9), True),
        (Version('"a"', None, 9), Version('"b"', None, 9), False),
        (Version('"a"', None, 9), Version('"a"', None, 8), False),
        (Version('"a"', "then", 9), Version('"a"', "now", 9), True),
        (Version(None, "then", 9), Version('"a"', "now", 9), False),
        (Version(None, None, 9), Version('"a"', None, 9), True),
        (Version('"a"', None, None), Version(None, "then", 9), False),
        (Version(None, None, None), Version(None, None, None), False),
        (Version('"a"', None, None), Version('"a"', None, 9), True),
    ],
)
def test_a_part_goes_on_only_with_proof(known, other, same):
    """Nothing that both say may differ, and something must be the same."""
    assert known.goes_on(other) is same


def test_a_file_without_marks_is_fetched_anew():
    """Nothing could prove what a part belongs to."""
    assert not Version(None, None, None).recognisable
    assert Version(None, None, 9).recognisable
    assert Version(None, "then", None).mark == "then"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Range": "bytes 5-8/*"},
        {"Content-Range": "bytes */9"},
        {"Content-Range": "bytes 8-5/9"},
        {"Content-Range": "bytes 5-9/9"},
        {"Content-Range": "items 5-8/9"},
        {"Content-Range": "bytes 5-8/9, bytes 5-8/9"},
        {"Content-Range": f"bytes 5-{'9' * 99}/9"},
        {"Content-Range": "bytes 5-8/9", "Content-Length": "3"},
    ],
)
def test_an_unclear_part_is_none(headers):
    """What it says must be whole and fit together."""
    assert part(CIMultiDict(headers)) is None


def test_a_clear_part_is_read():
    """The end is one behind its last byte."""
    headers = CIMultiDict({"Content-Range": "bytes 5-8/9", "Content-Length": "4", "ETag": '"a"'})
    assert part(headers) == Part(5, 9, Version('"a"', None, 9))
    assert announced(headers) == 4
