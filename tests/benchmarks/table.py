"""What the benchmarks print: a row for each promise."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`measured` is a median, with its unit; `target` is what is promised of it, `met` whether that is kept, if there
    is a promise."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None


_HEAD = ("what", "measured", "target", "met")
_WORDS = {True: "yes", False: "NO", None: ""}


def printed(rows: Iterable[Row]) -> str:
    """Aligned, and Markdown all the same."""
    lines = [_HEAD, *((row.what, row.measured, row.target, _WORDS[row.met]) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)
