"""How many examples a property is tried with."""

import os

CI = bool(os.environ.get("CI"))


def examples(most: int) -> int:
    """All of them in CI, whose examples are the same each time; a quarter elsewhere, where they are new each time."""
    return most if CI else max(10, most // 4)
