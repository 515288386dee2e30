"""What the benchmarks print: a row for each promise."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`measured` is a median, with its unit; `target` is what is promised of it, and `met` whether it is kept."""

    what: str
    measured: str
    target: str
    met: bool


def printed(rows: Sequence[Row]) -> str:
    """Aligned, and Markdown all the same."""
    cells = [("what", "measured", "target", "met"), *((row.what, row.measured, row.target, "yes" if row.met else "NO") for row in rows)]
    widths = [max(len(cell[column]) for cell in cells) for column in range(4)]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True)) + " |" for cell in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
