"""Cursors: where a list goes on, in a form that nobody is tempted to count with."""

import base64
import binascii
from typing import Literal, TypeAlias

from notifier.adapters.api.problems import Complaint, Problem, invalid, pointer
from notifier.domain.prefix import Prefix
from notifier.ports import Page

Kind: TypeAlias = Literal["w", "d", "e"]
"""Watches, deliveries or endpoints: a cursor of one list says nothing in the other."""

_LARGEST = 2**63 - 1


def page(kind: Kind, limit: int, cursor: str | None, under: tuple[Prefix, ...] = ()) -> Page | Problem:
    """Which part of a list is asked for, and may be seen; 422 for a cursor that this list never gave."""
    if cursor is None:
        return Page(limit, under=under)
    before = _decode(kind, cursor)
    if before is None:
        return invalid([Complaint("is not a cursor of this list; take next_cursor as it came", pointer("cursor"))])
    return Page(limit, before, under)


def next_cursor(kind: Kind, before: int | None) -> str | None:
    """What `page` reads again; None at the end of the list."""
    return None if before is None else _encode(kind, before)


def _encode(kind: Kind, before: int) -> str:
    return base64.urlsafe_b64encode(f"{kind}{before}".encode()).rstrip(b"=").decode()


def _decode(kind: Kind, cursor: str) -> int | None:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    digits = text[1:]
    if not (digits.isdigit() and len(digits) < 20 and int(digits) <= _LARGEST):
        return None
    # Only what was given: this checks the kind, and base64 and numbers have several spellings of the same value.
    return int(digits) if _encode(kind, int(digits)) == cursor else None
